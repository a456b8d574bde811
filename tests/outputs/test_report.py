"""The report: one whole page, which is true, loads nothing, and believes no file."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganforge.api import UserError
from ganforge.outputs.grid import save_grid
from ganforge.outputs.metrics_log import MetricsLog
from ganforge.outputs.report import write_report
from ganforge.outputs.report.curves import MAX_POINTS
from ganforge.outputs.report.html import csp_hash, data_block, text
from ganforge.outputs.report.pictures import MAX_FRAMES, spaced
from ganforge.outputs.report.records import Record
from ganforge.outputs.report.verdict import best_metric, direction, sentences
from ganforge.outputs.run_folder import RunFolder
from support.command_line import call
from support.reported import CONFIG, INFO, make, noise, read


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make(tmp_path / "a <run>")


UPLOT = "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f"
"""SHA-256 of dist/uPlot.iife.min.js in uplot 1.6.32."""


def blocks(content: str) -> dict[str, Any]:
    """The data of the page's script."""
    found = re.findall(r"<script type='application/json' id='([^']+)'>(.*?)</script>", content)
    return {name: json.loads(data) for name, data in found}


def grid(run: RunFolder, seen: int, images: torch.Tensor, name: str = "samples", columns: int = 8) -> None:
    file = run.grid(seen, name)
    file.parent.mkdir(exist_ok=True)
    save_grid(images, file, columns)


def test_it_is_one_whole_page_under_a_policy_of_hashes(run: RunFolder) -> None:
    save_grid(noise(4), run.grid(64))
    content, page = read(write_report(run))
    assert content.startswith("<!DOCTYPE html>\n")
    assert {"iframe", "object", "form", "base"}.isdisjoint(page.tags)
    assert all(source.startswith(("data:", "#")) for source in page.sources) and len(page.sources) > 5
    assert "@import" not in content and not re.search(r"url\((?!#)", content)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', content)
    assert policy is not None and "unsafe" not in policy[1] and policy[1].startswith("default-src 'none'; ")
    for source in re.findall(r"<script>(.*?)</script>", content, re.S):
        assert csp_hash(source) in policy[1]
    for source in re.findall(r"<style>(.*?)</style>", content, re.S):
        assert csp_hash(source) in policy[1]
    assert not re.search(
        r"<[^>]* (?:style|on[a-z]+)=", re.sub(r"<script>.*?</script>", "", content, flags=re.S)
    )


def test_the_vendored_library_is_the_published_one() -> None:
    folder = files("ganforge.outputs.report").joinpath("assets", "uplot")
    assert hashlib.sha256(folder.joinpath("uPlot.iife.min.js").read_bytes()).hexdigest() == UPLOT
    assert "MIT License" in folder.joinpath("LICENSE").read_text()


def test_strings_from_files_stay_strings(run: RunFolder) -> None:
    grid(run, 64, noise(9), "conditions", 3)
    content, page = read(write_report(run))
    assert "alert(1)" in page.shown and "<script>alert" not in content
    for line in (
        "</script><script>alert(1)</script> & 'more'",
        "<b>slow</b> disk",
        "red <cube>",
        "--out '<x>'",
    ):
        assert line in page.shown
    assert page.shown.count("a <run>") >= 2
    hostile = "</script><!--\u2028"
    assert json.loads(data_block("x", hostile).split(">", 1)[1].rsplit("</script>", 1)[0]) == hostile
    assert data_block("x", hostile).count("<") == 2
    assert text("\ud800") == "\\ud800"


