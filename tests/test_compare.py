"""`compare`: unlike numbers never stand in one row, and every form says the same."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from test_cli_main import EXAMPLE, TINY, Done, call, contents, sets
from test_outputs_report import Page

from ganforge.compare import flatten

INFO = {
    "ganforge": "0.1.0",
    "device": "cpu",
    "gpu": None,
    "processes": 1,
    "parameters": {"generator": 1200, "discriminator": 3400},
    "packages": {"torch": "2.15.0"},
}


def config(**sections: Any) -> dict[str, Any]:
    return {
        "data": {"type": "toy"},
        "train": {"images": 4000, "batch_size": 32},
        "ema": {"halflife": 100.0},
    } | sections


def metric(fid: float | None = 12.5, samples: int = 5000, **more: Any) -> dict[str, Any]:
    depends_on = {"metric": "fid", "generated": samples, "uses": {"weights_sha256": "a" * 64}}
    return {
        "type": "fid",
        "seeds": [0, 1, 2],
        "values": {"fid": fid, "fid_std": 0.25, "fid/red cube": 1.0},
        "plugin": {"distribution": "acme", "version": "1"},
        "depends_on": depends_on,
        "fingerprint": f"{samples:016x}",
    } | more


def record(*metrics: dict[str, Any], images: int = 4000, network: str = "ema") -> dict[str, Any]:
    return {"images_seen": images, "network": network, "metrics": list(metrics)}


def rows(*more: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "images_seen": 2000,
            "seconds": 10.0,
            "peak_memory_mib": 700.4,
            "metric/mmd": 0.5,
            "metric/mmd_std": 0.1,
        },
        {"images_seen": 4000, "seconds": 25.0, "peak_memory_mib": 650.0, "loss/d": 1.0},
        *more,
    ]


def make(folder: Path, settings: Any = None, log: Any = None, records: Any = (), **info: Any) -> Path:
    """A run folder by hand."""
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(tomli_w.dumps(settings or config()))
    (folder / "run.json").write_text(json.dumps(INFO | info))
    for name, lines in (("metrics", rows() if log is None else log), ("evaluations", records)):
        if lines:
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def compare(folder: Path, *arguments: str) -> Done:
    return call(folder, "compare", *arguments)


def lines_of(done: Done, start: str) -> list[str]:
    assert (done.code, done.err) == (0, "")
    return [" ".join(line.split()) for line in done.out.splitlines() if line.startswith(start)]


def test_the_whole_table(tmp_path: Path) -> None:
    gp = {"type": "gradient_penalty", "weight": 10.0}
    make(tmp_path / "plain", records=[record(metric())])
    make(
        tmp_path / "penalised",
        config(terms=[gp], train={"images": 9000, "batch_size": 32}),
        [*rows(), {"images_seen": 5000, "seconds": 5000.0}],
        [record(metric(7.25), images=5000)],
        device="cuda", gpu="NVIDIA H200", parameters={},
    )  # fmt: skip
    done = compare(tmp_path, "plain", "penalised")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "- not comparable, mmd [a] and [b]: what they depend on was not recorded in every run\n"
        "\n"
        "## Evaluation\n"
        "\n"
        "|     |               plain |           penalised |\n"
        "| --- | ------------------: | ------------------: |\n"
        "| fid | 12.5 ± 0.25 (n = 3) | 7.25 ± 0.25 (n = 3) |\n"
        "\n"
        "## During training\n"
        "\n"
        "|         |                      plain |                  penalised |\n"
        "| ------- | -------------------------: | -------------------------: |\n"
        "| mmd [a] | 0.5 ± 0.1, at 2,000 images |                          - |\n"
        "| mmd [b] |                          - | 0.5 ± 0.1, at 2,000 images |\n"
        "\n"
        "## Cost\n"
        "\n"
        "|                   |  plain |       penalised |\n"
        "| ----------------- | -----: | --------------: |\n"
        "| images seen       |  4,000 | 5,000, of 9,000 |\n"
        "| wall time         |    25s |           1h23m |\n"
        "| images/s          |  160.0 |             1.0 |\n"
        "| device            |    cpu |     NVIDIA H200 |\n"
        "| processes         |      1 |               1 |\n"
        "| peak memory (MiB) |    700 |             700 |\n"
        "| parameters of G   |  1,200 |               - |\n"
        "| parameters of D   |  3,400 |               - |\n"
        "| ganforge          |  0.1.0 |           0.1.0 |\n"
        "| torch             | 2.15.0 |          2.15.0 |\n"
        "\n"
        "## Settings that differ\n"
        "\n"
        "|                               | plain |        penalised |\n"
        "| ----------------------------- | ----: | ---------------: |\n"
        "| train.images                  |  4000 |             9000 |\n"
        "| terms.gradient_penalty.type   |     - | gradient_penalty |\n"
        "| terms.gradient_penalty.weight |     - |             10.0 |\n"
    )


def test_unlike_numbers_never_share_a_row(tmp_path: Path) -> None:
    other = {"metric": "fid", "generated": 5000, "uses": {"weights_sha256": "b" * 64, "resizer": "bicubic"}}
    make(tmp_path / "a", records=[record(metric(1.0))])
    make(tmp_path / "b", records=[record(metric(2.0, samples=10_000))])
    make(tmp_path / "c", records=[record(metric(3.0, depends_on=other, fingerprint="c"))])
    make(tmp_path / "d", records=[record(metric(4.0))])
    done = compare(tmp_path, "a", "b", "c", "d")
    assert lines_of(done, "| fid") == [
        "| fid [a] | 1 ± 0.25 (n = 3) | - | - | 4 ± 0.25 (n = 3) |",
        "| fid [b] | - | 2 ± 0.25 (n = 3) | - | - |",
        "| fid [c] | - | - | 3 ± 0.25 (n = 3) | - |",
    ]
    assert lines_of(done, "- not comparable, fid") == [
        "- not comparable, fid [a], [b] and [c]: generated 5,000, 10,000 and 5,000; uses.resizer -, - and bicubic; "
        "uses.weights_sha256 aaaaaaaa, aaaaaaaa and bbbbbbbb"
    ]


def test_what_a_number_is_of_is_said(tmp_path: Path) -> None:
    make(tmp_path / "a", records=[record(metric(9.0), images=2000), record(metric(8.0), images=2000)])
    make(tmp_path / "b", records=[record(metric(7.0)), record(metric(6.0), network="raw")])
    make(tmp_path / "c", config(ema={"halflife": 0.0}), records=[record(metric(None), network="raw")])
    done = compare(tmp_path, "a", "b", "c")
    assert lines_of(done, "| fid") == [
        "| fid | 8 ± 0.25 (n = 3), at 2,000 images | 7 ± 0.25 (n = 3) "
        "| not finite ± 0.25 (n = 3), no moving average |",
        "| fid (weights as trained) | - | 6 ± 0.25 (n = 3) | - |",
    ]


def test_parts_and_versions(tmp_path: Path) -> None:
    make(tmp_path / "a", records=[record(metric())])
    make(tmp_path / "b", records=[record(metric(plugin={"distribution": "acme", "version": "2"}))])
    assert len(lines_of(compare(tmp_path, "a", "b"), "| fid")) == 1
    done = compare(tmp_path, "a", "b", "--all")
    assert lines_of(done, "| fid") == [
        "| fid | 12.5 ± 0.25 (n = 3) | 12.5 ± 0.25 (n = 3) |",
        "| fid/red cube | 1 | 1 |",
    ]
    assert "- fid was measured with acme 1 and acme 2\n" in done.out


def test_metrics_of_training_compare_where_their_settings_are_recorded(tmp_path: Path) -> None:
    def measured(samples: int) -> dict[str, Any]:
        depends_on = {"settings": {"samples": samples}}
        return {
            "type": "mmd",
            "settings": {"repeats": 4},
            "depends_on": depends_on,
            "fingerprint": str(samples),
        }

    for name, samples in (("a", 10), ("b", 10), ("c", 20)):
        make(tmp_path / name, metrics=[measured(samples)])
    assert lines_of(compare(tmp_path, "a", "b"), "| mmd") == [
        "| mmd | 0.5 ± 0.1 (n = 4), at 2,000 images | 0.5 ± 0.1 (n = 4), at 2,000 images |"
    ]
    done = compare(tmp_path, "a", "c")
    assert len(lines_of(done, "| mmd")) == 2
    assert "- not comparable, mmd [a] and [b]: 0.mmd.settings.samples 10 and 20\n" in done.out


def test_csv_has_full_numbers_and_fingerprints(tmp_path: Path) -> None:
    make(tmp_path / "a", records=[record(metric(1 / 3))])
    make(tmp_path / "b", config(note='say "hi", twice'), records=[record(metric(None, samples=10_000))])
    done = compare(tmp_path, "a", "b", "--format", "csv")
    found = list(csv.DictReader(io.StringIO(done.out)))
    assert list(found[0]) == ["run", "part", "name", "value", "std", "repeats", "remark", "fingerprint"]
    assert [list(line.values()) for line in found[:2]] == [
        ["a", "Evaluation", "fid", repr(1 / 3), "0.25", "3", "", f"{5000:016x}"],
        ["b", "Evaluation", "fid", "", "0.25", "3", "", f"{10_000:016x}"],
    ]
    assert {(line["run"], line["value"]) for line in found if line["name"] == "note"} == {
        ("b", 'say "hi", twice')
    }
    assert {line["value"] for line in found if line["name"] == "images/s"} == {"160.0"}


def test_html_stands_alone(tmp_path: Path) -> None:
    make(tmp_path / "a", config(note="<script>alert(1)</script>"), records=[record(metric())])
    make(tmp_path / "b", records=[record(metric(samples=10_000))])
    assert compare(tmp_path, "a", "b", "--out", "t.html") == Done(0, "t.html\n", "")
    text = (tmp_path / "t.html").read_text()
    page = Page(text)
    assert page.sources == []
    assert not page.tags & {"script", "link", "img"}
    assert "<script>alert(1)</script>" in page.shown
    assert "not comparable, fid [a] and [b]: generated 5,000 and 10,000" in page.shown
    assert "prefers-color-scheme: dark" in text


def test_markdown_stays_a_table(tmp_path: Path) -> None:
    make(tmp_path / "a|b", config(note="x|y\n`z`"))
    make(tmp_path / "c")
    assert lines_of(compare(tmp_path, "a|b", "c"), "| note") == ["| note | x\\|y \\`z\\` | - |"]


@pytest.mark.parametrize(
    ("name", "form"), [("t.csv", "csv"), ("t.HTML", "html"), ("t.md", "md"), ("t", "md"), ("t.txt", "md")]
)
def test_the_form_follows_the_file_name(tmp_path: Path, name: str, form: str) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b")
    assert compare(tmp_path, "a", "b", "--out", name) == Done(0, f"{name}\n", "")
    assert (tmp_path / name).read_text() == compare(tmp_path, "a", "b", "--format", form).out
    assert compare(tmp_path, "a", "b", "--out", name, "--format", "csv").code == 0
    assert (tmp_path / name).read_text().startswith("run,part,name")


def test_runs_of_one_name_are_shown_by_their_paths(tmp_path: Path) -> None:
    make(tmp_path / "x" / "mine")
    make(tmp_path / "y" / "mine")
    assert lines_of(compare(tmp_path, "x/mine", "y/mine"), "|  ") == ["| | x/mine | y/mine |"] * 2


def test_runs_without_evaluations_say_how_to_get_them(tmp_path: Path) -> None:
    make(tmp_path / "a", log=[])
    old = {key: value for key, value in metric().items() if key not in ("fingerprint", "depends_on")}
    make(tmp_path / "b", records=[record(old, old)])
    done = compare(tmp_path, "a", "b")
    assert lines_of(done, "- ") == [
        "- a has no evaluations; to add one: ganforge evaluate a",
        "- b: 2 metrics in b/evaluations.jsonl do not say what they depend on, and are left out; measure again: "
        "ganforge evaluate b",
    ]
    assert lines_of(done, "| fid") == []
    assert lines_of(done, "| images seen") == ["| images seen | - | 4,000 |"]


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        ({"config.toml": None}, "b is not a run folder: it has no config.toml; name the folder that 'ganforge run' wrote"),
        ({"config.toml": "x = "}, "b/config.toml: not TOML: Invalid value (at end of document); put back the file that 'ganforge run' wrote"),
        ({"run.json": "{"}, "b/run.json: not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1); put back the file that 'ganforge run' wrote"),
        ({"metrics.jsonl": '{"images_seen": 1}\n{"ima\n{"images_seen": 2}\n'}, "b/metrics.jsonl:2: not a row of JSON; remove the line and try again"),
        ({"metrics.jsonl": '{"images_seen": 1}\n[1]\n'}, "b/metrics.jsonl:2: no row of a run; remove the line and try again"),
        ({"evaluations.jsonl": "{}\n"}, "b/evaluations.jsonl:1: no record of an evaluation; remove the line and try again"),
        ({"evaluations.jsonl": '{"images_seen": 1, "network": "ema", "metrics": [3]}\n'}, "b/evaluations.jsonl:1: no record of an evaluation; remove the line and try again"),
        ({"evaluations.jsonl": "x\n{}\n"}, "b/evaluations.jsonl:1: not a row of JSON; remove the line and try again"),
    ],
)  # fmt: skip
def test_damaged_runs_are_refused(tmp_path: Path, spoil: dict[str, str | None], expected: str) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b", records=[record(metric())])
    for name, text in spoil.items():
        if text is None:
            (tmp_path / "b" / name).unlink()
        else:
            (tmp_path / "b" / name).write_text(text)
    before = contents(tmp_path)
    assert compare(tmp_path, "a", "b", "--out", "t.md") == Done(2, "", f"{expected}\n")
    assert contents(tmp_path) == before


def test_other_mistakes(tmp_path: Path) -> None:
    make(tmp_path / "a")
    make(tmp_path / "b")
    assert compare(tmp_path, "a") == Done(2, "", "name two or more run folders to compare\n")
    assert compare(tmp_path, "a", "b", "./a") == Done(2, "", "run folder a is named twice\n")
    assert compare(tmp_path, "a", "none").err.startswith("none is not a run folder: ")
    assert compare(tmp_path, "a", "b", "--out", "no/t.md") == Done(
        2, "", "cannot write no/t.md: No such file or directory; choose another place with --out\n"
    )


def test_arrays_of_tables_are_keyed_by_type() -> None:
    tables = {
        "terms": [{"type": "r1", "weight": 1}, {"type": "aux", "inner": {"x": [1]}}],
        "empty": [],
        "n": [],
    }
    assert flatten(tables) == {
        "terms.r1.type": "r1", "terms.r1.weight": 1, "terms.aux.type": "aux", "terms.aux.inner.x": [1],
    }  # fmt: skip
    assert flatten({"terms": [{"type": "r1", "weight": 1}, {"type": "r1"}]}) == {
        "terms.0.type": "r1", "terms.0.weight": 1, "terms.1.type": "r1",
    }  # fmt: skip


def test_two_real_runs(tmp_path: Path) -> None:
    distance = "metrics=[{type='sliced_wasserstein', samples=8, every=32}]"
    for name, seed in (("one", 0), ("two", 1)):
        done = call(tmp_path, "run", EXAMPLE, "--out", name, *sets(*TINY, distance, f"train.seed={seed}"))
        assert done.code == 0
        assert call(tmp_path, "evaluate", name, "--seeds", 2).code == 0
    done = compare(tmp_path, "one", "two")
    first, second = lines_of(done, "| sliced_wasserstein")
    assert first.count("(n = 2)") == 2
    assert "(n" not in second
    assert lines_of(done, "| train.seed") == ["| train.seed | 0 | 1 |"]
    assert all(len(lines_of(done, f"| {row}")) == 1 for row in ("peak memory", "parameters of G", "images/s"))
    assert call(tmp_path, "evaluate", "two", *sets("metrics.0.samples=9")).code == 0
    done = compare(tmp_path, "one", "two")
    assert lines_of(done, "- ") == [
        "- not comparable, sliced_wasserstein [a] and [b]: generated 8 and 9; settings.samples 8 and 9"
    ]
    (only_two,) = lines_of(done, "| sliced_wasserstein [b]")
    assert only_two.startswith("| sliced_wasserstein [b] | - | ")
