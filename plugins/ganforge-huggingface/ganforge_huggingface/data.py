"""The data set: keys of a run file -> rows of a data set of the library `datasets`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import (
    Context,
    DataSpec,
    Field,
    ImageDataset,
    LabelSpec,
    Samples,
    Split,
    UserError,
    did_you_mean,
)
from ganforge_huggingface.rows import Rows


class HuggingFace(ImageDataset):
    """A data set by its name on the Hugging Face hub, or a folder that `save_to_disk` wrote. Images are
    decoded while training runs."""

    type: Literal["huggingface"] = "huggingface"
    source: ClassVar[str] = (
        "Datasets: A Community Library for Natural Language Processing (Lhoest et al., 2021), "
        "arXiv:2109.02846"
    )
    example: ClassVar[Mapping[str, Any]] = {"data": {"type": "huggingface", "path": "my_data"}}
    path: str = Field(min_length=1, description="A folder, or the name of a data set on the hub: owner/name.")
    config: str = Field("", description="Its configuration; empty = the only one.")
    train: str = Field("train", description="The split to train on, such as train[:90%].")
    test: str = Field("test", description="The split for tests.")
    image: str = Field("image", description="The column with the images.")
    label: str = Field("label", description="The column with the classes, as numbers; used if there are any.")
    classes: tuple[str, ...] = Field(
        (), description="Names of the classes, in their order; empty = no labels."
    )
    image_size: int = Field(64, ge=4, le=1024, description="Height and width in pixels; images are cropped.")
    channels: Literal[1, 3] = Field(3, description="1 = gray, 3 = RGB.")
    download: bool = Field(
        False, description="Fetch it from the hub if it is not on this machine; false = only look here."
    )

    def spec(self) -> DataSpec:
        labels = LabelSpec(kind="one_of_k", names=self.classes) if self.classes else LabelSpec()
        return DataSpec(shape=(self.channels, self.image_size, self.image_size), labels=labels)

    def build(self, split: Split, context: Context) -> Samples:
        dataset = self._opened(self.train if split == "train" else self.test)
        for column in (self.image, *((self.label,) if self.classes else ())):
            if column not in dataset.column_names:
                raise UserError(
                    f"{self.path} has no column '{column}'{did_you_mean(column, dataset.column_names)} "
                    f"(columns: {', '.join(dataset.column_names)}); set data.image and data.label"
                )
        images = Rows(dataset, self.image, self.image_size, self.channels)
        labels = self._labels(dataset) if self.classes else None
        context.say(f"data: {len(images):,} samples of {self.path}")
        return Samples(images, labels, self.mirror, random_crop=self.random_crop)

    def _opened(self, split: str) -> Any:
        # Imported here: it takes seconds, and only a run that uses the data needs it.
        import datasets

        folder = Path(self.path)
        try:
            if (folder / "dataset_dict.json").exists():
                return datasets.load_from_disk(folder)[split]
            if (folder / "state.json").exists():
                return datasets.load_from_disk(folder)
            local = datasets.DownloadConfig(local_files_only=not self.download)
            name = self.config or None
            return datasets.load_dataset(self.path, name, split=split, download_config=local)
        except (OSError, ValueError, KeyError, datasets.exceptions.DatasetsError) as error:
            hint = "" if self.download else ", or set data.download = true to fetch it"
            reason = " ".join(str(error).split())
            raise UserError(
                f"split '{split}' of data set '{self.path}' cannot be opened: {reason:.300}; "
                f"check data.path and data.{'train' if split == self.train else 'test'}{hint}"
            ) from None

    def _labels(self, dataset: Any) -> Tensor:
        """uint8 [M, K], one-hot."""
        numbers = torch.tensor(dataset[self.label][:])
        if numbers.ndim != 1 or numbers.is_floating_point():
            raise UserError(
                f"column '{self.label}' of {self.path} has no classes; expected one number per row"
            )
        known = getattr(dataset.features[self.label], "names", None)
        if known is not None and tuple(known) != self.classes:
            raise UserError(
                f"data.classes does not match the classes of {self.path}; set classes = {list(known)}"
            )
        if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < len(self.classes):
            raise UserError(
                f"column '{self.label}' of {self.path} has numbers from {int(numbers.min())} to "
                f"{int(numbers.max())}, but data.classes names {len(self.classes)} classes"
            )
        return torch.nn.functional.one_hot(numbers, len(self.classes)).to(torch.uint8)
