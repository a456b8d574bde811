"""The tables of the examples: what the run folders hold, and nothing else."""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganforge.config.load import dumps, load
from support.installed import installed
from support.paths import EXAMPLES
from support.scripts import script

FILES = ("mnist/cgan.toml", "mnist/dcgan.toml", "toy/gan_ring8.toml")
TOY = [
    {"images_seen": 100, "seconds": 60.0, "metric/modes": 7.0, "metric/high_quality": 0.5},
    {"images_seen": 1200, "seconds": 150.0},
    {"images_seen": 1200, "metric/modes": 8.0, "metric/high_quality": 0.9736},
]
CLOCK = [{"images_seen": images, "seconds": images * 0.6} for images in (100, 200, 300)]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, with a folder of three examples and a page without rows."""
    module = script("results")
    here = tmp_path / "examples"
    for name in FILES:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(EXAMPLES / name, here / name)
    (here / "README.md").write_text(f"above\n{module.BEGIN}\n{module.END}\nbelow\n")
    module.examples.cache_clear()
    monkeypatch.setattr(module, "HERE", here)
    monkeypatch.setattr(module, "registry", installed)
    return module


def write_run(
    folder: Path,
    example: str,
    *overrides: str,
    log: Sequence[dict[str, Any]] = CLOCK,
    evaluations: Sequence[dict[str, Any]] = (),
    typed: str | None = None,
    **info: Any,
) -> None:
    folder.mkdir(parents=True)
    command = ["ganforge", "run", typed or f"examples/{example}", "--out", str(folder)]
    known = {"gpu": None, "cpu": {"threads": 8, "used": 1}, "command": command}
    (folder / "run.json").write_text(json.dumps(known | info))
    (folder / "config.toml").write_text(dumps(load(EXAMPLES / example, installed(), overrides)))
    for name, lines in (("metrics", log), ("evaluations", evaluations)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def evaluation(images: int, judge: str = "0123456789", **values: float) -> dict[str, Any]:
    files = {"judge": {"sha256": judge, "accuracy": {"accuracy": 0.9958}}}
    return {"images_seen": images, "metrics": [{"files": files, "values": values}]}


def write_grid(folder: Path, images: int, shade: int) -> None:
    (folder / "grids").mkdir(exist_ok=True)
    Image.new("L", (120, 40), shade).save(folder / "grids" / f"{images:010}.png")


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| [")]


def test_tables_by_task_best_first_within_a_judge(results: ModuleType, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name, judge, distance in (("a", "0" * 8, 9.5), ("b", "1" * 8, 30.0), ("c", "0" * 8, 40.25)):
        write_run(
            runs / name,
            "mnist/dcgan.toml",
            evaluations=[evaluation(300, judge, frechet_judge_distance=distance)],
        )
    write_run(runs / "d", "toy/gan_ring8.toml", log=TOY, gpu="NVIDIA H200")
    cgan = [evaluation(300, condition_accuracy=0.9, condition_accuracy_std=0.0125)]
    write_run(runs / "e", "mnist/cgan.toml", "train.seed=3", "nets.width=32", evaluations=cgan)
    head = "\n".join(results.HEAD)
    assert (
        results.tables(runs, "")
        == f"""\
### MNIST, images

{head}
| [a](mnist/dcgan.toml) | Frechet judge distance: 9.50 | 00000000, 99.6% | 300 | 3 min | 1 of 8 CPU threads | 0 | as it is |
| [c](mnist/dcgan.toml) | Frechet judge distance: 40.25 | 00000000, 99.6% | 300 | 3 min | 1 of 8 CPU threads | 0 | as it is |
| [b](mnist/dcgan.toml) | Frechet judge distance: 30.00 | 11111111, 99.6% | 300 | 3 min | 1 of 8 CPU threads | 0 | as it is |

### 8 Gaussians

{head}
| [d](toy/gan_ring8.toml) | modes hit: 8; samples within 3 sigma: 97.4% | - | 1,200 | 2 min | NVIDIA H200 | 0 | as it is |

### MNIST, conditions

