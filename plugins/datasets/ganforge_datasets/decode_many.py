"""The image files of a data set, decoded by threads, with an account of what was found in them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganforge.api import Track, UserError
from ganforge_datasets.decode import Decoded, Form, decode_image
from ganforge_datasets.in_order import in_order
from ganforge_datasets.stores import Store

MAX_WORKERS = 8
"""Images decoded at once, so that all together need 2 GiB at most."""
AT_ONCE = 64
"""The most images per step of the progress bar, and per task of a worker."""
PIECE_BYTES = 4 * 2**20
"""The most bytes of decoded images per task, of which some tens are in memory at a time."""
MAX_SHOWN = 10
"""Damaged files named in one message."""


@dataclass
class Account:
    """What was found in the files of a data set; all of it fits in JSON."""

    damaged: dict[int, str] = field(default_factory=dict)
    """Position in the list of files -> why the file cannot be used."""
    transparent: int = 0
    """Images with transparency, which was composed on the background."""
    first_of_many: int = 0
    """Animations and files with pages, of which the first is taken."""
    deep: int = 0
    """Images of 16 bits a channel."""
    highest: int = 0
    """The largest 16-bit value."""
    content: str = ""
    """A hash of the content of all files, in their order."""


class _Task(NamedTuple):
    decoded: list[Decoded]
    damaged: dict[int, str]
    digests: list[bytes]


def decode_images(
    store: Store,
    names: Sequence[str],
    form: Form,
    track: Track,
    account: Account | None = None,
    skip_damaged: bool = False,
    hint: str = "",
) -> Iterator[NDArray[np.uint8]]:
    """The named files of a store in their order, in pieces uint8 [n, C, H, W]; `account` is complete at the
    end.

    Damaged files are left out where `skip_damaged`; else a `UserError` names all of them, ending in `hint`.
    So it does where there is nothing but damaged files."""
    account = account if account is not None else Account()
    step = max(1, min(AT_ONCE, PIECE_BYTES // int(np.prod(form.shape))))
    starts = range(0, len(names), step)
    content = hashlib.sha256()

    def work(start: int) -> _Task:
        return _decode(store, names, range(start, min(start + step, len(names))), form)

    workers = min(MAX_WORKERS, os.cpu_count() or 1)
    for task in track(in_order(work, starts, workers), len(starts), "decoding images"):
        account.damaged |= task.damaged
        for digest in task.digests:
            content.update(digest)
        for image in task.decoded:
            account.transparent += image.transparent
            account.first_of_many += image.first_of_many
            account.deep += image.highest > 0
            account.highest = max(account.highest, image.highest)
        # After the first damage of a run that will be refused, only further damage is looked for.
        if task.decoded and (skip_damaged or not account.damaged):
            yield np.stack([image.pixels for image in task.decoded])
    account.content = content.hexdigest()
    if account.damaged and (not skip_damaged or len(account.damaged) == len(names)):
        raise UserError(_complaint(list(account.damaged.values()), len(names), hint))


def content_hash(store: Store, names: Sequence[str], track: Track) -> str:
    """The hash that `decode_images` gives, by reading alone."""

    def work(start: int) -> list[bytes]:
        return [_read(store, name)[1] for name in names[start : start + AT_ONCE]]

    starts = range(0, len(names), AT_ONCE)
    workers = min(MAX_WORKERS, os.cpu_count() or 1)
    content = hashlib.sha256()
    for digests in track(in_order(work, starts, workers), len(starts), "checking images"):
        for digest in digests:
            content.update(digest)
    return content.hexdigest()


def _decode(store: Store, names: Sequence[str], positions: range, form: Form) -> _Task:
    decoded, damaged, digests = list[Decoded](), dict[int, str](), list[bytes]()
    for position in positions:
        data, digest = _read(store, names[position])
        digests.append(digest)
        try:
            if isinstance(data, UserError):
                raise data
            decoded.append(decode_image(data, store.where(names[position]), form))
        except UserError as error:
            damaged[position] = str(error)
    return _Task(decoded, damaged, digests)


def _read(store: Store, name: str) -> tuple[bytes | UserError, bytes]:
    """The content of a file, or why there is none, and its hash."""
    try:
        data = store.read(name)
        return data, hashlib.sha256(data).digest()
    except UserError as error:
        return error, b""


def _complaint(damaged: Sequence[str], total: int, hint: str) -> str:
    if len(damaged) == 1:
        return damaged[0] + hint
    lines = [f"{len(damaged):,} of {total:,} images cannot be used:"]
    lines += [f"  {line}" for line in damaged[:MAX_SHOWN]]
    if len(damaged) > MAX_SHOWN:
        lines.append(f"  and {len(damaged) - MAX_SHOWN:,} more")
    return "\n".join(lines) + hint
