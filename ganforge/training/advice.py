"""What the components of a run advise against, and what they refuse."""

from __future__ import annotations

from ganforge.api import Ramp, UserError
from ganforge.api.advice import Advice, RunView
from ganforge.components.faults import blame, fault
from ganforge.config import RunConfig
from ganforge.training.build import Plan


def advice_on(agreed: Plan, processes: int = 1) -> list[Advice]:
    """What the components say, but for what `train.silence` lists. Raises `UserError` with what cannot
    work at all."""
    config = agreed.config
    parts = (
        *(config.data, config.prior, config.nets, config.task, config.loss),
        *(*config.terms, *config.callbacks, *config.metrics),
        *(config.generator.optimizer, config.discriminator.optimizer),
    )
    batch = max(1, config.train.batch_size // (config.train.accumulate * processes))
    around = RunView(agreed.spec, batch, agreed.networks("meta"), parts, processes)
    found: dict[str, Advice] = {}
    for part in parts:
        with blame(part, "advice"):
            said = part.advice(around)
        if not isinstance(said, list) or not all(isinstance(each, Advice) for each in said):
            raise fault(part, "advice returned something else than a list of Advice")
        # Both players may have the same optimizer.
        found.update({each.key: each for each in said})
    for each in _on_average(config):
        found[each.key] = each
    fatal = [each.text for each in found.values() if each.fatal]
    if fatal:
        raise UserError("\n".join(fatal))
    return [each for key, each in found.items() if key not in config.train.silence]


def _on_average(config: RunConfig) -> list[Advice]:
    """A moving average that keeps most of the random initialization until the end."""
    images, given = config.train.images, config.ema.halflife
    halflife = given.at(images) if isinstance(given, Ramp) else given
    if config.ema.rampup or halflife <= images:
        return []
    left = 0.5 ** (images / halflife)
    text = (
        f"ema.halflife = {halflife:,.0f} exceeds train.images = {images:,}, and ema.rampup is off: at the "
        f"end, {left:.0%} of the moving average are still the first weights; lower ema.halflife, or set "
        "ema.rampup"
    )
    return [Advice("ema.halflife", text)]


def in_lines(advice: list[Advice], config: RunConfig) -> list[str]:
    """The keys that have been renamed, then each piece of advice as a line, with what silences it."""
    lines = [*config.renamed]
    for each in advice:
        keys = ", ".join(f'"{key}"' for key in (*config.train.silence, each.key))
        lines.append(f"{each.text} (if it is meant: train.silence = [{keys}])")
    return lines
