"""The augmentation pipeline of StyleGAN2-ADA with a given strength, a number or a ramp.

Training Generative Adversarial Networks with Limited Data (Karras et al., 2020), arXiv:2006.06676,
section 2.2 and appendix B. R3GAN raises p over its first images.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Callback, Field, Scheduled, UserError
from ganforge_callbacks.pipeline import BGC, Transform, augmented

Strengths = dict[Transform, Annotated[float, Field(ge=0, le=1)]]

TRANSFORMS = Field(
    default_factory=lambda: dict.fromkeys(BGC, 1.0),
    description="Transform -> factor on its probability p. The default is all but cutout, each 1: xflip, "
    "rotate90, xint (shift by whole pixels), scale, rotate, aniso, xfrac, brightness, contrast, lumaflip, "
    "hue, saturation (the published pipeline 'bgc'); for pictures whose sides matter, leave rotate90 and "
    "rotate out.",
)


class Pipeline(Callback):
    """What `augment` and `ada` share: everything that the critic sees is transformed at random."""

    transforms: Strengths = TRANSFORMS

    def probability(self) -> float | Tensor:
        """p: the probability of each transform, by itself."""
        raise NotImplementedError

    def augment(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Images x [N, C, H, W] -> the same shape; raises `UserError` for points [N, D]."""
        if x.ndim != 4:
            raise UserError(
                f"callback '{self.type}': expected images, got samples of shape {list(x.shape[1:])}; "
                "remove it from [[callbacks]]"
            )
        return augmented(x, self.transforms, self.probability(), rng)


class Augment(Pipeline):
    """Augments real images and fakes at random before they reach D; gradients pass through to G.

    At p below 0.8 the generator does not learn the augmentations: the distribution of what is augmented
    is the same only if that of the images is (section 2.2).
    """

    type: Literal["augment"] = "augment"
    source: ClassVar[str] = (
        "Training Generative Adversarial Networks with Limited Data (Karras et al., 2020), arXiv:2006.06676, "
        "section 2.2 and appendix B"
    )

    p: Scheduled = Field(0.2, ge=0, le=1, description="The probability of each transform, by itself.")

    def probability(self) -> float | Tensor:
        return self.p
