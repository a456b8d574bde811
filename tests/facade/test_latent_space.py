"""Ways through the latent space, projection, style mixing, films, and the figures of a lab sheet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
from PIL import Image

import ganforge
from ganforge.api import UserError
from ganforge.evaluation.per_seed import PerSeed
from ganforge.facade.lab import write_lab
from ganforge.outputs.grid import save_png
from ganforge_priors.codes import Codes
from ganforge_priors.normal import Normal
from support.command_line import EXAMPLE, TINY, call, refused, sets


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run `mine`, of scenes that suffice for a judge."""
    folder = tmp_path_factory.mktemp("latents")
    assert call(folder, "run", EXAMPLE, "--out", "mine", *sets(*TINY, "data.scenes=8")).code == 0
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Any:
    """The run, with a last layer so large that its samples differ: after 64 images all are nearly gray."""
    found = ganforge.load_run(place / "mine")
    network = found._generator(None).sampler.network
    *_, last = (weights for weights in network.parameters() if weights.ndim == 4)
    with torch.no_grad():
        last.mul_(300)
    return found


def test_a_normal_latent_moves_on_a_great_circle() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 5, 64, dtype=torch.float64)
    prior = Normal(dim=64)
    torch.testing.assert_close(prior.mixed(a, b, 0.0), a)
    torch.testing.assert_close(prior.mixed(a, b, 1.0), b)
    unit = [x / x.norm(dim=1, keepdim=True) for x in (a, b)]
    middle = prior.mixed(*unit, 0.5)
    # Half-way on the unit sphere is the normalized sum.
    expected = unit[0] + unit[1]
    torch.testing.assert_close(middle, expected / expected.norm(dim=1, keepdim=True))
    torch.testing.assert_close(prior.mixed(a, a, 0.3), a)
    torch.testing.assert_close(Codes(dim=64).mixed(a, b, 0.25), 0.75 * a + 0.25 * b)


def test_interpolations_end_where_samples_are(run: Any) -> None:
    sheet = run.interpolate("red cube", rows=2, steps=5, seed=4)
    ends = run.sample("red cube", n=4, seed=4)
    assert (len(sheet), sheet.columns, sheet.names.columns[2]) == (10, 5, "50%")
    assert torch.equal(sheet.z[[0, 4, 5, 9]], ends.z)
    torch.testing.assert_close(sheet.tensor[[0, 4, 5, 9]], ends.tensor)
    row = run.interpolate("red cube", seeds=(4, 9), steps=3)
    assert torch.equal(row.z[0], run.sample("red cube", n=1, seed=4).z[0])
    assert torch.equal(row.z[2], run.sample("red cube", n=1, seed=9).z[0])


def test_a_walk_returns_to_where_it_began(run: Any, tmp_path: Path) -> None:
    found = run.walk("red cube", n=2, stations=3, frames=12, seed=1)
    z = found.z.view(12, 2, -1)
    stops = run.sample("red cube", n=6, seed=1).z.view(2, 3, -1)
    torch.testing.assert_close(z[[0, 4, 8]], stops.transpose(0, 1))
    steps = (z - z.roll(1, 0)).norm(dim=2)
    assert steps.max() < 2 * steps.min(), "the last step closes the way"
    for name in ("walk.webp", "walk.gif"):
        with Image.open(found.save_film(tmp_path / name, fps=10)) as film:
            # 16 pixels are enlarged to 128; 2 samples side by side.
            assert (film.n_frames, film.size) == (12, (2 * 128 + 2, 128))
    with pytest.raises(UserError, match=r"expected a film to be one of \.webp, \.gif"):
        found.save_film(tmp_path / "walk.mp4")
    with pytest.raises(UserError, match="a walk needs 2 stations or more and a frame for each, got 3 and 2"):
        run.walk(frames=2, stations=3)


def test_projection_finds_a_sample_again(place: Path, run: Any) -> None:
    goal = run.sample("red cube", n=1, seed=123).tensor[0]
    found = run.project(goal, "red cube", steps=200)
    begun = float((found.start - goal).square().mean().sqrt())
    assert found.rmse < 0.5 * begun
    assert found.rmse == pytest.approx(float((found.image - goal).square().mean().sqrt()))
    torch.testing.assert_close(run.sample("red cube", z=found.z).tensor[0], found.image)
    save_png(goal, place / "goal.png")
    done = call(place, "latents", "mine", "--project", "goal.png", "-c", "red cube", "--steps", 20)
    assert done.code == 0 and done.out.startswith("error 0.") and "step 20 of 20: error" in done.err
    assert np.load(place / "projection.npy").shape == (1, 100)
    assert refused(place, "latents", "mine", "--project", "mine/config.toml") == [
        "mine/config.toml: not an image"
    ]


def test_truncation_sheets_show_the_same_latents(run: Any) -> None:
    sheet = run.truncation_sheet("red cube", levels=(0.2, 0.9), columns=3)
    assert sheet.names.rows == ["truncation 0.2", "truncation 0.9", "none"]
    plain = run.sample("red cube", n=3)
    torch.testing.assert_close(sheet.tensor[6:], plain.tensor)
    assert sheet.z[:3].abs().max() <= 0.2 < sheet.z[3:6].abs().max() <= 0.9