{head}
| [e](mnist/cgan.toml) | conditions met: 90.0% ± 1.2% | 01234567, 99.6% | 300 | 3 min | 1 of 8 CPU threads | 3 | `--set nets.width=32`, `--set train.seed=3` |"""
    )


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("modes hit: 25; samples within 3 sigma: 90.0%", "modes hit: 24; samples within 3 sigma: 99.0%"),
        ("modes hit: 25; samples within 3 sigma: 97.0%", "modes hit: 25; samples within 3 sigma: 96.9%"),
        ("modes of 1,000: 1,000; KL to the data: 0.050", "modes of 1,000: 1,000; KL to the data: 0.100"),
        ("modes of 1,000: 1,000; KL to the data: 0.9", "modes of 1,000: 999; KL to the data: 0.1"),
        ("conditions met: 99.0% ± 0.3%", "conditions met: 98.3% ± 0.9%; Frechet judge distance: 0.46"),
        ("Frechet judge distance: 315.82", "Frechet judge distance: nan"),
        ("Frechet judge distance: 9.99", "Frechet judge distance: 10.00"),
    ],
)
def test_which_result_is_better(results: ModuleType, better: str, worse: str) -> None:
    first, second = ["a", better, "judge"], ["b", worse, "judge"]
    assert results.measures.ranked([first, second]) == results.measures.ranked([second, first])
    assert results.measures.ranked([second, first]) == [first, second]


def test_a_row_shows_the_newest_evaluation_and_what_it_cost(results: ModuleType, tmp_path: Path) -> None:
    several = [
        evaluation(200, drawn_accuracy=0.5, drawn_accuracy_std=0.01),
        evaluation(200, code_accuracy=0.25),
        evaluation(100, drawn_accuracy=0.75),
    ]
    write_run(tmp_path / "run", "mnist/cgan.toml", evaluations=several, cpu={"threads": 2})
    title, cells = results.row(tmp_path / "run")
    assert title == "MNIST, conditions"
    assert cells[1:6] == [
        "conditions met (drawn): 50.0% ± 1.0%; digits found by the code: 25.0%",
        "01234567, 99.6%",
        *("200", "2 min", "at most 2 CPU threads"),
    ]


def test_the_example_of_a_run(results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(
        tmp_path / "run", "mnist/dcgan.toml", "nets.width=8", 'data.root="/a/b"', typed="/somewhere/own.toml"
    )
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert results.origin(["ganforge", "run", "/somewhere/own.toml"], config) == (
        "mnist/dcgan.toml",
        "`--set nets.width=8`",
    )
    # A file may have changed since it was run: the one that needs the fewest changes now is the shorter way there.
    typed = ["ganforge", "run", "examples/mnist/cgan.toml"]
    assert results.origin(typed, config) == ("mnist/dcgan.toml", "`--set nets.width=8`")
    alike = {name: results.examples()["mnist/dcgan.toml"] for name in ("a.toml", "mnist/cgan.toml", "z.toml")}
    monkeypatch.setattr(results, "examples", lambda: alike)
    assert results.origin(typed, config)[0] == "mnist/cgan.toml"


def test_a_setting_that_is_gone(results: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path / "run", "toy/gan_ring8.toml")
    config = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    config["loss"] = {"type": "hinge"}
    _, changed = results.origin(["examples/toy/gan_ring8.toml"], config)
    assert changed == (
        '`--set loss.margin=1.0`, `loss.saturating` absent, `loss.smooth_real` absent, `--set loss.type="hinge"`'
    )


def test_tables_are_updated_and_keep_the_rows_of_other_runs(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = results.HERE / "README.md"
    head = "\n".join(results.HEAD)
    kept = "| [toy-0](toy/gan_ring8.toml) | modes hit: 9 | - | 100 | 1 min | 1 of 2 CPU threads | 4 | - |"
    stale = "| [toy-a](toy/gan_ring8.toml) | modes hit: 1 | - | 100 | 1 min | 1 of 2 CPU threads | 4 | - |"
    before = f"### 8 Gaussians\n\n{head}\n{stale}\n{kept}\n\n### Empty\n\n{head}"
    page.write_text(f"above\n{results.BEGIN}\n{before}\n{results.END}\nbelow\n")
    write_run(tmp_path / "runs" / "toy-a", "toy/gan_ring8.toml", log=TOY)
    monkeypatch.setattr("sys.argv", ["results.py", "table", str(tmp_path / "runs")])
    results.main()
    (measured,) = rows(results.tables(tmp_path / "runs", ""))
    assert "modes hit: 8" in measured
    expected = (
        f"above\n{results.BEGIN}\n### 8 Gaussians\n\n{head}\n{kept}\n{measured}\n{results.END}\nbelow\n"
    )
    assert page.read_text() == expected
    results.main()
    assert page.read_text() == expected


def test_a_picture_of_the_best_run_as_it_was_measured(results: ModuleType, tmp_path: Path) -> None:
    runs, file = tmp_path / "runs", tmp_path / "docs" / "results" / "mnist-images.png"
    for name, distance, shade in (("a", 9.5, 10), ("b", 8.0, 20)):
        found = [evaluation(200, frechet_judge_distance=distance)]
        write_run(runs / name, "mnist/dcgan.toml", evaluations=found)
        for images in (100, 200, 300):
            write_grid(runs / name, images, shade + images // 100)
    lines = [
        '<img src="../docs/results/mnist-images.png" width="240" alt="Samples of b">',
        "",
        "*`b` after 200 images; fixed latents, not selected.*",
    ]
    text = results.tables(runs, "")
    assert text.splitlines()[-4:] == ["", *lines]
    assert np.unique(np.asarray(Image.open(file))).tolist() == [22]
    shutil.rmtree(runs / "b")
    assert results.tables(runs, text) == text
    without_b = "\n".join(line for line in text.splitlines() if not line.startswith("| [b]"))
    assert "*`a` after 200 images; fixed latents, not selected.*" in results.tables(runs, without_b)
    assert np.unique(np.asarray(Image.open(file))).tolist() == [12]


def test_a_picture_is_made_small_enough(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (150, 600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "grid.png")
    assert results.write(tmp_path / "grid.png", tmp_path / "large.png") == 540
    with Image.open(tmp_path / "large.png") as whole:
        assert whole.size == (600, 150)
    monkeypatch.setattr(results, "MAX_BYTES", 100_000)
    assert results.write(tmp_path / "grid.png", tmp_path / "small.png") == 540
    assert (tmp_path / "small.png").stat().st_size <= 100_000
    with Image.open(tmp_path / "small.png") as half:
        assert half.size == (300, 75)


def test_a_run_in_which_nothing_was_measured_is_left_out(results: ModuleType, tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "a", "toy/gan_ring8.toml", log=TOY)
    write_run(tmp_path / "runs" / "b", "toy/gan_ring8.toml", log=CLOCK)
    write_run(tmp_path / "runs" / "c", "toy/gan_ring8.toml", log=[])
    (tmp_path / "runs" / "c" / "metrics.jsonl").unlink()
    assert [line[:5] for line in rows(results.tables(tmp_path / "runs", ""))] == ["| [a]"]


@pytest.mark.parametrize("arguments", [[], ["table"], ["tables", "runs"]])
def test_usage(results: ModuleType, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setattr("sys.argv", ["results.py", *arguments])
    with pytest.raises(SystemExit, match="expected: python"):
        results.main()
