"""Noise and interpretable codes, for the term `mutual_information`.

InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial
Nets (Chen et al., 2016), arXiv:1606.03657, section 7.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from ganforge.api import Code, Draw, Field, Prior, Tree

Classes = Annotated[int, Field(ge=2)]


class Codes(Prior):
    """z = [noise | one-hot codes | continuous codes]; noise and continuous codes ~ U(-1, 1).

    The codes are called c1, c2, ...: first the categorical ones, each uniform over its classes,
    then the continuous ones, each one number.
    """

    type: Literal["codes"] = "codes"
    example: ClassVar[Mapping[str, Any]] = {
        "prior": {"type": "codes", "dim": 4, "categorical": [3], "continuous": 2},
        "terms": [{"type": "mutual_information"}],
    }
    source: ClassVar[str] = (
        "InfoGAN: Interpretable Representation Learning by Information Maximizing Generative Adversarial "
        "Nets (Chen et al., 2016), arXiv:1606.03657, section 7.2"
    )

    dim: int = Field(62, ge=1, description="Dimension of the noise, without the codes.")
    categorical: tuple[Classes, ...] = Field(
        (), description="Number of classes of each categorical code, e.g. [10]; [] = none."
    )
    continuous: int = Field(0, ge=0, description="Number of continuous codes; 0 = none.")

    def z_dim(self) -> int:
        return self.dim + sum(self.categorical) + self.continuous

    def codes(self) -> tuple[Code, ...]:
        kinds: list[tuple[Literal["categorical", "continuous"], int]] = [
            *(("categorical", classes) for classes in self.categorical),
            *(("continuous", 1) for _ in range(self.continuous)),
        ]
        return tuple(Code(f"c{i}", kind, width) for i, (kind, width) in enumerate(kinds, start=1))

    def sample(self, n: int, cond: Tree, generator: torch.Generator) -> Draw:
        parts = [_uniform(n, self.dim, generator)]
        targets: dict[str, Tensor] = {}
        for code in self.codes():
            if code.kind == "categorical":
                drawn = torch.randint(code.width, (n,), generator=generator, device=generator.device)
                # Not F.one_hot, which synchronizes to check the classes.
                classes = torch.arange(code.width, device=generator.device)
                parts.append((drawn[:, None] == classes).to(parts[0].dtype))
            else:
                drawn = _uniform(n, code.width, generator)
                parts.append(drawn)
            targets[code.name] = drawn
        return Draw(z=torch.cat(parts, dim=1), cond=cond, codes=targets)

    def code_values(self, code: Code, columns: int) -> tuple[float, ...]:
        if code.kind == "categorical":
            return super().code_values(code, columns)
        # The range of the paper's figure 2, which exceeds the [-1, 1] of training.
        return tuple(torch.linspace(-2, 2, columns).tolist())

    def with_code(self, z: Tensor, code: Code, value: float) -> Tensor:
        start = self.dim
        for each in self.codes():
            if each.name == code.name:
                break
            start += each.width
        changed = z.clone()
        if code.kind == "categorical":
            changed[:, start : start + code.width] = 0.0
            changed[:, start + int(value)] = 1.0
        else:
            changed[:, start : start + code.width] = value
        return changed


def _uniform(n: int, width: int, generator: torch.Generator) -> Tensor:
    """Random numbers [n, width] from U(-1, 1)."""
    return torch.rand(n, width, generator=generator, device=generator.device) * 2 - 1