def test_the_verdict_shows_what_how_far_whether_healthy_and_the_best(run: RunFolder) -> None:
    assert sentences(Record.read(run, "r")) == [
        "tiny on toy with hinge loss (8 x 8 pixels; 3 labels, several each), trained on 1,280 images of 12,800 "
        "(10%) in 20m00s.",
        "Healthy: no findings.",
        "Best fid: 31.5 after 640 images (lower is better).",
    ]
    (run.checkpoints / "000000003008").mkdir()
    assert "trained on 3,008 images of 12,800 (23.5%)" in read(write_report(run))[1].shown
    event = {"event": "finding", "images_seen": 512, "diagnosis": "mode_collapse", "what": "all <alike>"}
    MetricsLog(run.events).append(event)
    page = read(write_report(run))[1]
    assert "Needs attention: 1 finding (mode collapse), the latest at 512 images." in page.shown
    assert "mode_collapse at 512 images: all <alike>" in page.shown
    MetricsLog(run.events).append({"event": "stop", "images_seen": 600, "what": "diverged"})
    assert "Not healthy: ended by the health policy (diverged)." in read(write_report(run))[1].shown


def test_the_best_metric_is_the_one_that_chooses_checkpoints(run: RunFolder) -> None:
    record = Record.read(run, "r")
    chosen = {"keep_best": "fid", "best_is": "highest"}
    kept = Record(**{**record.__dict__, "config": {**record.config, "logging": chosen}})
    assert best_metric(kept) == "Best fid: 40 after 1,280 images (higher is better)."
    names = {"test_accuracy": False, "kid": True, "recall": False, "sliced_wasserstein": True, "x": None}
    assert {name: direction(name) for name in names} == names


def test_warnings_and_provenance_are_in_words(run: RunFolder) -> None:
    page = read(write_report(run))[1]
    for line in (
        "loss/g was not finite in 1 of 22 rows, first at 320 images",
        "the working tree had uncommitted changes when the run started",
        "Started on 27 November 2026 at 15:10 UTC on cpu.",
        "Software: ganforge 0.1.0, Python 3.11.7, torch 9.9.",
        "Code: commit 0123456789ab, with uncommitted changes that are not recorded.",
        "Seed 4.",
        "git checkout 0123456789abcdef\nganforge run 'a <run>'/config.toml --out again",
        "version = {0.1.0}",
        "metric/fid401,280",
    ):
        assert line in page.shown


def test_charts_have_data_a_text_a_table_and_a_printable_figure(run: RunFolder) -> None:
    content, page = read(write_report(run))
    plots = {plot["unit"]: plot for plot in blocks(content)["curves-data"]["plots"]}
    assert list(plots) == ["loss", "mean score", "fid", "images per second"]
    d, g = plots["loss"]["series"]
    assert (d["label"], d["curve"][0][:2], d["curve"][1][:2]) == ("D loss", [64, 128], [1.0, 0.5])
    assert g["curve"][1][4] is None
    (fid,) = plots["fid"]["series"]
    assert (fid["curve"], fid["band"]) == ([[640, 1280], [31.5, 40.0]], [[640, 1280], [1.5, 1.5]])
    assert plots["mean score"]["bounds"] == [0, 1] and plots["loss"]["bounds"] is None
    assert "D loss: 1 at first, 0.05 at last; G loss: 2 at first, 2 at last." in page.shown
    assert "D loss10.050.05 at 1,2801 at 6420" in page.shown
    assert sum(source.startswith("data:image/svg+xml") for source in page.sources) == 4
    assert [alt for alt in page.alts if "Losses" in alt] == ["Losses against images seen"]


def test_a_long_curve_keeps_its_extremes(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "long", CONFIG, INFO)
    rows = [{"images_seen": n, "loss/d": 1.0 + (n == 7777) * 99 - (n == 12345)} for n in range(20_000)]
    run.metrics.write_text("\n".join(map(json.dumps, rows)) + "\n")
    (plot,) = blocks(read(write_report(run))[0])["curves-data"]["plots"]
    seen, values = plot["series"][0]["curve"]
    assert len(seen) <= MAX_POINTS + 2 and seen == sorted(seen) and (seen[0], seen[-1]) == (0, 19_999)
    assert (values[seen.index(7777)], values[seen.index(12345)]) == (100.0, 0.0)


