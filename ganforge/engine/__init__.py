"""The engine: the update, the loop around it, and what both need of the machine."""

from __future__ import annotations

from ganforge.engine.data.batches import Batches
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.distributed.stop_request import Interrupted, StopRequest
from ganforge.engine.loop import Loop
from ganforge.engine.observer import Observer
from ganforge.engine.random import generator_for, stream_seed
from ganforge.engine.sampling.ema import MovingAverage
from ganforge.engine.sampling.grids import Grid
from ganforge.engine.sampling.sampler import GeneratorSampler
from ganforge.engine.update.game import Game
from ganforge.engine.update.player import Player, terms_of

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
