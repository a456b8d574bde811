"""The documentation site: a page for every component, a navigation that leads to every page, formulas."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import inspect
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.chromium import browser as browser
from support.paths import ROOT


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_pages", ROOT / "docs" / "build_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(site: ModuleType) -> Any:
    return site.registry()


@pytest.fixture(scope="module")
def pages(site: ModuleType, found: Any) -> dict[str, str]:
    written: dict[str, str] = site.all_pages(found)
    return written


def components(found: Any) -> list[Any]:
    return [each for kind in found.components.values() for each in kind.values()]


def test_every_component_has_a_docstring_and_a_source(found: Any) -> None:
    everything = components(found)
    assert len(everything) > 70
    for component in everything:
        assert component.source, f"{component.__name__} names no source"
        assert component.__doc__ and component.__doc__ != component.__mro__[1].__doc__, component.__name__
        described = [
            key for key, field in component.model_fields.items() if field.description or key == "type"
        ]
        assert described == list(component.model_fields), component.__name__


def test_the_page_of_a_component_says_what_the_class_says(found: Any, pages: dict[str, str]) -> None:
    for component in components(found):
        page = pages[f"components/{component.kind}/{component.type_name()}.md"]
        plain = re.sub(r"\\(.)", r"\1", page).replace("&lt;", "<")
        words = inspect.cleandoc(component.__doc__)
        assert words in plain
        for key, field in component.model_fields.items():
            if key != "type":
                assert f"| `{key}` |" in plain and " ".join(field.description.split()) in plain, key
        for arxiv in re.findall(r"arXiv:([\d.]+\d)", component.source):
            assert f"https://arxiv.org/abs/{arxiv})" in page


def test_the_table_of_a_page_holds_the_defaults(found: Any, pages: dict[str, str]) -> None:
    for component in components(found):
        page = pages[f"components/{component.kind}/{component.type_name()}.md"]
        (block,) = re.findall(r"^## In a run file\n\n```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        table: Any = tomllib.loads(block)
        for name in re.findall(r"^\[+([\w.]+)", block)[0].split("."):
            table = table[name]
        (table,) = table if isinstance(table, list) else [table]
        properties = component.model_json_schema()["properties"]
        assert table.pop("type") == component.type_name()
        for key, schema in properties.items():
            if key != "type":
                default = schema.get("default")
                assert table.pop(key, None) == default, f"{component.type_name()}.{key}"
        assert not table


def test_equations_are_those_of_existing_components(site: ModuleType, found: Any) -> None:
    formulas = importlib.import_module("component_pages").formulas()
    wanted = {(kind, name) for kind in ("loss", "terms") for name in found.components[kind]}
    assert wanted - set(formulas) == set(), "docs/mathematics.md lacks a section"
    assert [key for key in formulas if key[1] not in found.components[key[0]]] == []
    assert all("$$" in text for text in formulas.values())


def listed(nav: Any) -> list[str]:
    """The pages of a navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    members = nav.values() if isinstance(nav, dict) else nav
    return [page for member in members for page in listed(member)]


def test_the_navigation_leads_to_every_page(site: ModuleType, found: Any, pages: dict[str, str]) -> None:
    yaml = pytest.importorskip("yaml")
    settings = site.renewed(site.SETTINGS.read_text(), found)
    assert site.renewed(settings, found) == settings
    named = listed(yaml.safe_load(settings)["nav"])
    assert len(named) == len(set(named))
    files = {page for page in pages if page.startswith("examples/") and page != "examples/index.md"}
    assert set(named) == set(pages) - files
    shown = pages["examples/index.md"] + pages["methods.md"] + pages["sweeps.md"] + pages["stylegan2.md"]
    assert files
    assert [file for file in files if file.removeprefix("examples/") not in shown] == []


def test_links_lead_to_pages_and_their_headings(pages: dict[str, str]) -> None:
    """What a strict build checks, for those who have no builder."""
    count = 0
    for name, text in pages.items():
        prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)]+)\)", prose):
            if re.match(r"[a-z]+:|#", target):
                continue
            path = (Path("/") / name).parent / target.split("#")[0]
            place = Path(*[part for part in _normal(path).split("/") if part]).as_posix()
            assert place in pages or (ROOT / "docs" / place).is_file(), f"{name}: {target}"
            count += 1
    assert count > 300


def _normal(path: Path) -> str:
    parts: list[str] = []
    for part in path.parts[1:]:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


def test_a_link_that_leads_nowhere_is_refused(site: ModuleType) -> None:
    places = site.sources_of_pages()
    with pytest.raises(SystemExit, match=r"^docs/data\.md: the link to \.\./nothing\.md leads nowhere$"):
        site.relinked("see [this](../nothing.md)", "docs/data.md", places)
    text = "[a](../examples/toy/gan_ring8.toml#x) [b](../Makefile) `[c](d)` [e](https://f) [g](../plugins/losses)"
    assert site.relinked(text.replace("`[c](d)` ", ""), "docs/data.md", places) == (
        "[a](examples/toy/gan_ring8.md#x) b [e](https://f) [g](components/loss/index.md)"
    )


def test_formulas_become_mathml(site: ModuleType) -> None:
    pytest.importorskip("latex2mathml")
    mathml = importlib.import_module("mathml")
    text = mathml.with_mathml(
        "a $x_i$ b\n\n$$\n\\frac{1}{2}\n$$\n\n`$HOME` and\n\n```bash\necho $x $y\n```\n"
    )
    assert text.count("<math ") == 2 and "<mfrac>" in text and "<msub>" in text
    assert "`$HOME`" in text and "echo $x $y" in text
    assert "_" not in mathml.mathml(r"a\_b", "inline").replace("xmlns", "")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    pytest.importorskip("latex2mathml")
    pytest.importorskip("zensical")
    subprocess.run([sys.executable, "docs/build_pages.py"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", "mkdocs.yml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "build" / "site"


@pytest.fixture
def address(built: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(built)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_the_site_is_searched_in_a_browser_without_a_foreign_request(address: str, browser: Any) -> None:
    requests: list[str] = []
    problems: list[str] = []
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    for name, formulas in (("components/terms/r1.html", 1), ("mathematics.html", 30), ("index.html", 0)):
        page.goto(f"{address}/{name}", wait_until="networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert page.locator("math").count() >= formulas
    page.set_viewport_size({"width": 1200, "height": 800})
    hit = page.locator("a[href*='gradient_penalty.html']:visible").first
    assert hit.count() == 0
    page.keyboard.press("Control+k")
    page.keyboard.type("gradient_penalty", delay=20)
    hit.wait_for(timeout=20_000)
    page.close()
    assert problems == []
    assert [url for url in requests if not url.startswith((address, "data:", f"blob:{address}"))] == []
