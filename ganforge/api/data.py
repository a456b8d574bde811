"""What a data set declares before it is opened, and what it returns when it is."""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer, model_validator
from torch import Tensor

from ganforge.api.component import Component
from ganforge.api.errors import UserError, nearest
from ganforge.api.stored import Images
from ganforge.api.survey import LabelWish, Survey
from ganforge.api.tree import Tree

LabelKind = Literal["none", "one_of_k", "many_of_k", "vector", "image", "named"]
Split = Literal["train", "test"]
T = TypeVar("T")
NAME = re.compile(r"[A-Za-z_]\w*")
"""Of one of several conditions."""


class LabelSpec(BaseModel):
    """What a label is: a float row of width K (one-hot, multi-hot, or a real vector), an image, or several
    of these by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: LabelKind = "none"
    names: tuple[str, ...] = ()
    """The K classes, attributes or dimensions, in the order of the columns."""
    most: int | None = None
    """Many of K: the maximum number of labels per sample; None = no limit."""
    least: int = 0
    """Many of K: the minimum number of labels per sample."""
    size: tuple[int, ...] = ()
    """An image: its (C, H, W). Empty for every other kind."""
    paired: bool = True
    """A sample has a condition of its own; False = conditions are a collection of their own, as
    `Samples.paired` and `Samples.unpaired` have it, which tasks that need pairs refuse."""
    parts: Mapping[str, LabelSpec] = {}
    """Several by name: what each of them is. Empty for every other kind."""

    @model_validator(mode="after")
    def _has_parts_if_named(self) -> Self:
        if (self.kind == "named") != bool(self.parts):
            raise ValueError(f"labels of kind '{self.kind}' got {len(self.parts)} parts")
        for name, part in self.parts.items():
            if not NAME.fullmatch(name):
                raise ValueError(
                    f"expected letters, digits and _ as the name of a condition, got {name!r:.60}"
                )
            if part.kind in ("none", "named"):
                raise ValueError(f"condition '{name}' cannot be of kind '{part.kind}'")
        if self.parts and (self.names or self.most is not None):
            raise ValueError("labels of kind 'named' have no names and no most; their parts do")
        return self

    @model_serializer(mode="wrap")
    def _without_empty_parts(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Files of runs with a single condition are as they were before there were parts.
        found: dict[str, Any] = handler(self)
        if not self.parts:
            found.pop("parts", None)
        if self.paired:
            found.pop("paired", None)
        return found

    @model_validator(mode="after")
    def _has_a_size_if_an_image(self) -> Self:
        if self.kind == "image" and (len(self.size) != 3 or min(self.size) < 1):
            raise ValueError(f"labels of kind 'image' need size = (C, H, W), got {self.size}")
        if self.kind == "image" and (self.names or self.most is not None):
            raise ValueError("labels of kind 'image' have no names and no most")
        if self.kind != "image" and self.size:
            raise ValueError(f"labels of kind '{self.kind}' have no size, got {self.size}")
        return self

    @property
    def width(self) -> int:
        """K; 0 if there are no labels, or if they are images."""
        return len(self.names)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one condition: (K,), or (C, H, W) of an image; () if there are no labels.

        Raises `UserError` for several by name, which have a shape each."""
        if self.parts:
            raise UserError(
                f"expected a single condition, got {len(self.parts)} by name ({', '.join(self.parts)})"
            )
        return self.size if self.kind == "image" else (self.width,) if self.width else ()

    @property
    def numbers(self) -> int:
        """How many numbers one condition has, over all of its parts: K, or C * H * W of an image."""
        return (
            sum(part.numbers for part in self.parts.values()) if self.parts else math.prod(self.shape or (0,))
        )

    @property
    def each(self) -> Mapping[str, LabelSpec]:
        """The conditions by name; a single one has the name ""; none if there are no labels."""
        return self.parts or ({} if self.kind == "none" else {"": self})

    def mapped(self, function: Callable[[LabelSpec], Any]) -> Tree:
        """`function` of the condition, or a dict of those of several; None if there are no labels."""
        found = {name: function(part) for name, part in self.each.items()}
        return found if self.parts else found.get("")

    def in_words(self) -> str:
        """`no labels`, `many of 24 labels`, `images of 3x64x64`."""
        if self.kind == "none":
            return "no labels"
        if self.kind == "image":
            return f"images of {'x'.join(map(str, self.size))}"
        if self.kind == "named":
            return "; ".join(f"{name}: {part.in_words()}" for name, part in self.parts.items())
        words = {"one_of_k": "one of", "many_of_k": "many of", "vector": "a vector of"}
        return f"{words[self.kind]} {self.width} labels"

    def encode(self, names: Iterable[str]) -> Tensor:
        """Label names -> a float row [K], one-hot or multi-hot.

        Raises `UserError` for an unknown name (with the nearest ones and the list), a duplicate name,
        too many names, or labels that are not names.
        """
        wanted = [unicodedata.normalize("NFC", name.strip()) for name in names]
        columns = {unicodedata.normalize("NFC", name): index for index, name in enumerate(self.names)}
        if self.kind == "none":
            raise UserError("the data has no labels, so there are no conditions to choose from")
        if self.kind == "named":
            raise UserError(f"expected conditions by name ({', '.join(self.parts)}), got names of labels")
        if self.kind == "image":
            shape = "x".join(map(str, self.size))
            raise UserError(f"the condition is an image of {shape} (channels x height x width), not names")
        if self.kind == "vector":
            raise UserError(
                f"the condition is a vector of {self.width} numbers ({', '.join(self.names)}), not names"
            )
        for name in wanted:
            if name not in columns:
                close = nearest(name, columns)
                hint = f"; nearest: {', '.join(map(quoted, close))}" if close else ""
                if close and not (name + close[0]).isascii():
                    hint += f" (got {name!a}, and that is {close[0]!a})"
                raise UserError(
                    f"unknown label '{name}'{hint} (labels: {', '.join(map(quoted, self.names))})"
                )
        for name in wanted:
            if wanted.count(name) > 1:
                raise UserError(f"label '{name}' is listed twice in one condition")
        most = 1 if self.kind == "one_of_k" else self.most
        least = 1 if self.kind == "one_of_k" else self.least
        if len(wanted) < least or (most is not None and len(wanted) > most):
            wish = "exactly 1 label" if least == most == 1 else f"{least} to {most or self.width} labels"
            raise UserError(
                f"expected {wish} per condition, got {len(wanted)}: {', '.join(wanted) or '(none)'}"
            )
        row = torch.zeros(self.width)
        row[[columns[name] for name in wanted]] = 1.0
        return row

    def parse(self, text: str) -> list[str]:
        """`"red cube, blue sphere"` -> the names. One that has a comma may stand in double quotes, and is
        recognized without them; an empty text names none."""
        try:
            (parts,) = csv.reader([text], skipinitialspace=True, strict=True) if text.strip() else [[]]
        except (csv.Error, ValueError):
            parts = text.split(",")
        found = list[str]()
        known = {unicodedata.normalize("NFC", name) for name in self.names}
        while parts:
            # The longest run of parts that is one name.
            joined = (", ".join(part.strip() for part in parts[:size]) for size in range(len(parts), 1, -1))
            name = next((each for each in joined if unicodedata.normalize("NFC", each) in known), parts[0])
            parts = parts[name.count(",") + 1 if name != parts[0] else 1 :]
            found.append(name.strip())
        return [name for name in found if name]

    def decode(self, row: Tensor) -> list[str]:
        """A one-hot or multi-hot row [K] -> the names it carries."""
        return [name for name, on in zip(self.names, row.tolist(), strict=True) if on > 0.5]


