"""Rendezvous that ignores the addresses left in the store by earlier restarts.

torchrun keeps one store for all its restarts, in which gloo would look for processes of the previous
start. So each start of the run gets a name known to all its processes, and a part of the store.
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
    """Creates the process group if a launcher provides the store; otherwise does nothing.

    Raises `RuntimeError` if not all processes have joined within `patience`.
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
        # Possibly an earlier start's name; then this process will not be among those listed.
        name = store.get(NAME).decode()
        store.set(f"{name}/{rank}", mine)
        if store.check([f"{name}/present"]) and mine in store.get(f"{name}/present").decode().split(","):
            return name
        time.sleep(POLL_S)
    raise RuntimeError(f"process 0 did not join within {patience.total_seconds():g} s")
