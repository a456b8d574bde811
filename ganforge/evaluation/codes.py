"""Interpretable codes of the latent (InfoGAN), chosen by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from ganforge.api import Code, Prior, UserError
from ganforge.components.faults import blame


def parse_codes(texts: Sequence[str]) -> dict[str, float]:
    """`["c1=3", "c2=-0.5"]` -> name and value of each. Raises `UserError` for anything else."""
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise UserError(f"--code {text}: expected NAME=VALUE, such as --code c1=3") from None
    return found


def find_code(prior: Prior, name: str) -> Code:
    """The code of this name. Raises `UserError` with the codes that there are."""
    codes = prior.codes()
    for code in codes:
        if code.name == name:
            return code
    if not codes:
        raise UserError(
            f"prior '{prior.type}' has no codes, so '{name}' cannot be chosen; codes need prior 'codes' in "
            "the run file"
        )
    raise UserError(f"no code is called '{name}' (codes: {', '.join(map(_in_words, codes))})")


def set_codes(prior: Prior, z: Tensor, codes: Mapping[str, float]) -> Tensor:
    """Latents [n, Z] with the codes set. Raises `UserError` for a value that a code cannot have."""
    for name, value in codes.items():
        code = find_code(prior, name)
        if code.kind == "categorical" and value not in range(code.width):
            raise UserError(f"code '{name}' is a class: expected 0 to {code.width - 1}, got {value:g}")
        if not math.isfinite(value):
            raise UserError(f"code '{name}': expected a finite number, got {value:g}")
        with blame(prior, "with_code"):
            z = prior.with_code(z, code, value)
    return z


def _in_words(code: Code) -> str:
    """`c1, 10 classes`; a number is known by its name alone."""
    return f"{code.name} = 0 to {code.width - 1}" if code.kind == "categorical" else f"{code.name}, a number"
