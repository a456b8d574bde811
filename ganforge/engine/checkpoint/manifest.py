"""manifest.json of a checkpoint: what it holds, the hashes of its files, and a seal over itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import ganforge
from ganforge.api import UserError
from ganforge.files import read_regular

Document = dict[str, Any]

FORMAT = 3
SEALED_SINCE = 3
"""The first format in which a file carries the SHA-256 of itself."""
MANIFEST = "manifest.json"
SEAL = "sha256"


class NewerFormat(UserError):
    """A checkpoint that only a newer ganforge can read; no reason to fall back to an older one."""


def sealed(document: Mapping[str, Any]) -> bytes:
    """`document` as JSON with a last key `sha256`: the SHA-256 of these bytes with its value empty."""
    blank = json.dumps({**document, SEAL: ""}, indent=1).encode() + b"\n"
    return _filled(blank, hashlib.sha256(blank).hexdigest())


def seal_is_intact(written: bytes, document: Mapping[str, Any]) -> bool:
    """Whether these bytes, which parse to `document`, are those that `sealed` returned. The seal is of
    bytes, not of values, so that no change of any bit goes unnoticed."""
    digest = document.get(SEAL)
    if not isinstance(digest, str) or not digest.isascii():
        return False
    head, found, tail = written.rpartition(_entry(digest))
    blank = head + _entry("") + tail
    return bool(found) and hashlib.sha256(blank).hexdigest() == digest


def read_manifest(checkpoint: Path) -> Document:
    """`format`, `files` and `state` of an intact manifest with a supported format.

    Raises `UserError` if it is damaged or not a manifest, `NewerFormat` if a newer ganforge wrote it.
    """
    file = checkpoint / MANIFEST

    def refuse(reason: object) -> NoReturn:
        raise UserError(f"{file}: not a checkpoint manifest: {reason}")

    try:
        written = read_regular(file)
        manifest = json.loads(written.decode())
        version, files, state = manifest["format"], dict(manifest["files"]), dict(manifest["state"])
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        refuse(error)
    # Before the version: a flipped bit there must not pass for another format.
    if SEAL in manifest and not seal_is_intact(written, manifest):
        raise UserError(f"{file}: damaged: its SHA-256 does not match its content")
    if type(version) is not int:
        refuse(f"format {version!r:.40}")
    if version > FORMAT:
        raise NewerFormat(
            f"{checkpoint}: checkpoint format {version} was written by a newer ganforge "
            f"({manifest.get('ganforge', 'of unknown version')!s:.40}; this is {ganforge.__version__}, which "
            f"reads up to format {FORMAT}); upgrade ganforge"
        )
    if version >= SEALED_SINCE and SEAL not in manifest:
        raise UserError(f"{file}: damaged: expected its SHA-256 under '{SEAL}', got none")
    if not all(isinstance(each, str) and "\0" not in each for pair in files.items() for each in pair):
        refuse("'files' is not a table of names and hashes")
    if type(state.get("images_seen")) is not int or not isinstance(state.get("stamp", {}), dict):
        refuse("'state' is not the state of a run")
    if checkpoint.name.isdecimal() and int(checkpoint.name) != state["images_seen"]:
        raise UserError(
            f"{file}: damaged: its folder is named for {int(checkpoint.name):,} images, its state has seen "
            f"{state['images_seen']:,}"
        )
    return {"format": version, "files": files, "state": state}


def _entry(digest: str) -> bytes:
    return f'"{SEAL}": "{digest}"'.encode()


def _filled(blank: bytes, digest: str) -> bytes:
    head, _, tail = blank.rpartition(_entry(""))
    return head + _entry(digest) + tail
