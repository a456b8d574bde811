"""A comparison of runs, independent of the output format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """One run's value in one row."""

    text: str
    """Human-readable."""
    raw: str | int | float | None
    """Machine-readable; None for a non-finite number."""
    std: float | None = None
    repeats: int | None = None
    """The number of seeds behind `std`."""
    remark: str = ""


@dataclass(frozen=True)
class Row:
    """One metric or key, and each run's value: None if it has none."""

    name: str
    cells: tuple[Cell | None, ...]
    mark: str = ""
    """Distinguishes rows of one name whose values are not comparable."""
    fingerprint: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} [{self.mark}]" if self.mark else self.name


@dataclass(frozen=True)
class Section:
    """Rows of one kind."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Comparison:
    """Everything that is reported about the runs."""

    runs: tuple[str, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()


def shown(cell: Cell | None) -> str:
    """A cell as text: `0.55 ± 0.05 (n = 10), at 40,000 images`, or a dash if empty."""
    if cell is None:
        return "-"
    text = cell.text
    if cell.std is not None:
        text += f" ± {_deviation(cell.std)}" + (f" (n = {cell.repeats})" if cell.repeats else "")
    return f"{text}, {cell.remark}" if cell.remark else text


def _deviation(value: float) -> str:
    """Two significant digits: more are not known."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def number(value: float | None) -> str:
    """Four significant digits."""
    return "not finite" if value is None else f"{value:.4g}"
