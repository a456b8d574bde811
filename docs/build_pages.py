"""Writes the pages of the documentation site into build/docs, for `zensical build` or `mkdocs build`.

    python docs/build_pages.py && zensical build --strict

The pages of docs/ are copied; the guides and examples that lie elsewhere in the repository join them, and
each component gets a page. Links are rewritten for the new places, formulas become MathML, and the
list of components in mkdocs.yml is renewed.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from component_pages import ROOT, component_pages, plural, registry
from mathml import with_mathml
from reference_pages import reference_pages

from ganforge.components.registry import Registry

TARGET = ROOT / "build" / "docs"
SETTINGS = ROOT / "mkdocs.yml"
BEGIN, END = "  # components: begin", "  # components: end"
MORE, NO_MORE = "      # other pages: begin", "      # other pages: end"
GUIDES = {
    "ARCHITECTURE.md": "explanation/architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
    "plugins/README.md": "built-in-plugins.md",
    "docker/README.md": "howto/containers.md",
    "examples/README.md": "examples/index.md",
}
"""Pages outside docs/ -> their place in the site; the README itself is replaced by docs/index.md."""
KIND_OF_FOLDER = {
    "plugins/losses": "loss",
    "plugins/architectures": "nets",
    "plugins/datasets": "data",
    "plugins/metrics": "metrics",
    "plugins/priors": "prior",
    "plugins/tasks": "task",
    "plugins/optimizers": "optimizer",
    "plugins/callbacks": "callbacks",
    "plugins/trackers": "trackers",
}
GENERATED = ("docs/glossary.md", "docs/run-file.md", "docs/commands.md")
"""Pages that docs/ does not hold but may link to, next to those of the components."""
LINK = re.compile(r"(\]\()([^)\s#]*)(#[^)\s]*)?(\))|(src=\")([^\"]+)(\")")


def main() -> None:
    """Writes build/docs and the list of components in mkdocs.yml."""
    found = registry()
    pages = all_pages(found)
    shutil.rmtree(TARGET, ignore_errors=True)
    SETTINGS.write_text(renewed(SETTINGS.read_text(), found))
    for name, text in pages.items():
        write(TARGET / name, with_mathml(text))
    for picture in sorted((ROOT / "docs").rglob("*.png")):
        copy = TARGET / picture.relative_to(ROOT / "docs")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, copy)
    shutil.copytree(ROOT / "docs" / "assets", TARGET / "assets")
    sys.stdout.write(f"{len(pages)} pages in {os.path.relpath(TARGET)}\n")


def all_pages(found: Registry) -> dict[str, str]:
    """Place in the site -> Markdown, for every page; formulas are still LaTeX."""
    sources = sources_of_pages()
    pages = component_pages(found) | reference_pages()
    for source, place in sources.items():
        file = ROOT / source
        if file.suffix == ".toml":
            pages[place] = f"# {source}\n\n```toml\n{file.read_text()}```\n"
        elif place != "index.md" or source == "docs/index.md":
            pages[place] = relinked(file.read_text(), source, sources)
    pages["glossary.md"] = glossary(
        relinked((ROOT / "ARCHITECTURE.md").read_text(), "ARCHITECTURE.md", sources)
    )
    return pages


def sources_of_pages() -> dict[str, str]:
    """File of the repository -> its place in the site."""
    places = dict(GUIDES)
    for page in sorted((ROOT / "docs").rglob("*.md")):
        places[page.relative_to(ROOT).as_posix()] = page.relative_to(ROOT / "docs").as_posix()
    for page in sorted((ROOT / "plugins").glob("*/README.md")):
        places[page.relative_to(ROOT).as_posix()] = f"{page.parent.name}.md"
    for file in sorted((ROOT / "examples").rglob("*.toml")):
        places[file.relative_to(ROOT).as_posix()] = file.relative_to(ROOT).with_suffix(".md").as_posix()
    return places


def relinked(text: str, source: str, places: dict[str, str]) -> str:
    """`text` with its relative links leading to places in the site.

    A link to a file of the repository that is no page keeps its text and loses its link. Raises `SystemExit`
    for a link that leads nowhere.
    """
    here = places[source]

    def place(target: str) -> str | None:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path in KIND_OF_FOLDER:
            return f"components/{KIND_OF_FOLDER[path]}/index.md"
        if path.startswith("docs/") and (ROOT / path).suffix in (".png", ".svg"):
            return path.removeprefix("docs/")
        if path.startswith("docs/components/") or path in GENERATED:
            return path.removeprefix("docs/")
        if (ROOT / path / "README.md").is_file():
            path = posixpath.join(path, "README.md")
        if path not in places and not (ROOT / path).exists():
            raise SystemExit(f"{source}: the link to {target} leads nowhere")
        return places.get(path)

    def rewrite(found: re.Match[str]) -> str:
        target = found[2] if found[1] else found[6]
        if not target or re.match(r"[a-z]+:", target):
            return found[0]
        to = place(target)
        if to is None:
            return f"]({GONE})"
        to = posixpath.relpath(to, posixpath.dirname(here) or ".")
        return f"]({to}{found[3] or ''})" if found[1] else f'src="{to}"'

    parts = re.split(r"(^```.*?^```\s*$)", text, flags=re.DOTALL | re.MULTILINE)
    parts[::2] = [LINK.sub(rewrite, part) for part in parts[::2]]
    return re.sub(rf"\[([^\[\]]+)\]\({GONE}\)", r"\1", "".join(parts))


GONE = "no-page"


def glossary(architecture: str) -> str:
    """The glossary of ARCHITECTURE.md as a page of its own."""
    section = architecture.split("## Glossary\n")[1].split("\n## ")[0].strip()
    return f"# Glossary\n\nWhat this project's words mean, in those of the literature.\n\n{section}\n"


def renewed(settings: str, found: Registry) -> str:
    """mkdocs.yml with the components of `found` in its navigation, and the pages that it does not list."""
    before, rest = settings.split(MORE)
    after = rest.split(NO_MORE)[1]
    listed = set(re.findall(r"([\w/.-]+\.md)$", before + after, flags=re.MULTILINE))
    own = {place for source, place in sources_of_pages().items() if not source.startswith("examples/")}
    more = [f"      - {place}" for place in sorted(own - listed)]
    return _with_components(before + "\n".join([MORE, *more, NO_MORE]) + after, found)


def _with_components(settings: str, found: Registry) -> str:
    lines = [BEGIN]
    for kind, components in found.components.items():
        lines += [f"      - {plural(kind).capitalize()}:", f"          - components/{kind}/index.md"]
        lines += [f"          - {name}: components/{kind}/{name}.md" for name in components]
    before, rest = settings.split(BEGIN)
    return before + "\n".join([*lines, END]) + rest.split(END)[1]


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


if __name__ == "__main__":
    main()
