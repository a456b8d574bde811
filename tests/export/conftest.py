"""The runtime of the page, built once, and a browser."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.chromium import browser as browser
from support.paths import ROOT

PLUGIN = ROOT / "plugins" / "ganforge-web"


@pytest.fixture(scope="session")
def runtime() -> Iterator[Path]:
    """`ganforge_web` importable, with its files: as installed, or from a wheel that is built for the tests and
    kept among the temporary files."""
    try:
        import ganforge_web

        yield ganforge_web.runtime()
        return
    except (ImportError, FileNotFoundError):
        sys.modules.pop("ganforge_web", None)
    place = Path(tempfile.gettempdir()) / "ganforge-web-for-tests"
    if not (place / "ganforge_web" / "runtime").is_dir():
        if shutil.which("npm") is None:
            pytest.skip("ganforge-web is not installed, and there is no npm to build it with")
        shutil.rmtree(place, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
        done = subprocess.run([*command, "--target", str(place), str(PLUGIN)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"ganforge-web cannot be built here: {done.stderr.strip()[-300:]}")
    sys.path.insert(0, str(place))
    import ganforge_web

    yield ganforge_web.runtime()
    sys.path.remove(str(place))
    sys.modules.pop("ganforge_web", None)
