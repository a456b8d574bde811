"""Runs side by side, before it is decided how that looks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cell:
    """What one run has to say to one row."""

    text: str
    """As people read it."""
    raw: str | int | float | None
    """As a program reads it; None for a number that is not finite."""
    std: float | None = None
    repeats: int | None = None
    """The number of seeds behind `std`."""
    remark: str = ""


@dataclass(frozen=True)
class Row:
    """One figure or key, and what each run has: None where it has none."""

    name: str
    cells: tuple[Cell | None, ...]
    mark: str = ""
    """Tells rows of one name apart, whose numbers must not be compared."""
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
    """Everything that is said of the runs."""

    runs: tuple[str, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()


def shown(cell: Cell | None) -> str:
    """A cell as text: `0.55 ± 0.05 (n = 10), at 40,000 images`, or a dash for nothing."""
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
