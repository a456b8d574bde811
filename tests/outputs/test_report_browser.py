"""The report in a real Chromium, by real clicks and keys: nothing is asked for, and nothing complains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.outputs.grid import save_grid
from ganforge.outputs.metrics_log import MetricsLog
from ganforge.outputs.report import write_report
from ganforge.outputs.run_folder import RunFolder
from support.chromium import browser as browser

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = RunFolder.create(tmp_path_factory.mktemp("report") / "<run>", {"seed": 1}, {})
    log = MetricsLog(run.metrics)
    for i in range(1, 50):
        log.append({"images_seen": 16_000 * i, "loss/d": 1 / i, "loss/g": 2.0, "score/real": 0.5})
        log.append({"images_seen": 16_000 * i, "metric/fid": 50.0 - i, "metric/fid_std": 1.0})
    for n, seen in enumerate((0, 400_000, 784_000)):
        save_grid(torch.full((4, 3, 16, 16), n - 1.0), run.grid(seen))
    return write_report(run)


@pytest.fixture
def page(browser: Any, page_file: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    opened = browser.new_page(**getattr(request, "param", {"viewport": {"width": 1280, "height": 900}}))
    opened.set_default_timeout(120_000)
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda asked: said.append(asked.url) if asked.url.startswith("http") else None)
    opened.goto(page_file.as_uri())
    opened.wait_for_selector(".uplot")
    yield opened
    opened.close()
    assert said == []


def wait_until(page: Any, holds: Callable[[], bool]) -> None:
    """Playwright's own `wait_for_function` evaluates a text, which the policy of the page forbids."""
    for _ in range(600):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it does not come to hold within 60 s")


def pixels(page: Any, plot: str) -> str:
    """What is drawn on a canvas, without the cursor above it."""
    return str(page.evaluate(f"document.querySelector('#{plot} canvas').toDataURL()"))


def test_the_film_is_driven_by_its_slider_and_its_button(page: Any) -> None:
    slider, picture = page.locator("input.film"), page.locator("figure.film img")
    last = picture.get_attribute("src")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert picture.get_attribute("alt") == "Samples, after 400,000 images"
    assert picture.get_attribute("src") != last
    page.locator("button.play").click()
    wait_until(page, lambda: "784,000" in page.locator("figure.film figcaption").inner_text())
    assert picture.get_attribute("src") == last


def test_a_zoom_in_one_chart_is_a_zoom_in_all_and_escape_resets_it(page: Any) -> None:
    before = pixels(page, "plot-losses-0")
    other = pixels(page, "plot-scores-1")
    over = page.locator("#plot-losses-0 .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 50, steps=5)
    page.mouse.up()
    page.mouse.move(0, 0)
    page.wait_for_timeout(200)
    assert pixels(page, "plot-losses-0") != before
    assert pixels(page, "plot-scores-1") != other
    page.locator("#plot-losses-0").focus()
    page.keyboard.press("Escape")
    page.wait_for_timeout(200)
    page.evaluate("document.activeElement.blur()")
    assert pixels(page, "plot-scores-1") == other


def test_the_arrow_keys_read_a_chart_out(page: Any) -> None:
    page.locator("#plot-losses-0").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    legend = page.locator("#plot-losses-0 .u-legend")
    assert "32,000" in legend.inner_text() and "0.5" in legend.inner_text()
    # The cursor of the others follows.
    assert "32,000" in page.locator("#plot-scores-1 .u-legend").inner_text()


def test_a_log_scale(page: Any) -> None:
    button = page.locator("button.log[data-plot=plot-metrics-2]")
    before = pixels(page, "plot-metrics-2")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert pixels(page, "plot-metrics-2") != before
    assert page.locator("button.log[data-plot=plot-scores-1]").is_hidden(), "a probability has none"


@pytest.mark.parametrize("page", [{"viewport": {"width": 390, "height": 800}}], indirect=True)
def test_a_narrow_page_does_not_scroll_sideways_and_charts_follow_the_width(page: Any) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 700, "height": 800})
    wait_until(
        page, lambda: page.evaluate("document.querySelector('#plot-losses-0 .uplot').clientWidth > 500")
    )


def test_colors_follow_the_theme(page: Any) -> None:
    before = pixels(page, "plot-losses-0")
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(300)
    assert pixels(page, "plot-losses-0") != before


def test_print_shows_the_figures_in_place_of_the_charts(page: Any) -> None:
    assert page.locator("#chart-losses .printed").is_hidden()
    page.emulate_media(media="print")
    assert page.locator("#chart-losses .printed").is_visible()
    assert page.locator("#plot-losses-0").is_hidden()
