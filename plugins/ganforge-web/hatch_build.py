"""Puts the files of onnxruntime-web into the wheel.

They come from the npm package, by `npm pack`, whose archive must have the pinned SHA-512.
GANFORGE_WEB_ARCHIVE names an archive that is already there.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "onnxruntime-web@1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of the archive, as npm's `dist.integrity` has it."""
FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
LICENSE = "LICENSE.onnxruntime"


class Runtime(BuildHookInterface):
    """Fills ganforge_web/runtime before the wheel is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        runtime = root / "ganforge_web" / "runtime"
        if not all((runtime / name).is_file() for name in FILES):
            fill(runtime)
        shutil.copy(root / LICENSE, runtime / LICENSE)


def fill(runtime: Path) -> None:
    """Downloads the package, checks it, and unpacks `FILES` into `runtime`."""
    with tempfile.TemporaryDirectory() as scratch:
        given = os.environ.get("GANFORGE_WEB_ARCHIVE")
        archive = Path(given) if given else packed(Path(scratch))
        check(archive)
        unpacked = Path(scratch) / "runtime"
        unpacked.mkdir()
        with tarfile.open(archive) as tar:
            for name in FILES:
                member = tar.extractfile(f"package/dist/{name}")
                if member is None:
                    raise RuntimeError(f"{archive}: expected a file package/dist/{name}")
                (unpacked / name).write_bytes(member.read())
        runtime.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.move(unpacked / name, runtime / name)


def packed(folder: Path) -> Path:
    """The archive of the npm package, downloaded into `folder`."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            f"building ganforge-web needs npm to download {PACKAGE}; install Node.js, or set "
            "GANFORGE_WEB_ARCHIVE to the archive that 'npm pack' writes on another machine"
        )
    command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    found = list(folder.glob("*.tgz"))
    if done.returncode or len(found) != 1:
        raise RuntimeError(f"'npm pack {PACKAGE}' failed: {done.stderr.strip()[-500:] or 'no archive'}")
    return found[0]


def check(archive: Path) -> None:
    """Raises `RuntimeError` unless the archive is the pinned one."""
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != SHA512:
        raise RuntimeError(f"{archive}: expected SHA-512 {SHA512}, got {found}; the archive is not {PACKAGE}")
