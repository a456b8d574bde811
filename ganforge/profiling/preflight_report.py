"""The preflight in words."""

from __future__ import annotations

from ganforge.config import RunConfig
from ganforge.outputs.progress import duration, throughput
from ganforge.profiling.preflight import Preflight


def preflight_report(name: str, found: Preflight, config: RunConfig) -> str:
    """The preflight in a few lines."""
    shape, labels = "x".join(str(side) for side in found.spec.shape), found.spec.labels
    lines = [
        f"{name}: everything fits together{', but see the warnings' if found.advice else ''}",
        *(f"  warning        {line}" for line in found.advice),
        f"  data           {config.data.type}: {shape}, {labels.in_words()}"
        + (f", at most {labels.most}" if labels.most else ""),
        f"  generator      {config.nets.type}: {found.g_parameters:,} parameters",
        f"  discriminator  {config.nets.type}: {found.d_parameters:,} parameters",
        *_costs(found, config),
        *(f"  note           {note}" for note in found.notes),
    ]
    return "\n".join(lines)


def _costs(found: Preflight, config: RunConfig) -> list[str]:
    """Memory, compute and time; empty where these are not known."""
    if found.cost is None or found.seconds_per_image is None or found.peak_bytes is None:
        return []
    iteration, rates = found.cost.iteration, found.cost.rates
    process = f" including the process's own {_mib(found.process_bytes)}" if found.process_bytes else ""
    return [
        f"  memory         about {_mib(found.peak_bytes)} at batch {config.train.batch_size}{process}; "
        f"{_mib(iteration.kept)} of it weights, gradients and optimizer state; plus the data, "
        f"{found.sample_bytes:,} bytes per sample",
        f"  arithmetic     {iteration.flops / found.images_per_iteration / 1e9:.3g} GFLOP per image; "
        f"matrix rate here {rates.matrix / 1e9:,.0f} GFLOP/s, memory {rates.memory[-1][1] / 1e9:,.0f} GB/s",
        f"  time           about {duration(found.images * found.seconds_per_image)} for "
        f"{found.images:,} images, at {throughput(found.seconds_per_image)}, on {found.device}",
    ]


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB" if size < 10 * 2**30 else f"{size / 2**30:,.1f} GiB"