def quoted(name: str) -> str:
    """A label as `LabelSpec.parse` reads it: in double quotes if it has a comma or such quotes."""
    return '"' + name.replace('"', '""') + '"' if "," in name or '"' in name else name


class DataSpec(BaseModel):
    """Everything that the networks need to know about the data; known without opening a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[int, ...]
    """One sample: (C, H, W) for images, (D,) for points."""
    labels: LabelSpec = LabelSpec()

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3


@dataclass(frozen=True)
class Samples:
    """A data set at rest: in memory, memory-mapped, or read batch by batch.

    `images` is uint8 [M, C, H, W], 0 to 255; or float32 [M, D] for points, used as they are.
    `labels` is [M, K] (uint8 for one-hot and multi-hot, float32 for vectors), uint8 [M, C, H, W] for
    images (0 to 255; networks receive them in [-1, 1]), a dict of such by name, or None.
    """

    images: Images
    """A tensor, or a `Stored`, which is read batch by batch; both take `images[rows]` and `len(images)`."""
    labels: Tree = None
    mirror: bool = False
    """Images may be flipped left to right at random during training."""
    groups: Tensor | None = None
    """int64 [M]: samples of one group (images of one scene, say) are similar and belong on the same side of
    any split; None if samples are independent."""
    random_crop: int = 0
    """During training an image is padded by this many pixels (reflect) on each side and cropped randomly to
    its original size; 0 = off."""
    paired: bool = True
    """Label i belongs to image i. False = the labels are a collection of their own, of any length."""
    unpaired: Collection[str] = ()
    """Of several conditions by name, those that are a collection of their own: of any length, the same for
    all of them, and drawn together."""

    def __len__(self) -> int:
        return int(self.images.shape[0])


class Track(Protocol):
    """Wraps an iterable in a progress bar that appears after two seconds."""

    def __call__(self, items: Iterable[T], total: int, what: str) -> Iterator[T]: ...


@dataclass(frozen=True)
class Context:
    """What a data set may use while it is opened."""

    cache: Path
    """The user's cache folder for decoded data; may be deleted at any time."""
    say: Callable[[str], None]
    """Shows one line to the user."""
    track: Track
    fresh: bool = False
    """Decoded data that are in the cache already are not used, but made again."""


class Dataset(Component):
    """`[data]`: samples and their labels."""

    kind: ClassVar[str] = "data"

    @abstractmethod
    def spec(self) -> DataSpec:
        """Shape and labels; opens no file."""

    @abstractmethod
    def build(self, split: Split, context: Context) -> Samples:
        """Opens the data. Raises `UserError` with the file's name for anything missing or damaged."""

    @classmethod
    def survey(cls, root: Path, labels: LabelWish, names: tuple[str, ...] = ()) -> Survey:
        """What is in `root`, for `ganforge new`; decodes no image. Raises `UserError` if there is nothing to
        train on, and by default: only data sets of loose files need this."""
        raise UserError(
            f"data '{cls.type_name()}' cannot describe a folder, so no run file can be written for it; "
            f"'ganforge plugins show data {cls.type_name()}' lists its keys"
        )

    def condition_lists(self) -> Mapping[str, Path]:
        """The lists of conditions that results on this data are reported for, as JSON files by their name;
        none by default."""
        return {}

    def picture(self, samples: Tensor) -> Tensor:
        """What is drawn of samples [n, *shape]: images [n, C, H, W] in [-1, 1], waves [n, C, L], or points
        [n, D]; by default the samples as they are. For samples that are not to be seen as they are, such as
        latents of a decoder."""
        return samples

    def write(self, sample: Tensor, stem: Path) -> Path | None:
        """Writes one sample [*shape] to a file whose name is `stem` with a suffix, and returns it; None, the
        default, leaves it to ganforge: PNG for images, .npy for anything else. `write_wav` writes audio."""
        return None
