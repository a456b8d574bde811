"""The images of files, decoded once and kept, and known again by what the files contain.

An entry's name says which files were asked for, in which form, and ends in a hash of all that was read. Its
record keeps the state (real path, sizes, times, inode numbers) of the files that have had this content: files
in such a state are known without being read. In any other state they are read and hashed, though not
decoded, as a copy or a folder that was moved deserves; and where no entry is for such files at all, they
are decoded, and hashed on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganforge.api import Context
from ganforge.api.cache import touch
from ganforge_datasets.decode import FORMAT, Form
from ganforge_datasets.decode_many import Account, content_hash, decode_images
from ganforge_datasets.image_files import EXAMPLES
from ganforge_datasets.stores import Store
from ganforge_datasets.uint8_cache import cache_key, keep, read_entry, record_of, write_record

MAX_STATES = 16
"""States of files remembered with an entry; the oldest is forgotten."""


class Wanted(NamedTuple):
    """What is to be decoded, and for whom."""

    dataset: str
    """The data set's name."""
    store: Store
    names: Sequence[str]
    form: Form
    holds: str
    """Description of the cache entry, for people."""
    skip_damaged: bool = False
    hint: str = ""
    """Advice appended to a message about damaged files."""


class Found(NamedTuple):
    """Decoded images."""

    images: NDArray[np.uint8]
    """[n, C, H, W], those of damaged files left out."""
    account: Account

    def kept(self, total: int) -> NDArray[np.intp]:
        """The positions of the images among `total` files."""
        return np.array([row for row in range(total) if row not in self.account.damaged], np.intp)


def decoded(wanted: Wanted, context: Context) -> Found:
    """The images of the files, from the cache if it holds them; says what was found in them."""
    found = _cached(wanted, context) or _made(wanted, context)
    for line in _remarks(found.account, wanted):
        context.say(f"data: {line}")
    return found


def _key(wanted: Wanted) -> str:
    return cache_key(wanted.dataset, FORMAT, wanted.form, list(wanted.names), wanted.skip_damaged)


def _cached(wanted: Wanted, context: Context) -> Found | None:
    key = _key(wanted)
    there = {} if context.fresh else _records(context.cache, key)
    if not there:
        return None
    state = wanted.store.state(wanted.names)
    for entry, record in there.items():
        if state in record["states"]:
            return _opened(entry, record, wanted, context)
    content = content_hash(wanted.store, wanted.names, context.track)
    for entry, record in there.items():
        if record["content"] == content:
            found = _opened(entry, record, wanted, context)
            if found is not None:
                write_record(entry, {**record, "states": [*record["states"], state][-MAX_STATES:]})
            return found
    return None


def _records(folder: Path, key: str) -> dict[Path, dict[str, Any]]:
    """The entries for these files, with what is recorded of each."""
    there = {}
    for entry in sorted(folder.glob(f"{key}-*.npy")):
        record = record_of(entry)
        if record is not None and isinstance(record.get("states"), list) and _account(record) is not None:
            there[entry] = record
    return there


def _opened(entry: Path, record: dict[str, Any], wanted: Wanted, context: Context) -> Found | None:
    account = _account(record)
    assert account is not None
    images = read_entry(entry, (len(wanted.names) - len(account.damaged), *wanted.form.shape))
    if images is None:
        context.say(f"data: {entry} is damaged; making it again")
        return None
    touch(entry)
    return Found(images, account)


def _account(record: dict[str, Any]) -> Account | None:
    """The account that a record keeps; None where it is not one of ours."""
    try:
        values = {each.name: record[each.name] for each in fields(Account)}
        damaged = {int(row): str(why) for row, why in values.pop("damaged").items()}
        content = str(values.pop("content"))
        return Account(damaged, **{name: int(value) for name, value in values.items()}, content=content)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _made(wanted: Wanted, context: Context) -> Found:
    # Before the files are read: what changes while they are is noticed the next time.
    state = wanted.store.state(wanted.names)
    account = Account()

    def make() -> Iterator[NDArray[np.uint8]]:
        nonlocal account
        account = Account()
        yield from decode_images(
            wanted.store,
            wanted.names,
            wanted.form,
            context.track,
            account,
            wanted.skip_damaged,
            wanted.hint,
        )

    def finish() -> tuple[Path, dict[str, Any]]:
        record = {"holds": wanted.holds, **asdict(account), "states": [state]}
        return context.cache / f"{_key(wanted)}-{account.content[:16]}.npy", record

    shape = (len(wanted.names), *wanted.form.shape)
    images = keep(context.cache / f"{_key(wanted)}.npy", shape, make, finish, context.say)
    return Found(images, account)


def _remarks(account: Account, wanted: Wanted) -> Iterator[str]:
    """What a user should know of what was done to the images."""
    if account.transparent:
        ground = "#{:02x}{:02x}{:02x}".format(*wanted.form.background)
        yield (
            f"{account.transparent:,} images have transparency, composed on {ground} (data.background)"
            if wanted.dataset == "image_folder"
            else f"{account.transparent:,} images have transparency, composed on {ground}"
        )
    if account.first_of_many:
        yield f"{account.first_of_many:,} images have several frames or pages, of which the first is taken"
    if account.deep:
        white = wanted.form.white_level
        hint = ""
        if account.highest * 4 <= white:
            hint = f": they will be dark; data.white_level = {account.highest} makes that value white"
        yield (
            f"{account.deep:,} images have 16 bits a channel, scaled by 255 / {white:,} to 8 bits "
            f"(data.white_level); the largest value is {account.highest:,}{hint}"
        )
    if account.damaged:
        reasons = list(account.damaged.values())
        more = f"\n  and {len(reasons) - EXAMPLES:,} more" if len(reasons) > EXAMPLES else ""
        shown = "".join(f"\n  {reason}" for reason in reasons[:EXAMPLES])
        yield (
            f"{len(reasons):,} of {len(wanted.names):,} images are damaged and left out "
            f"(data.skip_damaged):{shown}{more}"
        )
