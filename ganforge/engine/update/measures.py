"""What an update reports: scores, estimates, norms and the signals of health. Nothing learns from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor, nn

from ganforge.api import Loss, Play, Role, Share, Term, leaves, per_sample
from ganforge.components.faults import blame
from ganforge.components.results import check_estimates, check_scalar
from ganforge.engine.instruments.health_signals import FirstBad, jump, separation, weight_norm
from ganforge.engine.instruments.running_means import WHOLE, RunningMeans
from ganforge.engine.update.live import Live


class Measures:
    """Logs what happens in the updates, without waiting for the device.

    Of several comparisons the mean is logged, and for scores each by its name as well.
    """

    def __init__(self, live: Live, device: torch.device, watched: bool) -> None:
        """`watched`: the run's health is monitored, so the signals for it are measured."""
        self.live = live
        self.means = RunningMeans(device)
        self.first_bad = FirstBad() if watched else None

    def objective(self, role: Role, parts: Mapping[str, Tensor], whole: Tensor) -> None:
        """The value of each part of a player's objective, unweighted, and of the whole."""
        for name, value in parts.items():
            kind = "adversarial" if name == "adversarial" else "term"
            self.means.add(f"{kind}/{role}" if kind == name else f"{kind}/{role}/{name}", value)
        self.means.add(f"loss/{role}", whole)

    def verdicts(self, role: Role, plays: Sequence[Play]) -> None:
        """What the loss calls D(x) and D(G(z)) before the step, and what it estimates."""
        if role == "g":
            self._scores("fake_before_g", {play.name: play.fake_verdict.logits for play in plays})
            return
        self._scores("real", {play.name: play.real_verdict.logits for play in plays})
        self._scores("fake", {play.name: play.fake_verdict.logits for play in plays})
        if type(self.live.loss).estimates is not Loss.estimates:
            self._estimates(plays, self.live.loss, _of_loss)

    def term(self, term: Term, plays: Sequence[Play]) -> None:
        """What a term reports in addition to its value."""
        self._estimates(plays, term, lambda each, play: each.estimates(play))

    def callbacks(self, plays: Sequence[Play]) -> None:
        """What the callbacks report."""
        for callback in self.live.reporting:
            self._estimates(plays, callback, lambda each, play: each.estimates(play))

    def gradient_norm(self, role: Role, norm: Tensor) -> None:
        """Of all gradients of a player together."""
        self.means.add(f"grad/{role}", norm)

    def stepped(self, role: Role, network: nn.Module) -> None:
        """After the step of an update that measures."""
        if self.first_bad is not None:
            self.means.add(f"health/weights_{role}", weight_norm(network))

    def separation(self, plays: Sequence[Play]) -> None:
        """How well the discriminator separates the two, where it does so best."""
        if self.first_bad is None:
            return
        shown = [
            separation(
                per_sample(play.real_verdict.logits).detach(), per_sample(play.fake_verdict.logits).detach()
            )
            for play in plays
        ]
        self.means.add("health/separation", shown[0] if len(shown) == 1 else torch.stack(shown).amax())

    def again(self, before: Sequence[Play], fakes: Sequence[Tensor], logits: Sequence[Any]) -> None:
        """The same latents after the generator's step: how they are judged now, and how far they moved."""
        names = [play.name for play in before]
        after = self._scores("fake_after_g", dict(zip(names, logits, strict=True)))
        if self.first_bad is None:
            return
        was = _mean([self._score(self.live.loss, play.fake_verdict.logits) for play in before])
        self.means.add("health/g_gain", after - was)
        if len(before[0].real) > 1:
            moved = [
                jump(play.fake.detach(), fake, play.real) for play, fake in zip(before, fakes, strict=True)
            ]
            self.means.add("health/g_jump", _mean(moved))

    def updated(self) -> None:
        """An update is over."""
        if self.first_bad is not None:
            self.first_bad.tick()
        self.flush()

    def flush(self) -> None:
        """Adds what was logged since the last call to the running means."""
        added = self.means.flush()
        if added is not None and self.first_bad is not None:
            self.first_bad.note(*added)

    def _scores(self, name: str, logits: Mapping[str, Any]) -> Tensor:
        """Logs the mean score of each comparison's logits, and the mean of these."""
        scores = {each: self._score(self.live.loss, tree) for each, tree in logits.items()}
        mean = _mean(list(scores.values()))
        self.means.add(f"score/{name}", mean)
        if len(scores) > 1:
            for each, score in scores.items():
                self.means.add(f"score/{name}/{each}", score)
        return mean

    def _score(self, loss: Loss, logits: Any) -> Tensor:
        values = []
        for leaf in (logits,) if isinstance(logits, Tensor) else leaves(logits):
            with blame(loss, "score"):
                score = loss.score(leaf).mean()
                check_scalar(score, loss, "score")
            values.append(score)
        return _mean(values)

    @torch.no_grad()
    def _estimates(self, plays: Sequence[Play], part: Any, ask: Callable[[Any, Play], Any]) -> None:
        found: dict[str, list[Tensor | Share]] = {}
        for play in plays:
            each = self.live.of(part, play)
            with blame(each, "estimates"):
                estimates = ask(each, play)
                check_estimates(estimates, each)
            for name, value in estimates.items():
                found.setdefault(name, []).append(value)
        for name, values in found.items():
            shares = [value for value in values if isinstance(value, Share)]
            if shares:
                self.means.add(f"estimate/{name}", _mean([share.part for share in shares]))
                self.means.add(f"estimate/{name}{WHOLE}", _mean([share.whole for share in shares]))
            else:
                self.means.add(
                    f"estimate/{name}", _mean([value for value in values if isinstance(value, Tensor)])
                )


def _of_loss(loss: Loss, play: Play) -> dict[str, Tensor]:
    """Of each output of the critic; the mean of these by name."""
    found: dict[str, list[Tensor]] = {}
    outputs = zip(leaves(play.real_verdict.logits), leaves(play.fake_verdict.logits), strict=True)
    for real, fake in outputs:
        estimates = loss.estimates(real.detach(), fake.detach())
        check_estimates(estimates, loss)
        for name, value in estimates.items():
            found.setdefault(name, []).append(value)
    return {name: _mean(values) for name, values in found.items()}


def _mean(values: Sequence[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else reduce(add, values) / len(values)
