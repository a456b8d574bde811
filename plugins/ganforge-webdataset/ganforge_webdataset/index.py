"""Where each sample of a shard is: found by reading the headers of its tar file once."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from webdataset.tariterators import base_plus_ext

from ganforge.api import UserError


@dataclass(frozen=True)
class Entry:
    """A sample of a shard."""

    key: str
    offset: int
    """Of the encoded image in the tar file, in bytes."""
    size: int
    """Of the encoded image, in bytes."""
    label: str
    """The content of the label's file; empty if there is none."""


def entries_of(shard: Path, images: Sequence[str], label: str) -> list[Entry]:
    """The samples of a tar file in its order: members with one key, which is their path up to the first dot
    of the name, are one sample. `images`: extensions of the image; `label`: that of the label, "" = none.
    Raises `UserError` for a damaged file and for samples without image or label."""
    found: dict[str, tuple[int, int]] = {}
    labels: dict[str, str] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                key, extension = base_plus_ext(member.name)
                if not member.isfile() or key is None:
                    continue
                if extension.lower() in images:
                    found[key] = (member.offset_data, member.size)
                elif label and extension.lower() == label:
                    content = tar.extractfile(member)
                    assert content is not None, "a regular file has content"
                    labels[key] = content.read(65_536).decode("utf-8", errors="replace").strip()
    except (OSError, tarfile.TarError) as error:
        raise UserError(f"{shard}: not a readable tar file: {error}; make the shard again") from None
    bare = [key for key in found if label and key not in labels]
    if bare:
        raise UserError(f"{shard}: sample '{bare[0]}' has no .{label}; add it, or change data.label")
    if not found:
        raise UserError(f"{shard}: no member ends in .{', .'.join(images)}; set data.image to the extension")
    return [Entry(key, offset, size, labels.get(key, "")) for key, (offset, size) in found.items()]
