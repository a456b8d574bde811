"""What a metric's values depend on, and a fingerprint of it: values with equal fingerprints are comparable.

The seed, the number of repeats and the label of a value are excluded: they change its precision, not its
meaning.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganforge.api import DataSpec, Metric, UserError
from ganforge.api.digest import file_sha256
from ganforge.api.judge.judge import CARD, load_judge

NEUTRAL = ("type", "every", "seed", "repeats", "name")
"""Keys of a metric that do not change the meaning of its values."""


def describe(metric: Metric, spec: DataSpec) -> dict[str, Any]:
    """A metric's type and settings, hashes of the files they name, and the metric's own provenance.
    Raises `UserError` for a missing file."""
    return {
        "type": metric.type,
        "settings": json.loads(metric.model_dump_json(exclude={"type", "every"})),
        "files": {name: _identify(metric, name, path) for name, path in metric if isinstance(path, Path)},
        "uses": metric.provenance(spec),
    }


def depends_on(metric: Metric, spec: DataSpec, described: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Everything that must be equal for two values of this metric to be comparable; `described` is the
    result of `describe`, `more` what was recorded while it was computed."""
    paths = {name for name, value in metric if isinstance(value, Path)}
    settings = metric.model_dump_json(exclude={*NEUTRAL, *paths}, exclude_none=True)
    parts = {name: part.model_dump(mode="json") for name, part in spec.labels.parts.items()}
    names = json.dumps(parts or spec.labels.names).encode()
    return {
        "metric": metric.type,
        "settings": json.loads(settings),
        "files": {name: found["sha256"] for name, found in described["files"].items()},
        "uses": described["uses"],
        "shape": list(spec.shape),
        "labels": {"kind": spec.labels.kind, "names_sha256": hashlib.sha256(names).hexdigest()},
        **more,
    }


def fingerprint(conditions: Mapping[str, Any]) -> str:
    """16 hexadecimal digits, independent of the order of the keys in `depends_on`."""
    canonical = json.dumps(conditions, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def tensor_sha256(tensor: Tensor) -> str:
    """Hash of type, shape and values, independent of device and memory format."""
    plain = tensor.detach().cpu().contiguous()
    found = hashlib.sha256(f"{plain.dtype} {tuple(plain.shape)}".encode())
    # As bytes, because numpy has no bfloat16.
    found.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _identify(metric: Metric, name: str, path: Path) -> dict[str, Any]:
    """Identifies the content of a file, or of a judge, that a metric names."""
    folder = path.parent if path.name == CARD else path
    if (folder / CARD).is_file():
        # A judge refuses images of another size than its own: nothing is resized.
        return {**load_judge(folder).provenance(), "resizer": "none"}
    try:
        return {"sha256": file_sha256(path)}
    except OSError as error:
        raise UserError(
            f"metric '{metric.type}' cannot read {name} = {path}: {error.strerror}; fix the path, or "
            "remove the metric"
        ) from None
