"""The engine: the update, the loop around it, and what both need of the machine."""

from __future__ import annotations

from ganforge.engine.batches import Batches
from ganforge.engine.ema import MovingAverage
from ganforge.engine.grids import Grid
from ganforge.engine.loop import Loop
from ganforge.engine.observer import Observer
from ganforge.engine.player import Player, terms_of
from ganforge.engine.runtime import Runtime
from ganforge.engine.sampler import GeneratorSampler
from ganforge.engine.step import Game
from ganforge.engine.stopping import Interrupted, StopRequest
from ganforge.engine.streams import generator_for, stream_seed

__all__ = [
    "Batches",
    "Game",
    "GeneratorSampler",
    "Grid",
    "Interrupted",
    "Loop",
    "MovingAverage",
    "Observer",
    "Player",
    "Runtime",
    "StopRequest",
    "generator_for",
    "stream_seed",
    "terms_of",
]
