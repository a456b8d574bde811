"""Optuna's study of a sweep. Optuna is an extra, so it is imported only when a sweep needs it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.api import UserError
from ganforge.sweep.spec import Pruner, Sampler, Storage, Sweep

if TYPE_CHECKING:
    import optuna

HYPERBAND_RUNGS = 27
"""A trial's length over the first rung's, if the sweep file does not set it: with factor 3, Hyperband's
brackets then have up to four rungs."""


def need_optuna() -> None:
    """Raises `UserError` if Optuna is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise UserError("a sweep needs Optuna, which is not installed; type: pip install 'ganforge[sweep]'")


def open_study(folder: Path, name: str, sweep: Sweep, images: int) -> optuna.Study:
    """The study `name`, created if it does not exist; call it while holding the folder's lock.

    `images`: the length of a trial. Raises `UserError` if the storage cannot be reached.
    """
    need_optuna()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        storage=_storage(sweep.storage, folder),
        study_name=name,
        direction=sweep.objective.direction,
        pruner=_pruner(sweep.pruner, images),
        load_if_exists=True,
    )


def sampler_of(section: Sampler, number: int) -> optuna.samplers.BaseSampler:
    """The sampler of trial `number`. Each trial has its own: workers that shared a seed would otherwise
    repeat each other, and a continued sweep would repeat itself."""
    import optuna

    seed = (section.seed * 1_000_003 + number) % 2**32
    if section.type == "tpe":
        return optuna.samplers.TPESampler(n_startup_trials=section.startup, seed=seed, constant_liar=True)
    return optuna.samplers.RandomSampler(seed=seed)


def _pruner(section: Pruner, images: int) -> optuna.pruners.BasePruner:
    import optuna

    if section.type == "median":
        return optuna.pruners.MedianPruner(section.startup, section.warmup_images)
    if section.type == "hyperband":
        first = section.warmup_images or max(1, images // HYPERBAND_RUNGS)
        return optuna.pruners.HyperbandPruner(first, images, section.factor)
    return optuna.pruners.NopPruner()


def _storage(section: Storage, folder: Path) -> optuna.storages.BaseStorage:
    import optuna

    if section.type == "journal":
        from optuna.storages.journal import JournalFileBackend

        return optuna.storages.JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    if section.type == "sqlite":
        # Workers wait for each other's writes, which are short.
        return _database(f"sqlite:///{folder.absolute() / 'study.db'}", str(folder), {"timeout": 60})
    given = os.environ.get(section.url_from)
    if not given:
        raise UserError(
            f"the environment variable {section.url_from} must hold the URL of the database; type: "
            f"export {section.url_from}=postgresql://user@host/database"
        )
    if importlib.util.find_spec("psycopg") is None:
        raise UserError(
            "PostgreSQL needs its driver, which is not installed; type: pip install 'psycopg[binary]'"
        )
    _, mark, place = given.partition("://")
    if not mark or not given.startswith(("postgresql", "postgres:")):
        # The URL itself is not shown: it may hold a password.
        raise UserError(
            f"{section.url_from}: expected a URL of the form postgresql://user:password@host/database"
        )
    return _database(f"postgresql+psycopg://{place}", section.url_from, {"connect_timeout": 10})


def _database(url: str, called: str, connect_args: dict[str, Any]) -> optuna.storages.BaseStorage:
    import optuna
    from sqlalchemy.exc import ArgumentError, DBAPIError

    try:
        return optuna.storages.RDBStorage(
            url, engine_kwargs={"pool_pre_ping": True, "connect_args": connect_args}
        )
    except ArgumentError:
        raise UserError(
            f"{called}: expected a URL of the form postgresql://user:password@host/database"
        ) from None
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        raise UserError(f"{called}: cannot use the database: {said:.200}") from None
