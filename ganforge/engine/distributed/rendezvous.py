"""How the processes of one start find each other where the starts before left their addresses.

torchrun keeps one store for all its restarts, and gloo would look there for a process of the start
before. So each start of the run gets a name, which all its processes know, and a part of the store.
"""

from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta

import torch
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

NAME = "ganforge/start"
POLL_S = 0.05


def meet(backend: str, patience: timedelta) -> None:
    """Makes the process group where a launcher provides the store, and does nothing where not.

    Raises `RuntimeError` where not all have come within `patience`.
    """
    provided = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if not provided or torch.distributed.is_initialized():
        return
    store, rank, world = next(rendezvous("env://", timeout=patience))
    name = name_of_start(store, rank, world, patience)
    torch.distributed.init_process_group(
        backend, store=PrefixStore(name, store), rank=rank, world_size=world, timeout=patience
    )


def name_of_start(store: Store, rank: int, world: int, patience: timedelta) -> str:
    """The same new name in all processes of this start, whatever earlier ones left in the store."""
    mine = uuid.uuid4().hex
    if rank == 0:
        store.set(NAME, mine)
        present = [store.get(f"{mine}/{other}").decode() for other in range(1, world)]
        store.set(f"{mine}/present", ",".join(present))
        return mine
    deadline = time.monotonic() + patience.total_seconds()
    while time.monotonic() < deadline:
        # Perhaps an earlier start's; then this process will not be among those present.
        name = store.get(NAME).decode()
        store.set(f"{name}/{rank}", mine)
        if store.check([f"{name}/present"]) and mine in store.get(f"{name}/present").decode().split(","):
            return name
        time.sleep(POLL_S)
    raise RuntimeError(f"process 0 did not come within {patience.total_seconds():g} s")
