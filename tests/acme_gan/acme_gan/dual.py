"""Each real sample against all fakes of the batch, and each fake against all real samples."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import softplus

from ganforge.api import Loss, Play, per_sample


class DualContrast(Loss):
    """V = E_x log(e^D(x) / (e^D(x) + sum_z e^D(G(z)))) + E_z log(e^-D(G(z)) / (e^-D(G(z)) + sum_x e^-D(x))),
    which D maximizes and G minimizes."""

    type: Literal["acme_dual"] = "acme_dual"
    source: ClassVar[str] = (
        "Dual Contrastive Loss and Attention for GANs (Yu et al., 2021), arXiv:2103.09742, section 3"
    )

    def __call__(self, play: Play) -> Tensor:
        real, fake = (per_sample(each.logits) for each in (play.real_verdict, play.fake_verdict))
        value = softplus(_log_sum_exp(fake, play) - real) + softplus(_log_sum_exp(-real, play) + fake)
        return value.mean() if play.role == "d" else -value.mean()


def _log_sum_exp(logits: Tensor, play: Play) -> Tensor:
    """log sum e^x over the samples of all processes: logits [n] -> a scalar."""
    shift = play.mean(logits.detach().max())
    total: Tensor = play.mean((logits - shift).exp().sum()) * play.world
    return total.log() + shift