def test_styles_are_mixed_where_there_are_any(run: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nets 'dcgan' cannot mix styles"):
        run.mix_styles()
    tables = {
        "data": {"type": "iclevr", "scenes": 4, "image_size": 16},
        "prior": {"type": "normal", "dim": 8},
        "nets": {"type": "stylegan2", "w_dim": 8, "channel_base": 64, "channel_max": 8, "noise": "none",
                 "conditioning": "none"},
        "generator": {"optimizer": {"type": "adam"}},
        "discriminator": {"optimizer": {"type": "adam"}},
        "train": {"images": 8, "batch_size": 8, "device": "cpu"},
        "logging": {"grid_every": 0},
        "wandb": {"mode": "disabled"},
    }  # fmt: skip
    style = ganforge.train(tables, out=tmp_path / "style")
    sheet = style.mix_styles(rows=2, columns=3, share=0.5, seed=1)
    z = style.sample(n=5, seed=1).z
    # The same latent for all layers is the sample itself.
    generator = style._generator(None)
    same = generator.sampler.nets.style_mixed(generator.sampler.network, z, z, None, 0.5)
    torch.testing.assert_close(same, style.sample(z=z).tensor)
    mixed = generator.sampler.nets.style_mixed(
        generator.sampler.network, z[[0, 0, 0, 1, 1, 1]], z[[2, 3, 4, 2, 3, 4]], None, 0.5
    )
    torch.testing.assert_close(sheet.tensor, mixed)
    assert not torch.equal(sheet.tensor[0], sheet.tensor[1]) and not torch.equal(
        sheet.tensor[0], sheet.tensor[3]
    )


def test_exactly_one_thing_is_asked_for(place: Path) -> None:
    for options in ((), ("--walk", "--mixing")):
        assert refused(place, "latents", "mine", *options)[-1] == (
            "Error: expected one of --walk, --interpolate A B, --project IMAGE, --truncation-sheet and --mixing"
        )
    done = call(place, "latents", "mine", "--interpolate", 0, 1, "--steps", 4, "-o", "way.gif", "--json")
    assert json.loads(done.out) == {"written": "way.gif", "seed": 0}
    with Image.open(place / "way.gif") as film:
        assert film.n_frames == 4


def test_what_takes_long_is_refused_before_for_its_name(place: Path) -> None:
    for options, expected in (
        (("--walk", "-o", "walk.png"), "--out walk.png: --walk writes a file that ends in .webp or .gif"),
        (
            ("--project", "goal.png", "-o", "."),
            "--out .: --project writes a file that ends in .png or .jpg or .jpeg or .webp",
        ),
    ):
        assert refused(place, "latents", "no-run", *options)[-1] == f"Error: {expected}"


def test_a_lab_sheet_names_the_folder_that_cannot_be_written_and_no_other(place: Path, run: Any) -> None:
    (place / "file").touch()
    with pytest.raises(UserError) as caught:
        write_lab("dcgan", run, place / "file")
    assert str(caught.value) == f"{place / 'file'}: File exists; choose another folder with --out"

    def scores() -> list[PerSeed]:
        raise FileNotFoundError(2, "No such file or directory", "data.bin")

    with pytest.raises(FileNotFoundError, match=r"data\.bin"):
        write_lab("iclevr", run, place / "unmeasured", scores=scores)


def test_a_lab_sheet_has_its_figures_and_names_what_is_missing(place: Path) -> None:
    done = call(place, "lab", "iclevr", "mine", "--judge-minutes", 0.02, "--seeds", 3, "-o", "sheet")
    names = ("losses", "scores", "conditions", "interpolation", "accuracy")
    expected = [f"sheet/{name}.{form}" for name in names for form in ("png", "pdf")]
    assert (done.code, done.out.splitlines()) == (0, [*expected, "sheet/accuracy.json"]), done.err
    for file in expected:
        assert (place / file).read_bytes().startswith(b"%PDF" if file.endswith("pdf") else b"\x89PNG")
    (row,) = json.loads((place / "sheet" / "accuracy.json").read_text())
    assert (row["name"], row["seeds"], len(row["values"])) == ("condition_accuracy", [0, 1, 2], 3)
    assert 0 <= min(row["values"]) <= max(row["values"]) <= 1 and 0 <= row["ceiling"] <= 1
    # Each seed's value is what `evaluate` finds for it.
    record = json.loads(call(place, "evaluate", "mine", "--judge-minutes", 0.02, "--seeds", 1, "--json").out)
    assert record["metrics"][0]["values"]["condition_accuracy"] == row["values"][0]

    # A judge that is named in a file of metrics, too.
    judge = record["metrics"][0]["settings"]["judge"]
    table = {"metrics": [{"type": "condition_accuracy", "name": "mine", "judge": judge}]}
    (place / "metrics.toml").write_text(tomli_w.dumps(table))
    options = ("--metrics", "metrics.toml", "--no-train-judge", "--seeds", 2, "-o", "judged")
    assert "missing" not in call(place, "lab", "iclevr", "mine", *options).err
    (judged,) = json.loads((place / "judged" / "accuracy.json").read_text())
    assert (judged["name"], judged["values"]) == ("mine_accuracy", row["values"][:2])

    done = call(place, "lab", "infogan", "mine", "-o", "other", "--json")
    found = json.loads(done.out)
    assert found["missing"] == ["the codes: prior 'normal' has none"]
    assert "other/interpolation.pdf" in found["written"]
