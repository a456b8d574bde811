"""`ganforge new`: from a folder of images to a run file, and from there to samples."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganforge.api import Survey
from ganforge.config import load
from ganforge.config.starter import Wishes, buildable, image_size, rounded, starter
from ganforge.training.advice import advice_on
from ganforge.training.build import plan
from support.command_line import call, refused
from support.installed import installed
from support.paths import ROOT

FAST = ("--images", "64", "--image-size", "16", "--device", "cpu", "--batch-size", "16")


def photographs(folder: Path, count: int = 20) -> Path:
    """Noise of mixed sizes and modes; three of them below a class folder's size."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for index in range(count):
        height, width = random.integers(20, 60, 2)
        image = Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))
        if index % 5 == 0:
            image.convert("CMYK").save(folder / f"{index}.jpg")
        else:
            image.save(folder / f"{index}.png")
    return folder


def survey(images: int = 200, median: int = 480, **keys: object) -> Survey:
    counts = {str(name): 1 for name in keys.get("names", ())}  # type: ignore[attr-defined]
    return Survey(images, (median // 2, median, median * 2), {"root": "/photos", **keys}, (), counts)


def test_three_commands_lead_from_a_folder_to_pictures(tmp_path: Path) -> None:
    photographs(tmp_path / "photos")
    (block,) = re.findall(r"```bash\n(ganforge new .*?)```", (ROOT / "docs/own_images.md").read_text(), re.S)
    commands = [line.split("#")[0].split() for line in block.splitlines()]
    assert [command[1] for command in commands] == ["new", "run", "play"]
    for command in commands:
        if command[1] == "new":
            command += FAST
        if command[1] == "play":
            # The page itself is tested in a browser.
            command[1:] = ["sample", command[2], "-n", "16", "-o", "grid.png"]
        done = call(tmp_path, *command[1:])
        assert done.code == 0, done.err
    assert Image.open(tmp_path / "grid.png").size == (142, 34)


def test_the_readme_has_the_same_commands() -> None:
    block = re.compile(r"```bash\nganforge new .*?```", re.S)
    assert block.findall((ROOT / "README.md").read_text()) == block.findall(
        (ROOT / "docs/own_images.md").read_text()
    )


def test_the_file_is_valid_and_the_same_again(tmp_path: Path) -> None:
    photographs(tmp_path / "photos")
    done = call(tmp_path, "new", "my.toml", "--data", "photos", *FAST)
    lines = done.out.splitlines()
    assert lines[0].startswith("20 images, ")
    assert lines[1] == "4 in CMYK: converted to RGB"
    assert lines[-2:] == [
        "  train it:     ganforge run my.toml",
        "  sample it:    ganforge sample runs/my --n 16 --out grid.png",
    ] or lines[-1].endswith("ganforge play runs/my")
    text = (tmp_path / "my.toml").read_text()
    config = load(tmp_path / "my.toml", installed())
    assert config.data.spec().shape == (3, 16, 16)
    assert (config.train.images, config.train.batch_size) == (64, 16)
    assert call(tmp_path, "check", "my.toml", "--data").code == 0
    call(tmp_path, "new", "my.toml", "--data", "photos", *FAST, "--force")
    estimate = re.compile(r"(images = 64).*")
    again = (tmp_path / "my.toml").read_text()
    assert estimate.sub(r"\1", again) == estimate.sub(r"\1", text)


def test_an_existing_file_is_not_replaced(tmp_path: Path) -> None:
    photographs(tmp_path / "photos", 2)
    (tmp_path / "my.toml").write_text("mine")
    assert refused(tmp_path, "new", "my.toml", "--data", "photos") == [
        "my.toml already exists; choose another name, or replace it with --force"
    ]
    assert refused(tmp_path, "new", "my.json", "--data", "photos") == [
        "my.json: a run file is TOML; name it my.toml"
    ]
    assert refused(tmp_path, "new", "x/my.toml", "--data", "photos") == [
        "x/my.toml: there is no folder x; create it first"
    ]
    assert refused(tmp_path, "new", "other.toml", "--data", "pictures") == [
        "pictures does not exist; set data.root to a folder or zip with images"
    ]


def test_the_record_as_json(tmp_path: Path) -> None:
    photographs(tmp_path / "photos")
    found = json.loads(call(tmp_path, "new", "my.toml", "--data", "photos", "--json", *FAST).out)
    assert found["survey"]["images"] == 20
    assert found["settings"]["networks"] == "dcgan"
    assert (found["shape"], found["settings"]["images"]) == ([3, 16, 16], 64)
    assert found["seconds"] > 0


@pytest.mark.parametrize("networks", ["dcgan", "stylegan2"])
@pytest.mark.parametrize(
    "keys", [{}, {"labels": "folder", "names": ["a\nb", 'say "x"', "[c]"]}], ids=["plain", "labels"]
)
def test_every_starter_builds(tmp_path: Path, networks: str, keys: dict[str, object]) -> None:
    for median in (10, 28, 100, 480):
        text = starter(survey(median=median, **keys), Wishes(networks=networks, images=1_000))  # type: ignore[arg-type]
        (tmp_path / "run.toml").write_text(text)
        config = load(tmp_path / "run.toml", installed())
        assert plan(config).spec.labels.names == tuple(keys.get("names", ()))  # type: ignore[arg-type]


@pytest.mark.parametrize(("images", "group"), [(32, 4), (8, 4), (30, 3), (14, 2), (7, 1)])
def test_a_starter_needs_no_advice(tmp_path: Path, images: int, group: int) -> None:
    (tmp_path / "run.toml").write_text(starter(survey(images=images), Wishes(networks="stylegan2")))
    config = load(tmp_path / "run.toml", installed())
    assert config.nets.stddev_group == group  # type: ignore[attr-defined]
    assert [each.key for each in advice_on(plan(config))] == []


def test_augmentation_is_for_few_images() -> None:
    assert "diff_augment" in starter(survey(images=19_999), Wishes())
    assert "diff_augment" not in starter(survey(images=20_000), Wishes())


def test_the_batch_is_at_most_the_data() -> None:
    assert tomllib.loads(starter(survey(images=7), Wishes()))["train"]["batch_size"] == 7


def test_sizes_are_those_that_networks_build_and_never_above_the_median_image() -> None:
    built = [base * 2**k for k in range(2, 8) for base in (4, 5, 6, 7)]
    for median in range(16, 200):
        size = image_size(survey(median=median), Wishes())
        assert size in built and size <= min(64, median)
        assert not [other for other in built if size < other <= min(64, median)]
    assert buildable(3) == 16
    assert image_size(survey(median=480), Wishes(networks="stylegan2")) == 128
    assert image_size(survey(median=480), Wishes(image_size=80)) == 80


def test_budgets_are_round_numbers_below() -> None:
    assert [rounded(n) for n in (0.3, 9.9, 10, 14.9, 15, 99_999, 123_456, 6.9e6)] == [
        1, 9, 10, 10, 15, 70_000, 100_000, 5_000_000,
    ]  # fmt: skip


def test_comments_hold_no_control_characters() -> None:
    found = Survey(9, (9, 9, 9), {"root": "/a\nb = 1\x1b[2J"}, ("x\n[train]\nimages = 1",))
    assert tomllib.loads(starter(found, Wishes()))["train"]["images"] == 100_000
    assert "\x1b" not in starter(found, Wishes())
