"""The numbers of metrics during a run.

A metric that fails must not end a run that has trained for hours: each is tried at the start, where a fault
costs nothing, and one that fails later is a warning and a missing value.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence

from ganforge.api import Metric, Samples, UserError
from ganforge.components.calls import values_of
from ganforge.components.faults import ComponentFault
from ganforge.engine.distributed.log_reduction import Pool
from ganforge.engine.distributed.stop_request import Interrupted
from ganforge.engine.kernels.matmul_precision import exact_products
from ganforge.engine.sampling.sampler import GeneratorSampler

TRIAL = 2
"""Samples that a metric is tried on."""
COUNTS = ("samples", "real")
"""Fields of metrics with a number of samples."""


def try_out(metrics: Sequence[Metric], sampler: GeneratorSampler, samples: Samples) -> None:
    """Computes each metric on two samples. Raises `UserError` if one is faulty, or needs more real samples
    than there are.

    Some metrics do not work with so few: a metric that fails is computed once as in the run.
    """
    for metric in metrics:
        counts = {name: getattr(metric, name) for name in COUNTS if name in type(metric).model_fields}
        few = {name: TRIAL for name, count in counts.items() if isinstance(count, int) and count > TRIAL}
        enough = counts.get("real", 0) <= len(samples)
        with exact_products():
            try:
                values_of(metric.copied(**few) if enough else metric, sampler, samples)
            except ComponentFault:
                values_of(metric, sampler, samples)
            except UserError:
                # It refuses two samples, or anything that it would refuse later.
                if not enough or not few:
                    raise


def measure(
    metrics: Sequence[Metric], sampler: GeneratorSampler, samples: Samples, pool: Pool
) -> dict[str, float] | None:
    """Name -> value, the main process's in all of them; None where a signal cut it short. A metric that fails
    has the value NaN under its own name, and a warning says why."""
    values: dict[str, float] = {}
    with contextlib.suppress(Interrupted), pool.runtime.cut_short():
        with exact_products():
            for metric in metrics:
                # In every process: the sampler shares the work out among them.
                try:
                    values |= values_of(metric, sampler, samples)
                except UserError as error:
                    values[metric.type] = math.nan
                    pool.say(f"warning: metric/{metric.type} is null here: {error}")
        return pool.from_main(values)
    return None
