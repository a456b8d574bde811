"""The Python API on a finished run: the command line's samples, latents in and out, log, errors."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import ganforge
from ganforge.api import UserError
from ganforge.facade.run import MAX_TRUNCATED
from ganforge.outputs.grid import to_uint8
from support.command_line import EXAMPLE, TINY, call, sets

CONDITION = "red cube, blue sphere"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run `mine`."""
    folder = tmp_path_factory.mktemp("facade")
    assert call(folder, "run", EXAMPLE, "--out", "mine", *sets(*TINY, "logging.grid_every=64")).code == 0
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Any:
    return ganforge.load_run(place / "mine")


def test_importing_costs_nothing() -> None:
    code = (
        "import sys, ganforge; assert ganforge.__version__; assert 'load_run' in dir(ganforge); "
        "print(sorted({'torch', 'click', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    with pytest.raises(AttributeError, match="module 'ganforge' has no attribute 'sample'"):
        ganforge.sample  # noqa: B018


def test_samples_are_those_of_the_command_line(place: Path, run: Any, tmp_path: Path) -> None:
    drawn = run.sample(CONDITION, n=3, seed=7)
    assert drawn.tensor.shape == (3, 3, 16, 16) and drawn.tensor.abs().max() <= 1
    assert drawn.conditions == [["red cube", "blue sphere"]] * 3
    assert (
        call(place, "sample", "mine", "-c", CONDITION, "-n", 3, "--seed", 7, "-o", tmp_path / "x.png").code
        == 0
    )
    assert drawn.save(tmp_path / "y.png").read_bytes() == (tmp_path / "x.png").read_bytes()
    assert drawn._repr_png_() == (tmp_path / "x.png").read_bytes()
    assert [image.size for image in drawn.images] == [(16, 16)] * 3
    assert drawn.images[1].tobytes() == to_uint8(drawn.tensor[1]).permute(1, 2, 0).numpy().tobytes()
    assert drawn.grid().size == (3 * 18 - 2, 16)
    folder = drawn.save(tmp_path / "all")
    assert json.loads((folder / "samples.json").read_text())[2]["condition"] == ["red cube", "blue sphere"]
    assert repr(drawn) == "<3 samples of 3x16x16, seed 7>"


def test_conditions_in_every_form_are_the_same(run: Any) -> None:
    words = run.sample(CONDITION, n=2).tensor
    row = torch.tensor([float(name in ("red cube", "blue sphere")) for name in run.conditions])
    for form in (["blue sphere", "red cube"], [["red cube", "blue sphere"]], row, row[None]):
        assert torch.equal(run.sample(form, n=2).tensor, words)
    both = run.sample([["red cube", "blue sphere"], ["gray cube"]], n=2)
    torch.testing.assert_close(both.tensor[:2], words)
    assert both.conditions[2:] == [["gray cube"]] * 2


def test_latents_go_out_and_in(run: Any) -> None:
    drawn = run.sample(CONDITION, n=4, seed=3)
    again = run.sample(CONDITION, z=drawn.z)
    torch.testing.assert_close(again.tensor, drawn.tensor)
    assert again.seed is None
    middle = run.sample(CONDITION, z=(drawn.z[:1] + drawn.z[1:2]) / 2)
    assert middle.tensor.shape == (1, 3, 16, 16) and not torch.equal(middle.tensor, drawn.tensor[:1])
    short = run.sample(CONDITION, n=4, seed=3, truncation=0.1)
    assert short.z.abs().max() <= 0.1 and short.tensor.std(0).mean() < drawn.tensor.std(0).mean()
    torch.testing.assert_close(run.sample(CONDITION, z=drawn.z, truncation=0.1).z, short.z)


def test_the_grid_of_conditions_has_them_across_and_one_noise_a_row(run: Any) -> None:
    sheet = run.condition_grid([["red cube"], ["gray cube"], [*CONDITION.split(", ")]], rows=2, seed=5)
    alone = run.sample("gray cube", n=2, seed=5)
    torch.testing.assert_close(sheet.tensor[[1, 4]], alone.tensor)
    assert torch.equal(sheet.z[0], sheet.z[2]) and not torch.equal(sheet.z[0], sheet.z[3])
    width, height = sheet.grid().size
    # The 16-pixel images are enlarged three times; names are above and on the left.
    assert width > 3 * 50 + 40 and height > 2 * 50 + 10
    assert len(run.condition_grid(rows=1)) == 24


def test_the_log_the_settings_and_the_notebook_card(place: Path, run: Any) -> None:
    rows = [json.loads(line) for line in (place / "mine" / "metrics.jsonl").read_text().splitlines()]
    assert run.metrics == rows
    assert run.metrics.column("loss/g") == ([32, 64], [row["loss/g"] for row in rows])
    frame = run.metrics.to_frame()
    assert list(frame.index) == [32, 64] and frame["loss/d"].tolist() == [row["loss/d"] for row in rows]
    assert (run.config.train.images, run.spec.shape, len(run.conditions)) == (64, (3, 16, 16), 24)
    assert (run.images_seen, run.finished) == (64, True)
    assert repr(run).endswith("dcgan on iclevr (3x16x16, many of 24 labels), 64 of 64 images seen>")
    page = run._repr_html_()
    picture = base64.b64decode(page.split("base64,")[1].split('"')[0])
    assert picture == (place / "mine" / "grids" / f"{64:010d}.png").read_bytes()


def test_the_notebook_card_is_escaped(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "mine", tmp_path / "<img src=x>")
    page = ganforge.load_run(tmp_path / "<img src=x>")._repr_html_()
    assert "<img src=x>" not in page and "&lt;img src=x&gt;" in page


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"z": torch.zeros(2, 5)}, r"z: expected a tensor \[n, 100\], got \[2, 5\]"),
        ({"condition": torch.zeros(3)}, r"condition: expected a tensor \[m, 24\], got \[3\]"),
        ({"condition": "red cub"}, "unknown label 'red cub'; nearest: red cube"),
        ({"codes": {"c1": 2}}, "prior 'normal' has no codes, so 'c1' cannot be chosen"),
        ({"n": 100_001}, "100,001 samples requested, at most 100,000 per call; lower n"),
    ],
)
def test_mistakes_are_named(run: Any, given: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=f"^{expected}"):
        run.sample(**given)


