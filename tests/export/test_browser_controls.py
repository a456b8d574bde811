"""Controls of other conditions than i-CLEVR's, in a real Chromium; latents where the page cannot draw them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from PIL import Image

from support.command_line import EXAMPLE, TINY, call
from support.deferred import deferred
from support.lively import lively_run
from support.pages import LEVELS, Page, by_pytorch, served
from support.paths import EXAMPLES
from support.toys import toy_document, toy_registry

deferred("onnxruntime", reason="the extra [export] is not installed")
pytestmark = pytest.mark.slow

HOSTILE = '</script><img src=x onerror=alert(1)>"&'


def exported(
    folder: Path,
    name: str,
    example: Path = EXAMPLE,
    overrides: tuple[str, ...] = (),
    tiny: tuple[str, ...] = TINY,
) -> Path:
    """The page of a run `name` in `folder`."""
    lively_run(folder, name, example, (*tiny, *overrides))
    done = call(folder, "export", name, "--web", f"{name}-page")
    assert done.code == 0, done.err
    return folder / f"{name}-page"


def test_codes_are_buttons_and_sliders(tmp_path: Path, browser: Any, runtime: Path) -> None:
    prior = ("prior.type=codes", "prior.dim=13", "prior.categorical=[10]", "prior.continuous=2")
    with served(exported(tmp_path, "mine", overrides=prior)) as address:
        page = Page(browser).open(f"{address}#condition=red+cube&seed=4")
        (drawn,) = by_pytorch(tmp_path, "--condition", "red cube", "--seed", 4, "-n", 1)
        assert np.abs(page.pixels() - drawn).max() <= LEVELS
        page.click("c1 = 3")
        page.fill("#codes .row:nth-child(2) input", 1.5)
        codes = ("--code", "c1=3", "--code", "c2=1.5")
        (chosen,) = by_pytorch(tmp_path, "--condition", "red cube", "--seed", 4, "-n", 1, *codes)
        assert np.abs(page.pixels() - chosen).max() <= LEVELS
        assert np.abs(chosen - drawn).max() > 5 * LEVELS
        assert page.tab.text_content("#command").endswith("--seed 4 --n 8 --code c1=3 --code c2=1.5")
        page.click("as drawn")
        assert np.abs(page.pixels() - drawn).max() <= LEVELS
        page.close()


def test_the_numbers_of_a_vector_are_sliders(
    tmp_path: Path, browser: Any, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganforge.components.registry.discover", toy_registry)
    (tmp_path / "squares.toml").write_text(
        tomli_w.dumps(toy_document(data={"type": "squares", "labels": "vector"}))
    )
    page_folder = exported(tmp_path, "mine", tmp_path / "squares.toml", tiny=())
    with served(page_folder) as address:
        page = Page(browser).open(f"{address}#seed=4")
        before = page.pixels()
        page.fill("#condition .row:nth-child(2) input", 1.5)
        (expected,) = by_pytorch(tmp_path, "--condition", "0, 1.5, 0", "--seed", 4, "-n", 1)
        assert np.abs(page.pixels() - expected).max() <= LEVELS
        assert np.abs(expected - before).max() > 5 * LEVELS and page.complaints == []
        page.close()


def test_a_condition_that_is_a_picture_is_chosen_or_drawn(
    tmp_path: Path, browser: Any, runtime: Path
) -> None:
    example = EXAMPLES / "pix2pix" / "edges_iclevr.toml"
    small = ("train.images=32", "train.batch_size=16", "data.of.scenes=8", "nets.width=8", "nets.d_width=8")
    overrides = tuple(each for each in TINY if not each.startswith(("data.", "nets.", "train.images")))
    lively_run(tmp_path, "mine", example, (*overrides, *small))
    done = call(tmp_path, "export", "mine", "--web", "page")
    assert done.code == 0, done.err
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "edges.png")
    with served(tmp_path / "page") as address:
        page = Page(browser).open(address)
        assert page.tab.locator("#latent-card").is_hidden()
        page.does(lambda: page.tab.set_input_files("#condition-file", tmp_path / "edges.png"))
        (expected,) = by_pytorch(tmp_path, "--condition", tmp_path / "edges.png", "-n", 1)
        assert np.abs(page.pixels() - expected).max() <= LEVELS
        before = page.pixels()
        page.does(lambda: page.tab.click(".paper"))
        assert np.abs(page.pixels() - before).max() > LEVELS
        assert page.complaints == []
        page.close()


def test_a_prior_that_the_page_does_not_know_has_stored_latents(
    tmp_path: Path, browser: Any, runtime: Path
) -> None:
    page_folder = exported(tmp_path, "mine")
    shutil.copytree(page_folder, tmp_path / "other")
    index = tmp_path / "other" / "index.html"
    head, found, tail = index.read_text().partition('"golden": [{"seed": 0')
    assert found
    # As if Python had drawn other latents than the page does; and a name that means trouble.
    text = f'{head}"golden": [{{"seed": 1{tail}'
    hostile = json.dumps(HOSTILE).replace("<", "\\u003c")
    index.write_text(text.replace('"name": "mine"', f'"name": {hostile}'))
    with served(tmp_path / "other") as address:
        page = Page(browser).open(address)
        assert page.tab.locator("#seed-row").is_hidden()
        assert page.tab.text_content("#latent-hint") == "16 latents of the prior are stored in this page."
        (expected,) = by_pytorch(tmp_path, "--condition", "red cube, blue sphere", "--seed", 0, "-n", 1)
        assert np.abs(page.pixels() - expected).max() <= LEVELS
        assert page.tab.text_content("h1") == HOSTILE and page.complaints == []
        page.close()


def test_the_truncation_of_styles_is_that_of_the_command_line(
    tmp_path: Path, browser: Any, runtime: Path
) -> None:
    example = EXAMPLES / "stylegan2_ada" / "iclevr64.toml"
    small = ("data.scenes=4", "data.image_size=16", "nets.channel_max=16", "nets.w_dim=16")
    overrides = (*(each for each in TINY if not each.startswith(("data.", "nets."))), *small)
    lively_run(tmp_path, "mine", example, overrides)
    done = call(tmp_path, "export", "mine", "--web", "page.html")
    assert done.code == 0, done.err
    page = Page(browser).open(f"{(tmp_path / 'page.html').as_uri()}#condition=red+cube&seed=4")
    asked = ("--condition", "red cube", "--seed", 4, "-n", 1)
    (plain,) = by_pytorch(tmp_path, *asked)
    assert np.abs(page.pixels() - plain).max() <= LEVELS
    page.fill("#truncation", 0.4)
    (expected,) = by_pytorch(tmp_path, *asked, "--truncation", 0.4)
    assert np.abs(page.pixels() - expected).max() <= LEVELS
    assert np.abs(expected - plain).max() > 5 * LEVELS
    assert page.tab.text_content("#command").endswith("--truncation 0.4")
    page.fill("#truncation", 1)
    assert np.abs(page.pixels() - plain).max() <= LEVELS
    assert page.tab.text_content("#truncation-value") == "off" and page.complaints == []
    page.close()
