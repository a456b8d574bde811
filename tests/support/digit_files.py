"""Small files in the form of MNIST."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np

from ganforge.api import Split

COUNTS: dict[Split, int] = {"train": 40, "test": 12}
PREFIX: dict[Split, str] = {"train": "train", "test": "t10k"}


def arrays(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Noise, in which pixel (0, 0) is ten times the class."""
    rng = np.random.default_rng(COUNTS[split])
    images = rng.integers(0, 256, (COUNTS[split], 28, 28), dtype=np.uint8)
    labels = (np.arange(COUNTS[split]) % 10).astype(np.uint8)
    images[:, 0, 0] = 10 * labels
    return images, labels


def idx(array: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def files(root: Path, packed: bool = False) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for split in COUNTS:
        for array, part in zip(arrays(split), ("images-idx3-ubyte", "labels-idx1-ubyte"), strict=True):
            name = f"{PREFIX[split]}-{part}"
            if packed:
                (root / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
            else:
                (root / name).write_bytes(idx(array))
    return root
