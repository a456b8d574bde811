"""The data set: keys of a run file -> shards and labels."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor
from webdataset.shardlists import expand_urls

from ganforge.api import (
    Context,
    DataSpec,
    Field,
    ImageDataset,
    LabelSpec,
    Samples,
    Split,
    UserError,
)
from ganforge_webdataset.index import Entry, entries_of
from ganforge_webdataset.shards import ShardFiles, Shards

SCHEMES = ("http", "https", "file")


class WebDataset(ImageDataset):
    """Images in sharded tar files, read and decoded while training runs.

    An epoch takes the shards in random order and shuffles the samples of each four of them. A resumed run is
    exact, and each of several processes reads its own share of every batch.
    """

    type: Literal["webdataset"] = "webdataset"
    source: ClassVar[str] = "No paper; the format is that of https://github.com/webdataset/webdataset"
    example: ClassVar[Mapping[str, Any]] = {"data": {"type": "webdataset", "shards": "shards/{000..003}.tar"}}
    shards: str = Field(
        min_length=1,
        description="Paths or URLs (http, https) of the shards; {000..099} counts, and :: separates several.",
    )
    test_shards: str = Field("", description="Those of the test split; empty = there is none.")
    image_size: int = Field(64, ge=4, le=1024, description="Height and width in pixels; images are cropped.")
    channels: Literal[1, 3] = Field(3, description="1 = gray, 3 = RGB.")
    image: tuple[str, ...] = Field(
        ("jpg", "jpeg", "png", "webp"), min_length=1, description="Extensions of the image of a sample."
    )
    label: str = Field(
        "cls",
        description="Extension of the label of a sample: the number of its class, or its name; if many, "
        "names separated by commas, or a JSON list of names. Used if there are classes.",
    )
    classes: tuple[str, ...] = Field((), description="Names of the classes; empty = no labels.")
    many: bool = Field(False, description="A sample has any number of the classes; false = exactly one.")

    @field_validator("shards", "test_shards")
    @classmethod
    def _absolute(cls, shards: str) -> str:
        """Paths are relative to the working folder, and recorded as absolute ones."""
        parts = []
        for part in shards.split("::") if shards else []:
            scheme, separator, _ = part.partition("://")
            if part.startswith("pipe:") or (separator and scheme not in SCHEMES):
                raise ValueError(f"expected a path or a URL of http or https, got {part[:60]!r}")
            parts.append(part if separator else os.path.abspath(part))
        return "::".join(parts)

    def spec(self) -> DataSpec:
        labels = LabelSpec(kind="many_of_k" if self.many else "one_of_k", names=self.classes)
        shape = (self.channels, self.image_size, self.image_size)
        return DataSpec(shape=shape, labels=labels if self.classes else LabelSpec())

    def build(self, split: Split, context: Context) -> Samples:
        wanted = self.shards if split == "train" else self.test_shards
        if not wanted:
            raise UserError("data 'webdataset' has no test split; set data.test_shards")
        urls = expand_urls(wanted)
        files = ShardFiles(urls, context.cache / "webdataset")
        label = self.label.lower() if self.classes else ""
        extensions = tuple(each.lower() for each in self.image)
        entries = []
        for shard in context.track(range(len(urls)), total=len(urls), what="indexing shards"):
            entries.append(_entries(files, shard, extensions, label))
        images = Shards(files, entries, self.image_size, self.channels)
        labels = self._labels(entries, urls) if self.classes else None
        context.say(f"data: {len(images):,} samples in {len(urls):,} shards")
        return Samples(images, labels, self.mirror, random_crop=self.random_crop)

    def _labels(self, entries: list[list[Entry]], urls: list[str]) -> Tensor:
        """uint8 [M, K]."""
        columns = {name: column for column, name in enumerate(self.classes)}
        rows = torch.zeros(sum(map(len, entries)), len(columns), dtype=torch.uint8)
        row = 0
        for url, each in zip(urls, entries, strict=True):
            for entry in each:
                for name in self._names(entry.label):
                    if name not in columns:
                        raise UserError(
                            f"{url}: sample '{entry.key}' has the label '{name:.60}', which is not one of "
                            f"data.classes ({', '.join(self.classes)}); add it"
                        )
                    rows[row, columns[name]] = 1
                row += 1
        return rows

    def _names(self, text: str) -> list[str]:
        """The classes of a sample."""
        if not self.many:
            number = text.isdigit() and text not in self.classes and int(text) < len(self.classes)
            return [self.classes[int(text)] if number else text]
        if text.startswith("["):
            try:
                return [str(name) for name in json.loads(text)]
            except ValueError:
                raise UserError(f"a label is not JSON: {text:.60}; write a list of names") from None
        return [name.strip() for name in text.split(",") if name.strip()]


def _entries(files: ShardFiles, shard: int, images: tuple[str, ...], label: str) -> list[Entry]:
    """The samples of a shard; the index of a remote one is kept, the shard is not."""
    if "://" not in files.urls[shard]:
        return entries_of(Path(files.urls[shard]), images, label)
    kept = files.folder / f"{files.name(shard)}-{'-'.join((*images, label))}.json"
    if kept.exists():
        return [Entry(*row) for row in json.loads(kept.read_text(encoding="utf-8"))]
    found = entries_of(files.path(shard), images, label)
    part = kept.with_suffix(f".{os.getpid()}.part")
    rows = [(entry.key, entry.offset, entry.size, entry.label) for entry in found]
    part.write_text(json.dumps(rows), encoding="utf-8")
    part.replace(kept)
    files.forget(shard)
    return found
