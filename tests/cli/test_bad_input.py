"""Bad input to `run`, `check` and `resume`: one message, exit code 2, and nothing written."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from ganforge_datasets.clevr_layout import NAMES
from support.command_line import EXAMPLE, TINY, call, refused, sets
from support.toys import toy_registry
from support.trained import trained as trained

DATA = '[data]\ntype = "iclevr"\nimage_size = 16\n'
NETS = '[nets]\ntype = "dcgan"\nwidth = 4\n'


@pytest.mark.parametrize("command", [("run",), ("run", "--dry-run"), ("check",)])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[data\n", "my.toml:1: TOML syntax error: Expected ']' at the end of a table declaration"),
        (DATA + "scnes = 3\n" + NETS, "my.toml:4: data.scnes: unknown key 'scnes'; did you mean 'scenes'?"),
        (DATA + NETS + 'max_width = "8"\n', "my.toml:7: nets.max_width: should be a valid integer, got '8'"),
        (
            DATA + NETS + '[loss]\ntype = "hing"\n',
            "my.toml:8: loss.type: no loss is called 'hing'; did you mean",
        ),
        (DATA, "my.toml:1: nets: is missing"),
        (
            DATA + NETS + '[[terms]]\ntype = "mutual_information"\n',
            "my.toml:7: term 'mutual_information' needs a prior with codes, ",
        ),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, command: tuple[str, ...], text: str, expected: str) -> None:
    (tmp_path / "my.toml").write_text(text)
    (line,) = refused(tmp_path, *command, "my.toml")
    assert line.startswith(expected)
    assert not (tmp_path / ".cache" / "ganforge").exists()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path, "run", "no.toml") == ["no.toml: cannot be read: No such file or directory"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.batch_size", "--set train.batch_size: expected KEY=VALUE, such as --set train.batch_size=32"),
        (
            "train.batchsize=3",
            "--set train.batchsize=3: train.batchsize: unknown key 'batchsize'; did you mean ",
        ),
        ("train.images=1.5", "--set train.images=1.5: train.images: should be a valid integer, got 1.5"),
        ("generator.optimizer=adam", "--set generator.optimizer=adam: generator.optimizer: expected a table"),
        (
            "data.root=nowhere",
            "--set data.root=nowhere: {place}/nowhere does not exist; set data.root to the folder or zip with i-CLEVR",
        ),
        (
            "train.device=cuda",
            "--set train.device=cuda: train.device is 'cuda' but torch finds no CUDA device here; use 'auto'",
        ),
        (
            "train.precision=fp16",
            "--set train.precision=fp16: train.precision 'fp16' needs a CUDA device; use 'bf16' or 'no'",
        ),
        (
            "train.accumulate=5",
            "--set train.batch_size=32: train.batch_size = 32 is the global batch and must divide evenly among",
        ),
    ],
)
def test_mistakes_in_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    (line,) = refused(tmp_path, "run", EXAMPLE, *sets(*TINY, override))
    assert line.startswith(expected.format(place=tmp_path))


def iclevr(folder: Path) -> Path:
    """A little data set of three images, to be spoilt."""
    (folder / "images").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.png", "c.png")):
        Image.new("RGB", (16, 16), (80 * index, 100, 100)).save(folder / "images" / name)
    (folder / "objects.json").write_text(json.dumps({name: index for index, name in enumerate(NAMES)}))
    labels = {"a.png": ["red cube"], "b.png": ["blue cube"], "c.png": ["gray sphere", "red cube"]}
    (folder / "train.json").write_text(json.dumps(labels, indent=1))
    return folder


def relabel(data: Path, text: str) -> None:
    (data / "train.json").write_text(text)


def cut(data: Path) -> None:
    image = data / "images" / "b.png"
    image.write_bytes(image.read_bytes()[:60])


def zipped(member: str) -> Callable[[Path], None]:
    def spoil(data: Path) -> None:
        with zipfile.ZipFile(data / "images.zip", "w") as archive:
            for image in sorted((data / "images").iterdir()):
                archive.write(image, image.name)
            archive.writestr(member, b"x")
        shutil.rmtree(data / "images")

    return spoil


def half_a_zip(data: Path) -> None:
    zipped("more.txt")(data)
    whole = (data / "images.zip").read_bytes()
    (data / "images.zip").write_bytes(whole[: len(whole) // 2])


SPOILT: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "unknown object": (
        lambda data: relabel(data, '{\n"a.png": ["redd cube"]}'), "train.json:2: ", "did you mean 'red cube'?",
    ),
    "no images": (lambda data: relabel(data, "{}"), "train.json:1: ", "lists no images"),
    "not JSON": (lambda data: relabel(data, '{\n"a.png"'), "train.json:2: ", "is not JSON"),
    "corrupt": (lambda data: (data / "images" / "b.png").write_bytes(b"x" * 99), "b.png", "is not an image"),
    "empty file": (lambda data: (data / "images" / "b.png").write_bytes(b""), "b.png", "is empty (0 bytes)"),
    "truncated": (cut, "b.png", "copy it again"),
    "missing": (lambda data: (data / "images" / "b.png").unlink(), "'b.png'", "which"),
    "no lists": (lambda data: (data / "train.json").unlink(), "has no train.json", "expected a folder or zip"),
    "upwards": (zipped("../evil.png"), "images.zip", "'../evil.png', which points outside of the zip; refused"),
    "absolute": (zipped("/etc/evil.png"), "images.zip", "'/etc/evil.png', which points outside of the zip"),
    "half a zip": (half_a_zip, "images.zip", "is not a zip, or is cut short; copy it again"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILT)
def test_mistakes_in_the_data_name_the_file(tmp_path: Path, case: str) -> None:
    spoil, where, what = SPOILT[case]
    spoil(iclevr(tmp_path / "data"))
    (line,) = refused(tmp_path, "run", EXAMPLE, *sets(*TINY, "data.root=data"))
    assert str(tmp_path / "data") in line
    assert where in line
    assert what in line


def test_sound_data_of_that_kind_are_trained_on(tmp_path: Path) -> None:
    iclevr(tmp_path / "data")
    assert call(tmp_path, "run", EXAMPLE, *sets(*TINY, "data.root=data")).code == 0


@pytest.mark.parametrize(
    ("command", "settings", "expected"),
    [
        ("run", "count = 0", "the data set is empty"),
        (
            "check",
            "size = 50",
            "my.toml:4: nets 'dcgan': image size 50x50 (height x width) is not base x 2^k",
        ),
        ("run", "size = 50", "my.toml:4: nets 'dcgan': image size 50x50 (height x width) is not base x 2^k"),
    ],
)
def test_components_that_do_not_fit_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, settings: str, expected: str
) -> None:
    registry = toy_registry()
    monkeypatch.setattr("ganforge.components.registry.discover", lambda: registry)
    (tmp_path / "my.toml").write_text(f'[data]\ntype = "squares"\n{settings}\n{NETS}')
    (line,) = refused(tmp_path, command, "my.toml")
    assert line.startswith(expected)


def test_a_run_that_exists_is_left_alone(trained: Path) -> None:
    assert refused(trained, "run", EXAMPLE, "--out", "mine", *sets(*TINY)) == [
        "run folder mine already exists; continue it with 'ganforge resume mine', or choose another with --out"
    ]


def test_a_place_that_is_taken_by_something_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("precious")
    for out in ("file", "folder"):
        assert refused(tmp_path, "run", EXAMPLE, "--out", out, *sets(*TINY)) == [
            f"{out} already exists and is not a run folder; choose another with --out"
        ]
    assert refused(tmp_path, "run", EXAMPLE, "--out", "file/run", *sets(*TINY))[-1] == (
        f"cannot create run folder file/run in {tmp_path / 'file'}: Not a directory; choose another with --out"
    )


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train=3", "--set train=3: train: should be an object, got 3"),
        ("train.images", "--set train.images: expected KEY=VALUE, such as --set train.batch_size=32"),
        ("train.images=-1", "--set train.images=-1: train.images: should be greater than or equal to 1, got -1"),
        ("logging.evry=1", "--set logging.evry=1: logging.evry: unknown key 'evry'; did you mean 'every'? (keys: "
         "every, grid_every, grid_samples, checkpoint_every, keep_checkpoints, keep_best, best_is)"),
    ],
)  # fmt: skip
def test_what_a_resumed_run_may_not_change(trained: Path, override: str, expected: str) -> None:
    assert refused(trained, "resume", "mine", "--set", override) == [expected]


def test_resume_of_what_cannot_be_resumed(trained: Path, tmp_path: Path) -> None:
    assert refused(tmp_path, "resume", "nowhere")[-1].startswith(
        "nowhere is not a run folder: it has no config"
    )
    run = shutil.copytree(trained / "mine", tmp_path / "mine")
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("width = 8", "width = 16"))
    more = ("--override", "nets.width", "--set", "train.images=96")
    assert refused(tmp_path, "resume", "mine", *more)[-1].startswith(
        "mine/config.toml does not match the run's newest checkpoint: RuntimeError: "
    )
    (run / "config.toml").write_text(text)
    (run / "run.json").write_text("{}")
    assert refused(tmp_path, "resume", "mine", "--set", "train.images=96")[-1].startswith(
        "mine/run.json: 'data_spec' is missing or damaged"
    )
    shutil.copy(trained / "mine" / "run.json", run)
    shutil.rmtree(run / "checkpoints")
    assert refused(tmp_path, "resume", "mine")[-1] == (
        "mine/checkpoints: no checkpoint yet; start the run again with 'ganforge run'"
    )
