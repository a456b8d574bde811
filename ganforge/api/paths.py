"""The path of a file or folder that a component reads, as run files give it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def absolute(path: Path) -> Path:
    """`path` with `~` and the working folder written out, so that a recorded run file finds it again.

    Raises `ValueError` where the home folder is not known.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"the home folder in '{path}' is not known; write the path in full") from None


AbsolutePath = Annotated[Path, AfterValidator(absolute)]
