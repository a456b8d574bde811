"""How fast a run's page is in Chromium: served by `ganforge play`, and as one file from a disk.

    PYTHONPATH=tests python -m experiments.page_timings RUN [--times 5]

Each time in a new browser: nothing is in a cache of it. The first image is counted from the start of the
navigation, the rate over 64 single images (a new seed each), and over sixteen at once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from support.chromium import CHROMIUM

SINGLE = 64


def measured(driver: Any, address: str) -> dict[str, Any]:
    """One opening of the page: milliseconds, rates, requests off its origin, console messages."""
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    tab = browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda line: said.append(line.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(address)
    tab.wait_for_selector("body[data-drawn]", timeout=120_000)
    found = {"first_ms": float(tab.get_attribute("body", "data-first"))}
    began = time.perf_counter()
    for seed in range(1, SINGLE + 1):
        before = tab.get_attribute("body", "data-drawn")
        tab.fill("#seed", str(seed))
        tab.wait_for_function(f"document.body.dataset.drawn > {before}")
    found["clicks_per_s"] = SINGLE / (time.perf_counter() - began)
    found["single_per_s"] = float(tab.get_attribute("body", "data-rate"))
    before = tab.get_attribute("body", "data-drawn")
    tab.get_by_role("button", name="Sixteen", exact=True).click()
    tab.wait_for_function(f"document.body.dataset.drawn > {before}")
    found["sixteen_per_s"] = float(tab.get_attribute("body", "data-rate"))
    own = (address, "data:", "blob:")
    browser.close()
    return {**found, "foreign": [url for url in asked if not url.startswith(own)], "said": said}


def report(name: str, size: int, driver: Any, address: str, times: int) -> None:
    found = [measured(driver, address) for _ in range(times)]
    line: dict[str, Any] = {"page": name, "bytes": size, "times": times}
    for key in ("first_ms", "single_per_s", "sixteen_per_s", "clicks_per_s"):
        values = [each[key] for each in found]
        line[key] = [round(each, 1) for each in (min(values), statistics.median(values), max(values))]
    line["foreign"] = sorted({url for each in found for url in each["foreign"]})
    line["console"] = sorted({text for each in found for text in each["said"]})
    sys.stdout.write(json.dumps(line) + "\n")


def main() -> None:
    """Prints one JSON object for each form; of each figure minimum, median and maximum."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--times", type=int, default=5)
    asked = parser.parse_args()
    ganforge = [sys.executable, "-m", "ganforge"]
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as driver:
        for form in ("page", "page.html"):
            subprocess.run(
                [*ganforge, "export", asked.run, "--web", f"{scratch}/{form}"], check=True, stdout=sys.stderr
            )
        page, single = Path(scratch) / "page", Path(scratch) / "page.html"
        for second in (False, True):
            began = time.perf_counter()
            play = [*ganforge, "play", str(asked.run), "--no-browser"]
            with subprocess.Popen(play, stdout=subprocess.PIPE, text=True) as serving:
                assert serving.stdout is not None
                address = serving.stdout.readline().split()[0]
                seconds = round(time.perf_counter() - began, 2)
                sys.stdout.write(json.dumps({"play_ready_s": seconds}) + "\n")
                size = sum(file.stat().st_size for file in page.rglob("*") if file.is_file())
                if second:
                    report("served by play", size, driver, address, asked.times)
                serving.terminate()
        report("one file", single.stat().st_size, driver, single.as_uri(), asked.times)


if __name__ == "__main__":
    main()
