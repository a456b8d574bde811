"""Guide: a frozen classifier of real images must find its condition in each fake.

The classifier's gradient of Plug & Play Generative Networks (Nguyen, Clune, Bengio, Dosovitskiy & Yosinski,
2017), arXiv:1612.00005, equation 5, followed on into the generator's weights. AC-GAN's classifier must be
learned first, on a trunk that also discriminates; this one knows the labels from the first update on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import PrivateAttr
from torch import Tensor

from ganforge.api import (
    AbsolutePath,
    Advice,
    DataSpec,
    Field,
    Play,
    Role,
    RunView,
    Scheduled,
    Shapes,
    Share,
    Term,
    memory,
    rows,
)
from ganforge.api.judge.judge import load_judge
from ganforge_losses.auxiliary_classifier import labels_found


class Guide(Term):
    """-E log P(label | G(z, label)) in nats, in the generator's update; many of K: the sum over K independent
    labels. Each fake is shifted at random first, so that what is found does not hang on single pixels.

    The guide and the judge that measures `condition_accuracy` must be two networks: by the one it learned
    from, a generator is rated too high.
    """

    type: Literal["guide"] = "guide"
    source: ClassVar[str] = (
        "Plug & Play Generative Networks: Conditional Iterative Generation of Images in Latent Space "
        "(Nguyen, Clune, Bengio, Dosovitskiy & Yosinski, 2017), arXiv:1612.00005, equation 5"
    )
    players: ClassVar[frozenset[Role]] = frozenset({"g"})

    weight: Scheduled = Field(
        0.05,
        ge=0,
        description="Factor on the loss. The gradient of a classifier is 6 to 30 times that of a spectrally "
        "normalized discriminator: with a weight of 1, G learns patterns that please classifiers.",
    )
    judge: AbsolutePath = Field(
        description="The classifier: a folder from 'ganforge judge train', such as with --architecture plain "
        "--seed 1; not the judge that measures the run."
    )
    shift: float = Field(
        0.0625, ge=0, le=0.5, description="Largest shift of a fake, as a share of its side; 0 = off."
    )
    _network: Any = PrivateAttr(None)
    _softmax: bool = PrivateAttr(False)
    _found: Tensor = memory(0.0, each=True)
    _wanted: Tensor = memory(0.0, each=True)

    def prepare(self, spec: DataSpec, shapes: Shapes) -> None:
        self._network = load_judge(self.judge, spec).network
        self._softmax = spec.labels.kind == "one_of_k"

    def advice(self, run: RunView) -> list[Advice]:
        """A generator is not rated by the network that it learned from."""
        mine = self.judge.resolve()
        rated = [
            each.type
            for each in run.components
            if each is not self
            and each.type != self.type
            and isinstance(path := getattr(each, "judge", None), Path)
            and path.resolve() == mine
        ]
        if not rated:
            return []
        text = (
            f"metric '{rated[0]}' measures with {self.judge}, from which the generator also learns by term "
            f"'{self.type}', and finds too much; train one of another architecture and seed for the term: "
            "'ganforge judge train CONFIG --architecture plain --seed 1 --out guide'"
        )
        return [Advice("guide.same_judge", text)]

    def __call__(self, play: Play) -> Tensor:
        cond = play.fake_cond
        outputs = self._network(shifted(play.fake, self.shift, play.rng))  # [N, K]
        found, wanted = labels_found(outputs.detach(), cond)
        self._found.copy_(found)
        self._wanted.copy_(wanted)
        if self._softmax:
            return F.cross_entropy(outputs, cond)
        return F.binary_cross_entropy_with_logits(outputs, cond, reduction="sum") / len(outputs)

    def estimates(self, play: Play) -> dict[str, Share]:
        """The share of the fakes' k labels among the guide's top k outputs."""
        return {"guide_accuracy": Share(self._found.clone(), self._wanted.clone())}


def shifted(x: Tensor, share: float, rng: torch.Generator) -> Tensor:
    """Images x [N, C, H, W], each shifted at random by up to `share` of its sides, the border replicated."""
    n, channels, height, width = x.shape
    if not share:
        return x
    most = torch.tensor([round(share * height), round(share * width)], device=x.device)

    def draw(n: int, rng: torch.Generator) -> Tensor:
        return torch.rand(n, 2, generator=rng, device=x.device)

    offsets = (rows(rng, n, draw) * (2 * most + 1)).floor().long() - most  # [N, 2]
    row = (torch.arange(height, device=x.device) + offsets[:, :1]).clamp(0, height - 1)  # [N, H]
    column = (torch.arange(width, device=x.device) + offsets[:, 1:]).clamp(0, width - 1)  # [N, W]
    first = torch.arange(n, device=x.device)[:, None, None] * (height * width)  # [N, 1, 1]
    pixel = first + row[:, :, None] * width + column[:, None]  # [N, H, W]
    # Pixels as rows of channels: a view of channels-last images, and stays one.
    moved = x.permute(0, 2, 3, 1).reshape(-1, channels).index_select(0, pixel.flatten())
    return moved.reshape(n, height, width, channels).permute(0, 3, 1, 2)