def test_the_film_of_each_grid(run: RunFolder) -> None:
    for seen in range(0, 640, 10):
        save_grid(noise(4), run.grid(seen))
    grid(run, 640, noise(9), "conditions", 3)
    grid(run, 640, noise(20), "c1", 10)
    content, page = read(write_report(run))
    film = blocks(content)["run0-film-samples-data"]
    assert (len(film["frames"]), film["seen"][0], film["seen"][-1]) == (MAX_FRAMES, 0, 630)
    with Image.open(BytesIO(b64decode(film["frames"][0]))) as frame, Image.open(run.grid(0)) as source:
        assert frame.format == "WEBP"
        assert np.array_equal(np.asarray(frame.convert("RGB")), np.asarray(source.convert("RGB"))), (
            "small: lossless"
        )
    assert [alt for alt in page.alts if "after" in alt and "images" in alt] == [
        "samples of a <run> after 1,280 images",
        "Samples, after 630 images",
        "One condition a column: red <cube>, cup, sphere, after 640 images",
        "Code c1, one value a column, after 640 images",
    ]
    assert "red <cube>cupsphere" in page.shown


def test_pictures_are_spread_evenly_with_first_and_last() -> None:
    pairs = [(n, Path(f"{n}")) for n in range(100)]
    assert [seen for seen, _ in spaced(pairs, 4)] == [0, 33, 66, 99]
    assert spaced(pairs[:3], 4) == pairs[:3]
    assert spaced(pairs, 1) == pairs[-1:]


@pytest.mark.parametrize("most", [400_000, 700_000])
def test_a_page_keeps_to_its_size(run: RunFolder, most: int) -> None:
    for seen in range(0, 1000, 100):
        save_grid(noise(16, 128), run.grid(seen))
    size = sum(file.stat().st_size for _, file in run.grid_files())
    assert size > 4 * most
    path = write_report(run, max_bytes=most)
    assert path.stat().st_size <= most
    assert "run0-film-samples-data" in read(path)[0], "there is room for a film"


def test_a_page_that_cannot_be_so_small_is_refused(run: RunFolder) -> None:
    with pytest.raises(UserError) as error:
        write_report(run, max_bytes=10_000)
    assert re.fullmatch(
        r"the page takes 0\.\d MB without any picture, but at most 0\.01 MB are allowed; raise --max-mb",
        str(error.value),
    )
    assert not run.report.exists()


def test_several_runs_are_overlaid(run: RunFolder, tmp_path: Path) -> None:
    other = make(tmp_path / "other")
    other.write_config({**CONFIG, "loss": {"type": "wasserstein"}})
    done = call(tmp_path, "report", run.path.name, "other")
    assert (done.code, done.out) == (0, "report.html\n")
    content, page = read(tmp_path / "report.html")
    losses = blocks(content)["curves-data"]["plots"][0]["series"]
    assert [(s["label"], s["color"], s["dash"]) for s in losses] == [
        ("a <run>: D loss", 0, 0),
        ("a <run>: G loss", 0, 1),
        ("other: D loss", 1, 0),
        ("other: G loss", 1, 1),
    ]
    assert 'loss.type"hinge""wasserstein"' in page.shown
    assert page.shown.count("Healthy: no findings.") == 2


def test_evaluations_are_on_the_page(run: RunFolder) -> None:
    metric = {
        "values": {"test_accuracy": 0.61, "test_accuracy_std": 0.012, "judge_recall/cup": 0.5},
        "seeds": [1, 2, 3],
    }
    record = {"images_seen": 1280, "network": "ema", "metrics": [metric]}
    MetricsLog(run.path / "evaluations.jsonl").append(record)
    page = read(write_report(run))[1]
    assert "test accuracy0.61 ± 0.012higher31,280ema" in page.shown
    assert "Best test accuracy: 0.61 after 1,280 images" in page.shown or "Best fid" in page.shown
