"""Run folders on the Hugging Face Hub: `hf://owner/name`, or `hf://owner/name@revision`."""

from __future__ import annotations

import re
from pathlib import Path

from ganforge.api import UserError

SCHEME = "hf://"
PATTERNS = ("*.toml", "*.json", "*.jsonl", "*.safetensors", "*.png", "README.md")
"""What a run folder consists of; no pickle is fetched."""
_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def split(text: str) -> tuple[str, str | None]:
    """`hf://owner/name@revision` -> owner/name, and the revision or None. Raises `ValueError` for a malformed
    name."""
    name, _, revision = text.removeprefix(SCHEME).partition("@")
    if not _NAME.fullmatch(name):
        raise ValueError("expected hf://owner/name, or hf://owner/name@revision")
    return name, revision or None


def local(path: str | Path) -> Path:
    """The folder itself, or the local copy of a repository of the Hub.

    Raises `UserError` for a malformed name, without huggingface_hub, and if the download fails.
    """
    text = str(path)
    if not text.startswith(SCHEME):
        return Path(path)
    try:
        name, revision = split(text)
    except ValueError as error:
        raise UserError(f"{text}: {error}") from None
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UserError(f"{text} needs huggingface_hub: pip install huggingface_hub") from None
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(PATTERNS)))
    except Exception as error:
        # The client raises errors of several libraries.
        reason = " ".join(str(error).split())
        raise UserError(f"{text}: cannot be downloaded: {reason:.300}") from error
