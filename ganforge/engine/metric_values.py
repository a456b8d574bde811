"""The numbers of metrics during a run."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ganforge.api import Metric, Samples
from ganforge.components.calls import values_of
from ganforge.engine.distributed.log_reduction import Pool
from ganforge.engine.distributed.stop_request import Interrupted
from ganforge.engine.kernels.matmul_precision import exact_products
from ganforge.engine.sampling.sampler import GeneratorSampler


def measure(
    metrics: Sequence[Metric], sampler: GeneratorSampler, samples: Samples, pool: Pool
) -> dict[str, float] | None:
    """Name -> value, the main process's in all of them; None where a signal cut it short."""
    values: dict[str, float] = {}
    with contextlib.suppress(Interrupted), pool.runtime.cut_short():
        with exact_products():
            for metric in metrics:
                # In every process: the sampler shares the work out among them.
                values |= values_of(metric, sampler, samples)
        return pool.from_main(values)
    return None
