"""The files of onnxruntime-web that a page needs to run a network by WebAssembly."""

from __future__ import annotations

from pathlib import Path

VERSION = "1.30.0"
"""Of onnxruntime-web, and of this distribution."""
FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
LICENSE = "LICENSE.onnxruntime"


def runtime() -> Path:
    """The folder with `FILES` and their license. Raises `FileNotFoundError` if the build left one out."""
    folder = Path(__file__).parent / "runtime"
    for name in (*FILES, LICENSE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} is missing; install ganforge-web again")
    return folder
