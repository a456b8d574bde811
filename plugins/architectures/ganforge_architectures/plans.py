"""The blocks of a residual generator and discriminator for one image size."""

from __future__ import annotations

from dataclasses import dataclass

from ganforge.api import UserError


@dataclass(frozen=True)
class BlockPlan:
    """The blocks for one image side; widths are in multiples of the architecture's width."""

    base: int
    """Side in pixels of the generator's first feature map."""
    g: tuple[int, ...]
    """Widths of the generator's first feature map, then of each block's output."""
    d: tuple[int, ...]
    """Widths of each block's output in the discriminator."""
    halvings: int
    """How many of the discriminator's blocks, from the first, halve the resolution."""

    @property
    def side(self) -> int:
        """Side in pixels of the images."""
        return self.g_sides()[-1]

    def g_sides(self) -> list[int]:
        return [self.base * 2 ** (i + 1) for i in range(len(self.g) - 1)]

    def d_sides(self) -> list[int]:
        return [self.side >> min(i + 1, self.halvings) for i in range(len(self.d))]

    def check_attention(self, nets: str, attention: int) -> None:
        """Raises `UserError` if no feature map of both networks has the side `attention`; 0 is off."""
        shared = sorted({*self.g_sides()} & {*self.d_sides()})
        if attention and attention not in shared:
            raise UserError(
                f"nets '{nets}': attention = {attention} is not the side of a feature map of both networks "
                f"for {self.side}x{self.side} images; use {', '.join(map(str, shared))}, or 0 for off"
            )
