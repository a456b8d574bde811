"""Run files: TOML -> validated configuration."""

from __future__ import annotations

from ganforge.config.load import dump, dumps, load, validate
from ganforge.config.located import located
from ganforge.config.schema import RunConfig, run_schema
from ganforge.config.sections import (
    Ema,
    Health,
    Init,
    LearningRate,
    Logging,
    PlayerConfig,
    Section,
    Train,
    Wandb,
)

__all__ = [
    "Ema",
    "Health",
    "Init",
    "LearningRate",
    "Logging",
    "PlayerConfig",
    "RunConfig",
    "Section",
    "Train",
    "Wandb",
    "dump",
    "dumps",
    "load",
    "located",
    "run_schema",
    "validate",
]
