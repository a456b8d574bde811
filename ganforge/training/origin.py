"""The origin of a run as recorded in run.json: plugins, data, device, metrics, command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ganforge.api import Component, Role, Task
from ganforge.components.comparability import depends_on, describe, fingerprint
from ganforge.components.registry import Registry
from ganforge.config import RunConfig, dump
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.instruments.memory import gpu_name
from ganforge.engine.loop import Loop
from ganforge.outputs.provenance import provenance
from ganforge.training.build import Plan


def origin_of(agreed: Plan, registry: Registry, runtime: Runtime, command: str) -> dict[str, Any]:
    """What is known before the data are opened. Raises `UserError` for a missing file of a metric."""
    return provenance(plugins_of(agreed.config, registry)) | {
        "data_spec": agreed.spec.model_dump(mode="json"),
        "device": str(runtime.device),
        "gpu": gpu_name(runtime.device),
        "processes": runtime.world,
        "metrics": _metrics(agreed),
        "seed": agreed.config.train.seed,
        "run_command": command,
    }


def plugins_of(config: RunConfig, registry: Registry) -> list[dict[str, str]]:
    """The plugins that the run uses, with their versions."""
    used: list[Component] = [
        config.data,
        config.prior,
        config.nets,
        config.loss,
        *config.terms,
        *config.callbacks,
    ]
    if type(config.task).compare is not Task.compare:
        used.append(config.task)
    used += [*config.metrics, config.generator.optimizer, config.discriminator.optimizer]
    plugins = {registry.provider(type(part)) for component in used for part in _with_inner(component)}
    return [
        {"name": plugin.name, "distribution": plugin.distribution, "version": plugin.version}
        for plugin in sorted(plugins, key=str)
    ]


def _with_inner(component: Component) -> Iterator[Component]:
    """The component and those in its fields."""
    yield component
    for _, value in component:
        if isinstance(value, Component):
            yield from _with_inner(value)


def parameters_of(loop: Loop) -> dict[str, int]:
    """Network -> number of its trainable weights."""
    names: dict[Role, str] = {"g": "generator", "d": "discriminator"}
    return {
        names[role]: sum(part.numel() for part in player.network.parameters())
        for role, player in loop.game.players.items()
    }


def frozen_of(loop: Loop) -> dict[str, dict[str, str]]:
    """`frozen` of run.json, if there is any: the frozen networks that components use, with the SHA-256 of
    their weights."""
    hashes = loop.game.live.hashes()
    return {"frozen": hashes} if hashes else {}


def _metrics(agreed: Plan) -> list[dict[str, Any]]:
    """What the values of each metric will depend on. Raises `UserError` for a missing file now, rather
    than when the metric is first computed."""
    config, spec, found = agreed.config, agreed.spec, []
    for metric in config.metrics:
        described = describe(metric, spec)
        conditions = depends_on(metric, spec, described, data=dump(config)["data"])
        found.append({**described, "depends_on": conditions, "fingerprint": fingerprint(conditions)})
    return found
