"""The figures that lab sheets ask for, as PNG and PDF."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge.api import UserError
from ganforge.evaluation.per_seed import PerSeed
from ganforge.facade.drawn import DrawnSamples
from ganforge.facade.run import Run
from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.charts import select
from ganforge.outputs.figures import Format, render
from ganforge.outputs.plots import SIZES, draw_charts
from ganforge.outputs.seed_chart import draw_seeds
from ganforge.outputs.sheet_figure import draw_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Figures = Iterator[tuple[str, "Figure"]]
FORMATS: tuple[Format, ...] = ("png", "pdf")
ROWS = 8
STEPS = 9
SAMPLES = 64
EXPECTED = {
    "loss/d": "loss of D",
    "loss/g": "loss of G",
    "score/real": "D(x)",
    "score/fake_before_g": "D(G(z)) before G's update",
    "score/fake_after_g": "D(G(z)) after G's update",
}
"""Curves of every lab sheet."""


@dataclass
class Lab:
    """A lab sheet of one run; `missing` lists what could not be drawn, with the reason."""

    run: Run
    seed: int
    scores: Callable[[], Sequence[PerSeed]] | None
    """Measures the accuracy; None = the sheet has none."""
    missing: list[str]
    measured: Sequence[PerSeed] = ()

    def curves(self) -> Figures:
        """Losses of G, D and Q, and D's outputs before and after G's update."""
        rows = self.run.metrics
        absent = [words for key, words in EXPECTED.items() if not select(rows, key)]
        if absent:
            self.missing.append(f"not in the log: {', '.join(absent)}")
        for chart, figure in draw_charts(rows, SIZES["page"]):
            if chart.name in ("losses", "scores"):
                yield chart.name, figure

    def samples(self) -> Figures:
        drawn = self.run.sample(n=SAMPLES, seed=self.seed)
        if self._drawable(drawn):
            yield "samples", draw_sheet(drawn.tensor, 8, drawn.names, "Samples")

    def conditions(self) -> Figures:
        if self.run.spec.labels.kind not in ("one_of_k", "many_of_k"):
            self.missing.append("the grid of conditions: the data has no named labels")
            return
        drawn = self.run.condition_grid(rows=ROWS, seed=self.seed)
        if self._drawable(drawn):
            yield (
                "conditions",
                draw_sheet(drawn.tensor, drawn.columns, drawn.names, "Conditions across, one noise per row"),
            )

    def codes(self) -> Figures:
        codes = self.run.config.prior.codes()
        if not codes:
            self.missing.append(f"the codes: prior '{self.run.config.prior.type}' has none")
        for code in codes:
            drawn = self.run.traverse(code.name, rows=ROWS, seed=self.seed)
            if self._drawable(drawn):
                title = f"Code {code.name} across, one noise per row"
                yield f"code_{code.name}", draw_sheet(drawn.tensor, drawn.columns, drawn.names, title)

    def interpolation(self) -> Figures:
        drawn = self.run.interpolate(rows=ROWS, steps=STEPS, seed=self.seed)
        if self._drawable(drawn):
            yield "interpolation", draw_sheet(drawn.tensor, drawn.columns, drawn.names, "Between two latents")

    def accuracy(self) -> Figures:
        self.measured = self.scores() if self.scores is not None else ()
        if self.measured:
            values = {each.name.removesuffix("_accuracy"): each.values for each in self.measured}
            ceilings = {
                each.name.removesuffix("_accuracy"): each.ceiling
                for each in self.measured
                if each.ceiling is not None
            }
            title = f"Accuracy over {len(self.measured[0].seeds)} seeds"
            yield "accuracy", draw_seeds(values, ceilings, "share of conditions met", title)

    def _drawable(self, drawn: DrawnSamples) -> bool:
        if drawn.tensor.ndim == 4:
            return True
        self.missing.append(f"grids: samples of shape {tuple(drawn.tensor.shape[1:])} are no images")
        return False


PARTS: dict[str, tuple[Callable[[Lab], Figures], ...]] = {
    "iclevr": (Lab.curves, Lab.conditions, Lab.interpolation, Lab.accuracy),
    "infogan": (Lab.curves, Lab.codes, Lab.interpolation),
    "dcgan": (Lab.curves, Lab.samples, Lab.interpolation),
}
"""Name of a lab sheet -> what it asks for."""


def write_lab(
    kind: str, run: Run, out: Path, seed: int = 0, scores: Callable[[], Sequence[PerSeed]] | None = None
) -> tuple[list[Path], list[str]]:
    """Writes the figures of the sheet `kind` into `out`, each as PNG and PDF, and the values behind the
    accuracy as JSON. Returns the files, and what could not be drawn."""
    lab = Lab(run, seed, scores, [])
    written = []

    def write(name: str, content: bytes) -> None:
        with _refused(out):
            write_bytes(out / name, content)
        written.append(out / name)

    with _refused(out):
        out.mkdir(parents=True, exist_ok=True)
    for part in PARTS[kind]:
        try:
            figures = list(part(lab))
        except UserError as error:
            lab.missing.append(f"{part.__name__}: {error}")
            continue
        for name, figure in figures:
            for form in FORMATS:
                write(f"{name}.{form}", render(figure, form))
    if lab.measured:
        rows = [vars(each) for each in lab.measured]
        write("accuracy.json", (json.dumps(rows, indent=1) + "\n").encode())
    return written, list(dict.fromkeys(lab.missing))


@contextmanager
def _refused(out: Path) -> Iterator[None]:
    """Names the folder that cannot be written; a file of the data that cannot be read is another matter."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{out}: {error.strerror}; choose another folder with --out") from error
