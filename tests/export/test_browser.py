"""The page in a real Chromium, by real clicks; its pictures are those of `ganforge sample`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.command_line import call
from support.deferred import deferred
from support.lively import lively_run
from support.pages import LEVELS, Page, by_pytorch, read, served

deferred("onnxruntime", reason="the extra [export] is not installed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> Path:
    """A folder with a run `mine`, its page `page` and its single file `page.html`."""
    folder = tmp_path_factory.mktemp("browser")
    lively_run(folder)
    for target in ("page", "page.html"):
        done = call(folder, "export", "mine", "--web", target)
        assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="module")
def origin(place: Path) -> Iterator[str]:
    with served(place / "page") as address:
        yield address


@pytest.fixture
def page(browser: Any, origin: str) -> Iterator[Page]:
    opened = Page(browser, accept_downloads=True).open(origin)
    yield opened
    opened.close()


def test_a_click_on_an_object_changes_the_picture_to_pytorchs(
    page: Page, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page.fill("#seed", 7)
    both = page.pixels()
    page.click("red cube")
    alone = page.pixels()
    assert np.abs(both - alone).max() > 10 * LEVELS
    for found, condition in ((both, "red cube, blue sphere"), (alone, "blue sphere")):
        (expected,) = by_pytorch(place, "--condition", condition, "--seed", 7, "--n", 1)
        assert np.abs(found - expected).max() <= LEVELS
    with capsys.disabled():
        sys.stdout.write(f" first image after {page.tab.get_attribute('body', 'data-first')} ms ")


def test_sixteen_samples_and_truncation_are_pytorchs(
    page: Page, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page.fill("#seed", 11)
    page.fill("#truncation", 0.7)
    page.click("Sixteen")
    options = ("--condition", "red cube, blue sphere", "--seed", 11, "--n", 16, "--truncation", 0.7)
    rate = page.tab.get_attribute("body", "data-rate")
    expected = by_pytorch(place, *options)
    for i, right in enumerate(expected):
        assert np.abs(page.pixels(f"#tiles .tile:nth-child({i + 1}) canvas") - right).max() <= LEVELS
    assert page.tab.text_content("#command") == (
        "ganforge sample mine --condition 'red cube, blue sphere' --seed 11 --n 16 --truncation 0.7"
    )
    with page.tab.expect_download() as saved:
        page.tab.get_by_role("button", name="Save PNG").click()
    sheet = read(saved.value.path())
    assert sheet.shape == (2 * 16 + 2, 8 * 16 + 7 * 2, 3)
    for i, right in enumerate(expected):
        top, left = i // 8 * 18, i % 8 * 18
        assert np.abs(sheet[top : top + 16, left : left + 16] - right).max() <= LEVELS
    with capsys.disabled():
        sys.stdout.write(f" {rate} images per second ")


def test_two_pinned_samples_are_the_ends_of_what_is_between(page: Page) -> None:
    first = page.pixels()
    page.click("Pin as A")
    page.fill("#seed", 3)
    page.click("yellow cylinder")
    second = page.pixels()
    page.click("Pin as B")
    page.click("A to B")
    middle = page.pixels()
    for value, end in (("0", first), ("1", second)):
        page.fill("#mix", value)
        assert np.abs(page.pixels() - end).max() <= LEVELS
        assert np.abs(middle - end).max() > 10 * LEVELS


def test_a_walk_moves_until_it_is_stopped(page: Page) -> None:
    before = page.pixels()
    page.tab.get_by_role("button", name="Walk").click()
    page.tab.wait_for_timeout(900)
    during = page.pixels()
    assert np.abs(during - before).max() > LEVELS
    page.click("Stop")
    assert np.array_equal(page.pixels(), before)


def test_a_link_restores_what_is_shown(page: Page, browser: Any) -> None:
    page.fill("#seed", 5)
    page.click("purple sphere")
    page.does(
        lambda: (
            page.tab.keyboard.press("Tab") or page.tab.focus("#dice") or page.tab.keyboard.press("ArrowRight")
        )
    )
    again = Page(browser).open(page.tab.url)
    assert np.array_equal(again.pixels(), page.pixels())
    pressed = again.tab.locator(".solid[aria-pressed=true]").evaluate_all(
        "all => all.map(each => each.title)"
    )
    assert sorted(pressed) == ["blue sphere", "purple sphere", "red cube"]
    assert again.tab.locator(".solid:disabled").count() == 21
    assert again.tab.input_value("#seed") == "5" and again.tab.text_content("#index-value") == "2 of 16"
    again.close()


def test_a_damaged_link_opens_the_page_all_the_same(browser: Any, origin: str, page: Page) -> None:
    damaged = Page(browser).open(
        f"{origin}#seed=-1&sample=99&truncation=x&condition=%22&view=mix&a=%zz&mix=7"
    )
    assert damaged.tab.input_value("#seed") == "0" and damaged.complaints == []
    damaged.close()


def test_nothing_is_asked_of_another_origin(page: Page, origin: str) -> None:
    page.click("Sixteen")
    assert [url for url in page.asked if not url.startswith((origin, "data:", "blob:"))] == []
    assert page.complaints == []


def test_the_single_file_opens_from_a_disk(browser: Any, place: Path) -> None:
    page = Page(browser).open((place / "page.html").as_uri())
    page.fill("#seed", 7)
    (expected,) = by_pytorch(place, "--condition", "red cube, blue sphere", "--seed", 7, "--n", 1)
    assert np.abs(page.pixels() - expected).max() <= LEVELS
    assert [url for url in page.asked if not url.startswith(("file://", "data:", "blob:"))] == []
    assert page.complaints == []
    page.close()


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(browser: Any, origin: str, width: int) -> None:
    page = Page(browser, viewport={"width": width, "height": 800}).open(origin)
    for view in ("One", "Sixteen"):
        page.tab.get_by_role("button", name=view, exact=True).click()
        assert page.tab.evaluate("document.documentElement.scrollWidth") == width
    page.close()
