"""All processes of a run need the same settings, which is checked before anything depends on them.

With different settings the processes would wait for each other's next collective operation in vain, or
combine gradients of different networks.
"""

from __future__ import annotations

import hashlib
import json

import torch

from ganforge.api import UserError
from ganforge.config import RunConfig, dump
from ganforge.config.drift import ABSENT, leaves, paths_in
from ganforge.engine.distributed.runtime import Runtime

MAX_SHOWN = 8
"""Keys in the message."""


def refuse_differences(config: RunConfig, runtime: Runtime) -> None:
    """Raises the same `UserError` in all processes if their settings differ, with the keys that do.

    Paths may differ, since every machine may have the data elsewhere.
    """
    if runtime.world == 1:
        return
    text = json.dumps(settings(config), sort_keys=True).encode()
    digest = torch.tensor(list(hashlib.sha256(text).digest()), dtype=torch.uint8)
    digests = runtime.gather(digest)  # [world, 32]
    others = (digests != digests[0]).any(1).nonzero().flatten().tolist()
    if not others:
        return
    length = int(runtime.gather(torch.tensor(len(text))).max())
    texts = runtime.gather(torch.tensor(list(text.ljust(length)), dtype=torch.uint8))  # [world, length]
    first, other = (json.loads(bytes(texts[rank].tolist())) for rank in (0, others[0]))
    raise UserError(
        f"the processes of this run have different settings; process 0 ({runtime.hosts[0]}) and process "
        f"{others[0]} ({runtime.hosts[others[0]]}):\n{differing(first, other)}\n"
        "start all of them with the same run file and the same --set"
    )


def settings(config: RunConfig) -> dict[str, str]:
    """Dotted key -> value as JSON, without paths."""
    paths = set(paths_in(config))
    return {key: value for key, value in leaves(dump(config)) if key not in paths}


def differing(first: dict[str, str], other: dict[str, str]) -> str:
    """A line for each key whose values differ."""
    keys = [key for key in dict.fromkeys([*first, *other]) if first.get(key) != other.get(key)]
    lines = [f"  {key}: {first.get(key, ABSENT)} and {other.get(key, ABSENT)}" for key in keys[:MAX_SHOWN]]
    if len(keys) > MAX_SHOWN:
        lines.append(f"  ... and {len(keys) - MAX_SHOWN} more")
    return "\n".join(lines)
