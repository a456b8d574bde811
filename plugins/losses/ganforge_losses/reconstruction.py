"""An autoencoder's error, by which encoder and decoder learn (task `autoencode`).

Adversarial Autoencoders (Makhzani et al., 2015), arXiv:1511.05644, section 2: the reconstruction phase, here
in the same update as the adversarial one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast

from torch import Tensor

from ganforge.api import Field, Play, Role, Scheduled, Term, UserError


class Reconstruction(Term):
    """E |x - decoder(encoder(x))|^2, the mean over all numbers of a sample."""

    type: Literal["reconstruction"] = "reconstruction"
    example: ClassVar[Mapping[str, Any]] = {
        "task": {"type": "autoencode"},
        "data": {"type": "squares", "labels": "none"},
        "nets": {"type": "mlp", "g_hidden": [8], "d_hidden": [8]},
    }
    source: ClassVar[str] = "Adversarial Autoencoders (Makhzani et al., 2015), arXiv:1511.05644, section 2"
    players: ClassVar[frozenset[Role]] = frozenset({"g"})

    weight: Scheduled = Field(
        1.0, ge=0, description="Factor on the mean squared error, next to an adversarial loss of about 1."
    )

    def __call__(self, play: Play) -> Tensor:
        if "x" not in play.extra:
            raise UserError(f"term '{self.type}' needs a task that encodes samples: name [task] 'autoencode'")
        decoder = cast(Any, play.generator)["decoder"]
        # codes [N, z_dim] -> samples [N, *shape] -> scalar
        error: Tensor = (decoder(play.fake, play.extra["cond"]) - play.extra["x"]).square().mean()
        return error
