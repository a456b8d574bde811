"""Tensors -> a safetensors file and its SHA-256, in one pass.

The library's own writer would require reading the file again for its hash, copies every tensor first,
and holds Python's lock meanwhile, which a background save cannot afford. The format: 8 bytes with the
length of the header (little endian), a JSON header padded to a multiple of 8, and the bytes of the
tensors without gaps (https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def write_tensors(tensors: Mapping[str, Tensor], file: Path) -> str:
    """Writes CPU tensors and flushes them to disk; returns the SHA-256 of the file.

    Raises `OSError` with the file as its filename, for example on a full disk.
    """
    digest = hashlib.sha256()
    try:
        with file.open("wb", buffering=0) as handle:
            for part in _parts(tensors):
                digest.update(part)
                while part:
                    part = part[handle.write(part) :]
            os.fsync(handle.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error
    return digest.hexdigest()


def _parts(tensors: Mapping[str, Tensor]) -> Iterator[memoryview]:
    """The file, chunk by chunk."""
    # Wide types first: each tensor then starts at a multiple of its item size.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header: dict[str, Any] = {}
    end = 0
    for name in names:
        tensor = tensors[name]
        begin, end = end, end + tensor.numel() * tensor.element_size()
        about = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        header[name] = about
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield memoryview(len(text).to_bytes(8, "little") + text)
    for name in names:
        # The file has no memory format: tensors are stored contiguously.
        flat = tensors[name].detach().contiguous().reshape(-1)
        if flat.numel():
            yield flat.view(torch.uint8).numpy().data
