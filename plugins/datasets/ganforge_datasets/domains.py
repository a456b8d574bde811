"""Images of several domains, each with an image of any of them to be translated from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Context, Dataset, DataSpec, Field, LabelSpec, Samples, Split, UserError, in_memory
from ganforge_datasets.conditions_of import edges, grey, outline

Look = Literal["plain", "inverted", "grey", "edges", "outline"]
MAKE: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": lambda images: images,
    "inverted": lambda images: 255 - images,
    "grey": grey,
    "edges": edges,
    "outline": outline,
}
AT_ONCE = 256
"""Images whose look is made at a time."""


class Domains(Dataset):
    """The images of `of`. Conditions: `domain`, which is that of the sample, and, of another sample drawn at
    random, the `image` and its own domain as `origin`. For the task `multi_domain`."""

    type: Literal["domains"] = "domains"
    source: ClassVar[str] = (
        "StarGAN: Unified Generative Adversarial Networks for Multi-Domain Image-to-Image Translation (Choi "
        "et al., 2018), arXiv:1711.09020, section 3"
    )
    example: ClassVar[Mapping[str, Any]] = {
        "task": {"type": "multi_domain"},
        "data": {"type": "domains", "of": {"type": "squares", "labels": "one_of_k"}},
        "nets": {"type": "translator", "width": 4, "blocks": 1, "d_width": 4, "d_layers": 1},
    }
    of: Dataset = Field(description="The data set with the images: a table [data.of].")
    looks: Annotated[tuple[Look, ...], Field(max_length=5)] = Field(
        (),
        description="The domains, made of the images in turn: of 3 looks image 0 has the first, image 1 the "
        "second, and so on, so that no image is in two domains. Empty = the labels of `of` are the domains.",
    )

    def spec(self) -> DataSpec:
        """Raises `UserError` for samples that are no images, and where there are fewer than two domains."""
        inner = self.of.spec()
        if not inner.is_image:
            raise UserError(
                f"data 'domains': expected images, and data '{self.of.type}' has samples of shape "
                f"{inner.shape}; name another data set in [data.of]"
            )
        if not self.looks and inner.labels.kind != "one_of_k":
            raise UserError(
                f"data 'domains': expected data with a class for each image, and data '{self.of.type}' has "
                f"{inner.labels.in_words()}; name another data set in [data.of], or give looks"
            )
        names = self.looks or inner.labels.names
        if len(set(names)) != len(names) or len(names) < 2:
            raise UserError(f"data 'domains': expected two or more different domains, got {', '.join(names)}")
        domain = LabelSpec(kind="one_of_k", names=names)
        parts = {
            "image": LabelSpec(kind="image", size=inner.shape, paired=False),
            "origin": domain.model_copy(update={"paired": False}),
            "domain": domain,
        }
        return DataSpec(shape=inner.shape, labels=LabelSpec(kind="named", parts=parts))

    def build(self, split: Split, context: Context) -> Samples:
        """Images uint8 [M, C, H, W]; conditions `image` (the same), `origin` and `domain` uint8 [M, K]."""
        inner = self.of.build(split, context)
        images = in_memory(inner.images)
        if images.dtype != torch.uint8:
            raise UserError(f"data 'domains': data '{self.of.type}' has no bytes, which conditions are")
        if self.looks:
            images, domain = self._in_looks(images, context)
        else:
            domain = inner.labels
        labels = {"image": images, "origin": domain, "domain": domain}
        return Samples(
            images,
            labels,
            inner.mirror,
            inner.groups,
            inner.random_crop,
            unpaired=("image", "origin"),
        )

    def _in_looks(self, images: Tensor, context: Context) -> tuple[Tensor, Tensor]:
        """Each image in its look, and which that is, uint8 [M, K]."""
        found = torch.empty_like(images)
        which = torch.arange(len(images)) % len(self.looks)
        starts = range(0, len(images), AT_ONCE)
        for start in context.track(starts, len(starts), "making domains"):
            part, looks = images[start : start + AT_ONCE], which[start : start + AT_ONCE]
            for place, look in enumerate(self.looks):
                rows = looks == place
                # One channel, as of edges, fills them all.
                found[start : start + AT_ONCE][rows] = MAKE[look](part[rows]).expand(
                    -1, images.shape[1], -1, -1
                )
        return found, torch.eye(len(self.looks), dtype=torch.uint8)[which]
