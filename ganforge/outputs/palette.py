"""Colors that people with any color vision tell apart.

Okabe and Ito, "Color Universal Design", 2008, in an order of falling contrast on white; for dark pages the
same hues lighter. Dashes repeat the distinction without color.
"""

from __future__ import annotations

from typing import Any

LIGHT = ("#0072B2", "#D55E00", "#007D5A", "#B0578D", "#8A6D00", "#3A8FBF", "#444444")
DARK = ("#56B4E9", "#FF9A4D", "#33C79A", "#E7A3CB", "#E6C84B", "#9AD3F5", "#C8C8C8")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
"""Matplotlib's."""
WEB_DASHES: tuple[list[int], ...] = ([], [8, 4], [2, 3], [9, 3, 2, 3])
"""A canvas's, in pixels."""
