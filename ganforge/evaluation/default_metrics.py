"""The metrics of a run that names none, and the judge that they need."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ganforge.api import Context, DataSpec, Metric, Samples, UserError, in_memory
from ganforge.api.judge.judge import CARD, load_judge
from ganforge.components.calls import condition_lists_of
from ganforge.components.comparability import tensor_sha256
from ganforge.components.registry import Registry
from ganforge.config import RunConfig, dump, validate
from ganforge.evaluation.train_judge import JudgeTraining, train_judge

MAX_SAMPLES = 1000
WEAK = 0.9
"""Accuracy on real images below which a judge says little about generated ones."""


def default_metrics(
    config: RunConfig,
    spec: DataSpec,
    samples: Samples,
    registry: Registry,
    context: Context,
    training: JudgeTraining,
) -> Sequence[Metric]:
    """For named labels, how often a judge finds them in the samples, over each list of conditions that the
    data has; otherwise the sliced Wasserstein distance.

    Raises `UserError` if there is nothing to measure by default.
    """
    if spec.labels.kind == "image":
        raise UserError(
            "the run has no [[metrics]], and none is computed by default where conditions are images; pass "
            "some with --metrics FILE.toml"
        )
    tables: list[dict[str, Any]]
    if spec.is_image and spec.labels.width and spec.labels.kind != "vector":
        judge: dict[str, Any] = {
            "type": "condition_accuracy",
            "judge": str(cached_judge(config, samples, context, training)),
        }
        lists = condition_lists_of(config.data)
        tables = [judge | {"conditions": str(file), "name": name} for name, file in lists.items()] or [judge]
    else:
        tables = [{"type": "sliced_wasserstein", "samples": min(MAX_SAMPLES, len(samples))}]
    return validate(dump(config) | {"metrics": tables}, registry, file="default metrics").metrics


def cached_judge(config: RunConfig, samples: Samples, context: Context, training: JudgeTraining) -> Path:
    """The folder of a judge of these images and labels: trained now, or by an earlier evaluation.

    The key is a hash of the images, the labels and the settings.
    """
    assert samples.labels is not None
    settings: dict[str, Any] = asdict(training)
    content = [tensor_sha256(in_memory(samples.images)), tensor_sha256(samples.labels), settings]
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    folder = context.cache / "judges" / key
    if (folder / CARD).is_file():
        try:
            load_judge(folder)
        except UserError as error:
            context.say(f"judge: {error}; training it again")
        else:
            context.say(f"judge: {folder}, trained before on the same data")
            return folder
    limit = f", at most {training.max_minutes:g} minutes" if training.max_minutes else ""
    context.say(f"judge: none of this data yet; training one{limit} (kept in {folder})")
    judge = train_judge(config, training, replace(context, fresh=False))
    judge.save(folder)
    found = judge.card.accuracy["accuracy"]
    context.say(f"judge: {found:.4f} of the labels found in held-out real images")
    if found < WEAK:
        context.say("judge: weak, so every accuracy will be too low; give it more time with --judge-minutes")
    return folder