def test_runs_checkpoints_and_devices_that_are_not_there(place: Path) -> None:
    with pytest.raises(UserError, match="nowhere is not a run folder"):
        ganforge.load_run(place / "nowhere")
    with pytest.raises(UserError, match=r"expected newest, best, or images seen \(available: 64\)"):
        ganforge.load_run(place / "mine", checkpoint=7).sample()
    with pytest.raises(UserError, match="device 'tpu': expected auto, cpu or cuda"):
        ganforge.load_run(place / "mine", device="tpu")


def test_a_run_of_the_hub_is_fetched_without_pickles(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Any
) -> None:
    asked: list[Any] = []
    # The client's cache has links to the files, which lie elsewhere.
    for file in (place / "mine").rglob("*"):
        link = tmp_path / "snapshot" / file.relative_to(place / "mine")
        link.parent.mkdir(parents=True, exist_ok=True)
        if file.is_file():
            link.symlink_to(file)

    def snapshot_download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        assert not any(pattern.endswith((".bin", ".pt", ".pth", ".pkl", "*")) for pattern in allow_patterns)
        if name == "me/none":
            raise OSError("404 Client Error\n for this repository")
        return str(tmp_path / "snapshot")

    hub = types.SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    fetched = ganforge.load_run("hf://me/scenes@v2")
    assert asked == [("me/scenes", "v2")]
    assert torch.equal(fetched.sample(CONDITION, n=1).tensor, run.sample(CONDITION, n=1).tensor)
    with pytest.raises(UserError, match=r"^hf://me/none: cannot be downloaded: 404 Client Error for this"):
        ganforge.load_run("hf://me/none")
    with pytest.raises(UserError, match=r"^hf://me: expected hf://owner/name"):
        ganforge.load_run("hf://me")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match="needs huggingface_hub: pip install huggingface_hub"):
        ganforge.load_run("hf://me/scenes")


def test_the_image_of_a_notebook_is_a_png(run: Any) -> None:
    with Image.open(io.BytesIO(run.sample(n=1)._repr_png_())) as image:
        assert image.format == "PNG"


def test_generators_of_few_truncations_are_kept(place: Path) -> None:
    run = ganforge.load_run(place / "mine")
    first = run.sample(CONDITION, n=1, truncation=0.1).tensor
    for level in range(2, 2 + MAX_TRUNCATED):
        run.sample(CONDITION, n=1, truncation=level / 10)
    run.sample(CONDITION, n=1)
    assert list(run._generators) == [*(level / 10 for level in range(2, 2 + MAX_TRUNCATED)), None]
    assert torch.equal(run.sample(CONDITION, n=1, truncation=0.1).tensor, first)
