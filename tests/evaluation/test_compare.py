"""`compare`: unlike numbers never stand in one row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganforge.evaluation.compare import flatten
from support.command_line import EXAMPLE, TINY, call, sets
from support.compared import compare, config, lines_of, make, metric, record, rows


def test_the_whole_table(tmp_path: Path) -> None:
    gp = {"type": "gradient_penalty", "weight": 10.0}
    make(tmp_path / "plain", records=[record(metric())])
    make(
        tmp_path / "penalized",
        config(terms=[gp], train={"images": 9000, "batch_size": 32}),
        [*rows(), {"images_seen": 5000, "seconds": 5000.0}],
        [record(metric(7.25), images=5000)],
        device="cuda", gpu="NVIDIA H200", parameters={},
    )  # fmt: skip
    done = compare(tmp_path, "plain", "penalized")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "- not comparable, mmd [a] and [b]: their dependencies were not recorded in every run\n"
        "\n"
        "## Evaluation\n"
        "\n"
        "|     |               plain |           penalized |\n"
        "| --- | ------------------: | ------------------: |\n"
        "| fid | 12.5 ± 0.25 (n = 3) | 7.25 ± 0.25 (n = 3) |\n"
        "\n"
        "## During training\n"
        "\n"
        "|         |                      plain |                  penalized |\n"
        "| ------- | -------------------------: | -------------------------: |\n"
        "| mmd [a] | 0.5 ± 0.1, at 2,000 images |                          - |\n"
        "| mmd [b] |                          - | 0.5 ± 0.1, at 2,000 images |\n"
        "\n"
        "## Cost\n"
        "\n"
        "|                   |  plain |       penalized |\n"
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
        "|                               | plain |        penalized |\n"
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
        "- a has no evaluations; add one with: ganforge evaluate a",
        "- b: 2 metrics in b/evaluations.jsonl lack a record of what they depend on and are left out; measure them again: "
        "ganforge evaluate b",
    ]
    assert lines_of(done, "| fid") == []
    assert lines_of(done, "| images seen") == ["| images seen | - | 4,000 |"]


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
