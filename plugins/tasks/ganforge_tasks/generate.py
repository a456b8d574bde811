"""The plain GAN: samples of one generator against the data.

Generative Adversarial Networks (Goodfellow et al., 2014), arXiv:1406.2661, equation 1; with conditions
Conditional Generative Adversarial Nets (Mirza and Osindero, 2014), arXiv:1411.1784, equation 2.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from ganforge.api import Task


class Generate(Task):
    """D(x, c) against D(G(z, c), c), for a condition c if the data has labels."""

    type: Literal["generate"] = "generate"
    source: ClassVar[str] = (
        "Generative Adversarial Networks (Goodfellow et al., 2014), arXiv:1406.2661, equation 1"
    )
