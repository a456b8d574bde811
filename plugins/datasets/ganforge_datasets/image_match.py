"""From the image that a label file names to the file that it can only mean."""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property
from pathlib import PurePosixPath

from ganforge_datasets.formats import is_array_name, is_image_name
from ganforge_datasets.image_files import ImageFiles


class Matcher:
    """Finds the images of `files` by names that are relative to the folder `base` inside."""

    def __init__(self, files: ImageFiles, base: str) -> None:
        self._files = files
        self._base = base
        self._paths = set(files.paths)
        self._by_name: dict[str, list[str]] = {}
        for path in files.paths:
            self._by_name.setdefault(nfc(PurePosixPath(path).name), []).append(path)

    def find(self, listed: str) -> str | None:
        """The path of the image that `listed` names; None where there is none, or more than one."""
        exact = PurePosixPath(self._base, listed).as_posix()
        if exact in self._paths:
            return exact
        name = nfc(listed.replace("\\", "/")).removeprefix("file://")
        for candidate in self._candidates(name):
            found = self._composed.get(nfc(PurePosixPath(self._base, candidate).as_posix()))
            if found is not None:
                return found
        bare = self._by_name.get(name, [])
        if len(bare) == 1:
            return bare[0]
        if name and not bare and not is_image_name(name) and not is_array_name(name):
            stems = self._by_stem.get(PurePosixPath(self._base, name).as_posix(), [])
            stems = stems or (self._by_stem.get(f"*/{name}", []) if "/" not in name else [])
            return stems[0] if len(stems) == 1 else None
        return None

    def why_not(self, listed: str) -> str:
        """Why `find` found nothing, for the end of a message that says what is listed."""
        root, name = self._files.root, nfc(listed.replace("\\", "/"))
        there = self._by_name.get(name, [])
        if there:
            return f"of which {root} holds {len(there)}; say which"
        for path in self._files.paths:
            if nfc(path).casefold().endswith(name.casefold()) and name:
                return f"which {root} does not hold; did you mean '{path}'?"
        near = self._near(PurePosixPath(name))
        return f"which {root} does not hold" + (f"; did you mean '{near[0]}'?" if len(near) == 1 else "")

    def _near(self, listed: PurePosixPath) -> list[str]:
        """Images of the same name in another folder, in another format, or numbered with other zeros."""
        stem = listed.stem if is_image_name(listed.name) else listed.name
        near = self._by_name.get(listed.name) or self._by_stem.get(f"*/{stem}", [])
        if near or not (stem.isascii() and stem.isdigit()):
            return near
        numbered = re.compile(f"0*{stem.lstrip('0') or '0'}")
        return [path for path in self._files.paths if numbered.fullmatch(PurePosixPath(path).stem)]

    def _candidates(self, name: str) -> list[str]:
        """What `name` may mean, relative to the base, the likeliest first."""
        found = [name]
        root = nfc(str(self._files.root))
        if name.startswith(f"{root}/"):
            return [PurePosixPath(name[len(root) + 1 :]).as_posix()]
        parts = name.split("/")
        if name.startswith("/") or re.match(r"[A-Za-z]:/", name):
            # From another computer: as many of its last folders as are here.
            return [*found, *("/".join(parts[start:]) for start in range(1, len(parts)))]
        folder = PurePosixPath(self._base).name or self._files.root.name
        if len(parts) > 1 and parts[0] == nfc(folder):
            found.append("/".join(parts[1:]))
        return found

    @cached_property
    def _composed(self) -> dict[str, str]:
        """Paths by their form NFC; those that two have are left out."""
        found: dict[str, str] = {}
        twice = set[str]()
        for path in self._files.paths:
            key = nfc(path)
            if found.setdefault(key, path) != path:
                twice.add(key)
        return {key: path for key, path in found.items() if key not in twice}

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        """Paths without the suffix, and as `*/stem` those of any folder."""
        found: dict[str, list[str]] = {}
        for path in self._files.paths:
            stem = nfc(PurePosixPath(path).with_suffix("").as_posix())
            found.setdefault(stem, []).append(path)
            found.setdefault(f"*/{PurePosixPath(stem).name}", []).append(path)
        return found


def nfc(text: str) -> str:
    """Text in Unicode's composed form, in which equal letters are equal code points."""
    return unicodedata.normalize("NFC", text)
