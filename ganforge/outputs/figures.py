"""Matplotlib without a display and without its global state."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Format = Literal["png", "svg", "pdf"]
MAX_CURVES = 16
Floats = NDArray[np.floating[Any]]


def blank(width: float, height: float) -> Figure:
    """A figure of this size in inches. Whoever draws nothing does not wait for matplotlib: half a second."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def render(figure: Figure, kind: Format) -> bytes:
    """Renders the figure to a file's bytes."""
    import matplotlib

    file = io.BytesIO()
    # Without a date, the same run gives the same file.
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": None}[kind]
    # Publishers refuse the default of PDF, type-3 fonts; 42 is TrueType.
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "ganforge"}):
        figure.savefig(file, format=kind, dpi=150, metadata=undated)
    return file.getvalue()


def scatter(points: Floats) -> Figure:
    """Points [n, D]: the first two coordinates as a scatter plot, or a histogram if D is 1.
    Non-finite points are left out."""
    points = points[np.isfinite(points).all(axis=1)]
    figure = blank(5, 5)
    axes = figure.add_subplot()
    if points.shape[1] == 1:
        axes.hist(points[:, 0], bins=64)
        return figure
    axes.scatter(points[:, 0], points[:, 1], s=4, alpha=0.6, linewidths=0)
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(alpha=0.3)
    return figure


def curves(waves: Floats) -> Figure:
    """Waves [n, C, L], or the first `MAX_CURVES` of them, one above the other; one color per channel."""
    shown = waves[:MAX_CURVES]
    figure = blank(6, 0.6 * len(shown) + 0.6)
    for axes, wave in zip(
        np.ravel(figure.subplots(len(shown), 1, sharex=True, squeeze=False)), shown, strict=True
    ):
        axes.plot(wave.T, linewidth=0.8)
        axes.set(xlim=(0, max(1, wave.shape[1] - 1)), yticks=[])
    axes.set_xlabel("sample number")
    return figure


def plane(points: Floats, real: Floats, logits: Floats, extent: float) -> Figure:
    """Samples [n, 2] over real points [m, 2] and the contours of the critic's logits [S, S] on the
    square from -extent to extent; brighter is more real."""
    figure = blank(6, 5)
    axes = figure.add_subplot()
    axis = np.linspace(-extent, extent, len(logits))
    if np.isfinite(logits).all():
        contours = axes.contourf(axis, axis, logits, levels=16, cmap="Greys_r", alpha=0.8)
        figure.colorbar(contours, ax=axes, label="critic's logit")
    axes.scatter(real[:, 0], real[:, 1], s=4, alpha=0.5, linewidths=0, color="tab:orange", label="data")
    axes.scatter(points[:, 0], points[:, 1], s=4, alpha=0.6, linewidths=0, color="tab:cyan", label="samples")
    axes.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal")
    axes.legend(loc="upper right", markerscale=3)
    return figure
