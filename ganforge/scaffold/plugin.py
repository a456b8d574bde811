"""A new plugin package: pyproject.toml, a component of each kind asked for, tests, README and CI."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from string import Template

import ganforge
from ganforge.api import API_VERSION, UserError, did_you_mean
from ganforge.components.faults import KIND_NOUNS
from ganforge.components.registry import discover

KINDS = ("loss", "data", "nets", "term", "callback", "metric", "prior", "task", "optimizer", "tracker")
NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
LONGEST = 40
SECTIONS: Mapping[str, str] = {
    "loss": '[loss]\ntype = "{name}"\n',
    "data": '[data]\ntype = "{name}"\n',
    "nets": '[nets]\ntype = "{name}"\n',
    "term": '[[terms]]\ntype = "{name}"\n',
    "callback": '[[callbacks]]\ntype = "{name}"\n',
    "metric": '[[metrics]]\ntype = "{name}"\nevery = 10_000\n',
    "prior": '[prior]\ntype = "{name}"\n',
    "task": '[task]\ntype = "{name}"\n',
    "tracker": '[[trackers]]\ntype = "{name}"\n',
    "optimizer": '[generator.optimizer]\ntype = "{name}"\n\n[discriminator.optimizer]\ntype = "{name}"\n',
}
REQUIRED: Mapping[str, str] = {
    "data": '[data]\ntype = "iclevr"\nimage_size = 16\nscenes = 200\n',
    "nets": '[nets]\ntype = "dcgan"\nwidth = 16\n',
}
"""Sections of the example that no component of the plugin fills."""


def new_plugin(project: str, kinds: Sequence[str], folder: Path) -> list[Path]:
    """Writes the package `project` with a component of each of `kinds` into `folder`, which must not exist.

    Returns the files. Raises `UserError` for a name or kind that cannot be used.
    """
    package = _package_of(project)
    wanted = _checked_kinds(kinds)
    if folder.exists():
        raise UserError(f"{folder} exists already; choose another name, or another folder with --out")
    name = package.removesuffix("_gan") or package
    _refuse_taken(name, wanted)
    title = "".join(part.capitalize() for part in name.split("_"))
    fields = {
        "project": project,
        "package": package,
        "name": name,
        "Class": title,
        "title": project,
        "kinds": ", ".join(wanted),
        "api": API_VERSION,
        "version": ganforge.__version__,
        "imports": "\n".join(
            f"from {package}.{kind} import {title}{kind.title()}" for kind in sorted(wanted)
        ),
        "classes": "\n".join(f"        {title}{kind.title()}," for kind in wanted),
        "sections": _sections(wanted, name),
    }
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "example.toml": "example.toml",
        "tests/test_conformance.py": "test_conformance.py",
        ".github/workflows/tests.yml": "ci.yml",
        f"{package}/__init__.py": "__init__.py",
        **{f"{package}/{kind}.py": f"{kind}.py" for kind in wanted},
        # Imported by name in the tracker's process.
        **({f"{package}/tracker_sink.py": "tracker_sink.py"} if "tracker" in wanted else {}),
    }
    written = []
    for place, template in files.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_filled(template, fields), encoding="utf-8")
        written.append(path)
    (folder / package / "py.typed").touch()
    return written


def _package_of(project: str) -> str:
    """The module's name: `acme-gan` -> `acme_gan`."""
    if not NAME.fullmatch(project) or len(project) > LONGEST:
        raise UserError(
            f"expected a name of lower-case letters, digits and hyphens that starts with a letter, of at "
            f"most {LONGEST} characters, such as acme-gan; got {project!r:.60}"
        )
    package = project.replace("-", "_")
    name = package.removesuffix("_gan") or package
    if keyword.iskeyword(package) or keyword.iskeyword(name) or package in sys.stdlib_module_names:
        raise UserError(f"'{package}' is a word or a module of Python; choose a name such as {project}-gan")
    if package.startswith("ganforge") or importlib.util.find_spec(package) is not None:
        raise UserError(f"a module '{package}' is installed already; choose another name")
    return package


def _checked_kinds(kinds: Sequence[str]) -> list[str]:
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(
                f"there is no kind '{kind:.40}' to start from{did_you_mean(kind, KINDS)} "
                f"(kinds: {', '.join(KINDS)})"
            )
    if not kinds:
        raise UserError(f"expected one kind or several, such as --kind loss (kinds: {', '.join(KINDS)})")
    return list(dict.fromkeys(kinds))


def _refuse_taken(name: str, kinds: Sequence[str]) -> None:
    """Of two components of a kind with the same name, neither could be used by a run file."""
    registry = discover()
    for kind in kinds:
        plural = kind if kind in registry.components else f"{kind}s"
        if name in registry.of(plural):
            owner = registry.provider(registry.of(plural)[name])
            raise UserError(
                f"{owner} has {KIND_NOUNS[plural]} '{name}' already, and run files could use neither of two; "
                f"choose another name, such as my-{name.replace('_', '-')}"
            )


def _sections(kinds: Sequence[str], name: str) -> str:
    """The sections of a run file that uses each component."""
    found = [text for kind, text in REQUIRED.items() if kind not in kinds]
    ordered = sorted(kinds, key=lambda kind: kind in ("term", "callback", "metric", "tracker"))
    return "\n".join([*found, *(SECTIONS[kind].format(name=name) for kind in ordered)])


def _filled(template: str, fields: Mapping[str, str]) -> str:
    text = (resources.files("ganforge.scaffold") / "plugin_files" / f"{template}.txt").read_text(
        encoding="utf-8"
    )
    return Template(text).substitute(fields)
