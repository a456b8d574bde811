"""What can go wrong in a run: each diagnosis reads the last rows of the log, newest last.

The thresholds are far from anything observed in healthy runs, rather than close to the first sign of
trouble: an alarm that cries wolf gets switched off.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, ClassVar, NamedTuple

from ganforge.api import Role

Row = Mapping[str, Any]
ROLES: tuple[Role, ...] = ("d", "g")
NAMES = {"d": "the discriminator", "g": "the generator"}


class Symptom(NamedTuple):
    """A row shows the pattern of a diagnosis."""

    players: tuple[Role, ...]
    """The players at fault."""
    what: str
    """What was observed, in words."""


class Diagnosis(ABC):
    """One pattern. A pure function of its arguments."""

    at_once: ClassVar[bool] = False
    """Reported at the first row, even early in the run."""
    advice: ClassVar[str]

    @abstractmethod
    def check(self, rows: Sequence[Row], peaks: Mapping[str, float]) -> Symptom | None:
        """`rows` as the sentinel keeps them, None for non-finite values; `peaks`: the largest value of
        each gradient norm and learning rate before the newest row."""


class NonFinite(Diagnosis):
    """A loss, term, score, gradient or weight is NaN or infinite.

    With float16 a gradient scaler skips such an update and halves its scale, which is normal; then only
    non-finite weights count, or a scale below 1, where gradients overflow unscaled.
    """

    at_once = True
    advice = (
        "lower the learning rate of that player, or set train.clip_grad_norm; "
        "with fp16 try train.precision = 'bf16'"
    )
    smallest_scale = 1.0

    def check(self, rows: Sequence[Row], peaks: Mapping[str, float]) -> Symptom | None:
        row = rows[-1]
        scales = {role: row[f"health/scale_{role}"] for role in ROLES if f"health/scale_{role}" in row}
        small = tuple(role for role, scale in scales.items() if scale < self.smallest_scale)
        kinds = ("health/weights_",) if scales else ("loss/", "term/", "score/", "grad/", "health/weights_")
        bad = [key for key, value in row.items() if value is None and key.startswith(kinds)]
        if small and not bad:
            shown = ", ".join(f"{scales[role]:g} for {NAMES[role]}" for role in small)
            return Symptom(small, f"the gradient scaler fell to {shown}: gradients overflow unscaled")
        if not bad:
            return None
        first, since = _first_bad(row)
        named = first or bad
        at_fault = tuple(role for role in ROLES if f"health/offender/{role}" in row)
        # Logs of older versions name no offender: then it is whoever minimizes what is bad.
        minimizes = tuple(role for role in ROLES if any(_is_of(name, role) for name in named))
        players = at_fault or minimizes or ROLES
        if at_fault and not set(at_fault) & set(minimizes):
            since += f", after a step of {NAMES[at_fault[0]]}"
        layers = [key.split("/", 3)[2:] for key in row if key.startswith("health/bad_layer/")]
        where = "".join(f"; first layer of {NAMES[role]}: {name}" for role, name in layers if role in players)
        return Symptom(players, f"{', '.join(named)} not finite{since}{where}")


class DiscriminatorOverpowers(Diagnosis):
    """The discriminator separates nearly every pair, and the generator's steps no longer raise D(G(z)):
    even on the batch that a step was computed on, D(G(z)) after it does not exceed D(G(z)) before it by
    more than noise, in row after row.

    The first part is the area under D's ROC curve, which has the same meaning for probabilities and
    critics; a healthy critic may well reach 1. The second is measured relative to the gap between D(x)
    and D(G(z)), and scaled by the current fraction of the scheduled learning rate: a healthy step gains
    a thousandth of the gap or more.
    """

    advice = (
        "strengthen the generator (its learning rate, train.g_updates) or weaken the discriminator "
        "(its learning rate, train.d_updates, spectral norm, an r1 term)"
    )
    separation = 0.99
    gain = 1e-4

    def check(self, rows: Sequence[Row], peaks: Mapping[str, float]) -> Symptom | None:
        row = rows[-1]
        told_apart, gain = row.get("health/separation"), row.get("health/g_gain")
        real, fake = row.get("score/real"), row.get("score/fake")
        if told_apart is None or gain is None or real is None or fake is None:
            return None
        rate = row.get("lr/g", 1.0)
        gap = abs(real - fake)
        left = rate / max(rate, peaks.get("lr/g", 0.0)) if rate else 0.0
        if told_apart < self.separation or gain > self.gain * left * gap:
            return None
        return Symptom(
            ("d",),
            f"D separates {told_apart:.1%} of all pairs, and a step of G changes D(G(z)) by {gain:+.2g} "
            f"of the {gap:.2g} between D(G(z)) and D(x)",
        )


class ModeCollapse(Diagnosis):
    """Fakes from different latents are alike: their mean distance is a small fraction of that between
    real samples. For labelled data, also fakes of one label among themselves."""

    advice = (
        "make it harder to fool D with one image: train.d_updates, nets.minibatch_stddev, another loss, "
        "or lower learning rates"
    )
    of_all = 0.05
    within = 0.1

    def check(self, rows: Sequence[Row], peaks: Mapping[str, float]) -> Symptom | None:
        all_pairs, within = (rows[-1].get(f"health/{key}") for key in ("diversity", "diversity_within"))
        if all_pairs is not None and all_pairs < self.of_all:
            return Symptom(
                ("g",), f"distances between fakes are {all_pairs:.1%} of those between real samples"
            )
        if within is not None and within < self.within:
            return Symptom(
                ("g",),
                f"distances between fakes of one label are {within:.1%} of those between its real samples",
            )
        return None


class VanishingGeneratorGradient(Diagnosis):
    """The generator's gradient has vanished: relative to both its largest value in this run and its
    weights, or so small relative to its weights that no optimizer can use it."""

    advice = (
        "use a loss that does not saturate while D wins (bce.saturating = false, hinge), a wider "
        "weight_clip, or a weaker discriminator"
    )
    of_peak = 1e-3
    of_weights = 1e-4
    hopeless = 1e-8

    def check(self, rows: Sequence[Row], peaks: Mapping[str, float]) -> Symptom | None:
        gradient, weights = rows[-1].get("grad/g"), rows[-1].get("health/weights_g")
        peak = peaks.get("grad/g")
        if gradient is None or not weights or not peak:
            return None
        faded = gradient < self.of_peak * peak and gradient < self.of_weights * weights
        if not faded and gradient >= self.hopeless * weights:
            return None
        return Symptom(
            ("d",),
            f"G's gradient has norm {gradient:.2g}; the largest was {peak:.2g}, that of its weights is "
            f"{weights:.2g}",
        )


class Oscillation(Diagnosis):
    """The players overshoot: a single step of G moves its fakes by a large fraction of the distance
    between two samples, in row after row, and D cannot follow.

    Steps that large make no progress. Two samples are 1.4 spreads apart (the square root of 2), so in
    four steps of 0.4 a fake could replace any other; as there is nowhere further to go, the steps cancel
    out, and D, trained on the previous fakes, is wrong about the current ones. Where D recognizes them all
    the same, G is led by it: StyleGAN2 at its published learning rate, in its first 20,000 images.

    The losses are not used. Whether they rise and fall depends on where D's logits drift (those of a
    critic double from row to row once it overshoots), and they are as random as the overshooting itself.
    The distance that fakes move, relative to the samples, has no such scale. On one batch it varies by a
    factor of 5, hence the mean over rows, each clipped at 1.5: further away than another sample is no
    worse.

    Mean over 10 rows, at learning rates 100 times too high: 0.48 and more, at a separation of 0.70 and less
    (runs on points, with three losses); at sensible ones: 0.17 and less (the first iterations of all
    examples on points and on MNIST), 0.28 and less at 0.74 and more (i-CLEVR), 0.54 and less at 0.92 and
    more (StyleGAN2).
    """

    advice = "lower both learning rates, or their betas[0]; a larger train.batch_size helps too"
    window = 10
    far = 0.4
    most = 1.5
    recognized = 0.8

    def check(self, rows: Sequence[Row], peaks: Mapping[str, float]) -> Symptom | None:
        jumps = _known(rows[-self.window :], "health/g_jump")
        separations = _known(rows[-self.window :], "health/separation")
        if min(len(jumps), len(separations)) < self.window:
            return None
        mean, separation = fmean(min(jump, self.most) for jump in jumps), fmean(separations)
        if mean < self.far or separation > self.recognized:
            return None
        return Symptom(
            ("d", "g"),
            f"a step of G moves a fake by {mean:.2g} of the spread of the samples, and D ranks "
            f"{separation:.0%} of pairs of a real sample and a fake correctly, on average over "
            f"{self.window} rows of the log",
        )


def _known(rows: Sequence[Row], name: str) -> list[float]:
    """The values in the rows that have one."""
    return [value for row in rows if (value := row.get(name)) is not None]


class StandingStill(Diagnosis):
    """A player's weights hardly differ from those of the run's first row.

    Adam moves a weight by up to its learning rate per step, whatever the gradient: at a rate of 1e-5, weights
    of 0.02 by 5e-4 of themselves. The threshold is a 5,000th of that per iteration, and stops growing after
    1,000 iterations, since trained weights stay where they are.
    """

    advice = "raise that player's learning rate, and check that its loss depends on it"
    per_iteration = 1e-7
    up_to = 1_000

    def check(self, rows: Sequence[Row], peaks: Mapping[str, float]) -> Symptom | None:
        row = rows[-1]
        # The first values are those of the first row, which is written after one iteration.
        iterations = min(row["iteration"] - 1, self.up_to)
        moved = {role: row.get(f"health/moved_{role}") for role in ROLES}
        still = {
            role: far
            for role, far in moved.items()
            if far is not None and iterations > 0 and far <= self.per_iteration * iterations
        }
        if not still:
            return None
        shown = " and ".join(f"{NAMES[role]} by {far:.1g}" for role, far in still.items())
        return Symptom(
            tuple(still),
            f"relative to their size, the weights have moved since the start only by tiny amounts: {shown}",
        )


DIAGNOSES: dict[str, Diagnosis] = {
    "non_finite": NonFinite(),
    "discriminator_overpowers": DiscriminatorOverpowers(),
    "mode_collapse": ModeCollapse(),
    "vanishing_generator_gradient": VanishingGeneratorGradient(),
    "oscillation": Oscillation(),
    "standing_still": StandingStill(),
}
"""By the name used in run files."""


def _is_of(key: str, role: Role) -> bool:
    """Whether a key of the log, such as `grad/d`, `term/g/x` or `health/weights_d`, is a player's."""
    return f"/{role}/" in f"{key}/" or key.endswith(f"_{role}")


def _first_bad(row: Row) -> tuple[list[str], str]:
    """Which value became non-finite first, and since when, in words."""
    prefix = "health/first_bad/"
    since = {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
    if not since:
        return [], ""
    first = min(since.values())
    iteration = int(first) + 1
    images = iteration * row["images_seen"] // row["iteration"]
    names = sorted(name for name, update in since.items() if update == first)
    return (
        [name for name in names if not name.startswith("score/")] or names,
        f" since iteration {iteration:,} ({images:,} images)",
    )
