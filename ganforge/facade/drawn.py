"""Samples as `Run.sample` returns them: a tensor, images, a grid, a file."""

from __future__ import annotations

import copy
import io
from dataclasses import replace
from pathlib import Path

from PIL import Image
from torch import Tensor

from ganforge.api import Tree, UserError, taken
from ganforge.components.calls import pictures_of
from ganforge.evaluation.sample import TrainedGenerator, Words, in_words, write_grid, write_samples, writing
from ganforge.evaluation.sheets import Sheet
from ganforge.outputs.drawing import as_pictures
from ganforge.outputs.film import write_film
from ganforge.outputs.grid import PICTURES, grid_png, image_of
from ganforge.outputs.labels import Names


class DrawnSamples:
    """Samples and what they were made from. A notebook shows their grid."""

    def __init__(self, sheet: Sheet, generator: TrainedGenerator, seed: int | None) -> None:
        self._sheet = sheet
        self._data = generator.dataset
        self._labels = generator.spec.labels
        self.seed = seed
        """None if the latents were given."""

    @property
    def tensor(self) -> Tensor:
        """[n, *shape] on the CPU, float32; images [n, C, H, W] are in [-1, 1]."""
        return self._sheet.images

    @property
    def z(self) -> Tensor:
        """The latents [n, Z], to be used again in `Run.sample(z=...)`."""
        return self._sheet.z

    @property
    def cond(self) -> Tree:
        """The conditions as the generator gets them: [n, K], images [n, C, H, W], a dict of such, or None."""
        return self._sheet.cond

    @property
    def conditions(self) -> list[Words]:
        """The condition of each sample: names, numbers, or None for an image; a dict of several by name;
        empty if unconditional."""
        return [in_words(self._labels, taken(self.cond, index)) for index in range(len(self))]

    @property
    def columns(self) -> int:
        """Samples in a row of the grid."""
        return self._sheet.columns

    @property
    def names(self) -> Names:
        """What rows and columns of the grid show."""
        return self._sheet.names

    @property
    def images(self) -> list[Image.Image]:
        """Each sample as a PIL image. Raises `UserError` for points and waves, which only `grid` draws."""
        shown = pictures_of(self._data, self.tensor)
        if shown.ndim < 4:
            raise UserError(f"samples of shape {tuple(self.tensor.shape[1:])} are no images; use grid()")
        return [image_of(each) for each in as_pictures(shown)]

    def grid(self) -> Image.Image:
        """All samples in one image, row by row, with the names of rows and columns where these have a
        meaning; points are a scatter plot, waves are curves."""
        return Image.open(io.BytesIO(self._repr_png_()))

    def save(self, path: str | Path) -> Path:
        """Writes the grid to `x.png` (.jpg, .webp); to any other path, a folder with one file per sample
        and `samples.json`. Raises `UserError` if it cannot, or if the folder already holds samples."""
        path = Path(path)
        if path.suffix.lower() in PICTURES:
            return write_grid(self._data, self.tensor, path, self._sheet.columns, self._sheet.names)
        return write_samples(self._data, self._labels, self.tensor, self.cond, self.seed, path)

    def framewise(self) -> DrawnSamples:
        """The same samples with one in each row, so that a film shows one after another."""
        found = copy.copy(self)
        found._sheet = replace(self._sheet, columns=1, names=Names())
        return found

    def save_film(self, path: str | Path, fps: float = 20.0) -> Path:
        """Writes each row of the grid as a frame of an animated .webp or .gif. Raises `UserError` for another
        suffix, and for samples that are no images."""
        path = Path(path)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_film(pictures_of(self._data, self.tensor), self.columns, path, fps)
        return path

    def _repr_png_(self) -> bytes:
        shown = pictures_of(self._data, self.tensor)
        return grid_png(shown, self._sheet.columns, self._sheet.names)

    def __len__(self) -> int:
        return len(self.tensor)

    def __getitem__(self, index: int) -> Tensor:
        return self.tensor[index]

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.tensor.shape[1:]))
        how = "latents given" if self.seed is None else f"seed {self.seed}"
        return f"<{len(self)} samples of {shape}, {how}>"
