"""Which weights of a generator: as trained, or one of its moving averages."""

from __future__ import annotations

from ganforge.api import UserError
from ganforge.config import Ema
from ganforge.engine.sampling.ema import GROUP


def weights_named(name: str | None, ema: Ema, run: object) -> tuple[str, str]:
    """(name, file of a checkpoint) of the weights called `raw`, `ema`, or `ema-HALFLIFE`; by default the
    moving average, if the run keeps one. Raises `UserError` for one that it does not keep."""
    there = {"ema": GROUP} if ema.halflife else {}
    there |= {f"ema-{halflife}": f"{GROUP}_{halflife}" for halflife in ema.also}
    there["raw"] = "network_g"
    if name is None:
        name = next(iter(there))
    if name not in there:
        if name == "ema":
            raise UserError(f"{run} has no moving average (ema.halflife = 0); use --network raw")
        raise UserError(f"{run} has no weights '{name}' (there are: {', '.join(there)})")
    return name, there[name]


def weights_in_words(name: str) -> str:
    """`moving average`, `moving average, half-life 5,000 images`, or `as trained`."""
    if name == "raw":
        return "as trained"
    halflife = name.removeprefix("ema").removeprefix("-")
    return f"moving average, half-life {int(halflife):,} images" if halflife else "moving average"
