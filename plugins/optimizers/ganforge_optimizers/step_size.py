"""Step sizes and decays of Adam and its kind that hardly anybody means.

Adam: A Method for Stochastic Optimization (Kingma and Ba, 2015), arXiv:1412.6980: the effective step is
bounded by about lr, whatever the gradient (section 2.1), and convergence is shown for betas with
b1^2 / sqrt(b2) < 1 (theorem 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence

from ganforge.api import Advice, Ramp

LARGE = 0.05
"""A step of this size replaces weights, which are initialized with a standard deviation of 0.02 to 0.1."""
SMALL = 1e-9
"""Half the distance between two float32 numbers at 0.02: smaller steps are rounded away."""


def on_rate(optimizer: str, rate: float | Ramp) -> list[Advice]:
    """Advice on the largest learning rate of an optimizer that divides gradients by their size."""
    most = max(rate.start, rate.end) if isinstance(rate, Ramp) else rate
    if SMALL < most <= LARGE:
        return []
    effect = "replaces the weights" if most > LARGE else "is rounded away"
    return [
        Advice(
            f"{optimizer}.lr",
            f"optimizer '{optimizer}' moves each weight by about lr each time, whatever the gradient (Kingma "
            f"and Ba, 2015, arXiv:1412.6980, section 2.1), and lr = {most:g} {effect}; usual: 1e-5 to 1e-3",
        )
    ]


def on_decays(optimizer: str, betas: Sequence[float | Ramp]) -> list[Advice]:
    """Advice on the decays of both running means."""
    first, second = betas
    if isinstance(first, Ramp) or isinstance(second, Ramp) or first == 0 or first**2 < second**0.5:
        return []
    return [
        Advice(
            f"{optimizer}.betas",
            f"optimizer '{optimizer}' has betas = [{first:g}, {second:g}], for which updates may diverge "
            "(Kingma and Ba, 2015, arXiv:1412.6980, theorem 4.1: b1^2 < sqrt(b2)); if swapped, write "
            f"[{second:g}, {first:g}]",
        )
    ]
