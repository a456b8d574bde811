"""What is measured to tell a run's health is right, and measuring it changes nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganforge.engine.instruments import health_signals as signals
from ganforge.engine.instruments.health_signals import FirstBad, bad_layer, jump, separation
from support.paths import TESTS
from support.toys import run, toy_config, toy_loop, weights_of

pytestmark = pytest.mark.numeric


def test_a_nan_weight_is_traced_to_its_layer(tmp_path: Path) -> None:
    loop, _ = toy_loop(tmp_path)
    network = loop.game.players["g"].network
    names = [name for name, _ in network.named_parameters()]
    assert bad_layer(network) is None
    with torch.no_grad():
        network.get_parameter(names[3]).fill_(float("inf"))
        network.get_parameter(names[5]).fill_(float("nan"))
    assert bad_layer(network) == names[3]


def test_the_first_bad_update_is_kept_though_later_ones_are_finite() -> None:
    first = FirstBad()
    values = [1.0, float("nan"), 2.0, float("inf")]
    for value in values:
        first.note(
            ("adversarial/d", "term/d/r1", "grad/d", "score/real"), torch.tensor([value, 1.0, value, 1.0])
        )
        first.tick()
    assert first.read() == {"adversarial/d": 1}
    other = FirstBad()
    other.restore(7, first.read())
    other.note(("term/d/r1", "adversarial/d"), torch.tensor([float("nan"), float("nan")]))
    assert other.read() == {"adversarial/d": 1, "term/d/r1": 7}


def test_more_updates_than_there_are_rows_are_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "MAX_ROWS", 4)
    first = FirstBad()
    for update in range(11):
        first.note(("term/d/r1",), torch.tensor([float("inf") if update in (6, 9) else 1.0]))
        first.tick()
    assert first.read() == {"term/d/r1": 6}


def test_a_mark_is_gone_back_to_and_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a rehearsal does it: back before an update, another one in its place, then the update again."""
    monkeypatch.setattr(signals, "MAX_ROWS", 3)
    bad, well = torch.tensor([float("nan")]), torch.tensor([1.0])
    first = FirstBad()
    first.note(("term/d/r1",), well)
    first.tick()
    before = first.mark()
    first.note(("term/d/r1",), well)
    first.note(("term/g/r1",), bad)
    first.tick()
    after = first.mark()
    first.back_to(before)
    # Fills the rows, which are then searched.
    for _ in range(3):
        first.note(("term/d/r1",), bad)
    first.back_to(after)
    assert (first.updates, first.read()) == (2, {"term/g/r1": 1})
    first.back_to(before)
    assert first.updates == 1
    first.note(("term/d/r1",), bad)
    assert first.read() == {"term/g/r1": 1, "term/d/r1": 1}


GROWTH = """
import sys
from pathlib import Path
from support.toys import toy_config, toy_loop

nets = {"type": "resnet", "g_width": 16, "d_width": 16, "conditioning": "none"}
data = {"type": "iclevr", "image_size": 32, "scenes": 30}
settings = {"terms": [{"type": "gradient_penalty"}], "train": {"batch_size": 64, "device": "cpu"}}
loop, _ = toy_loop(Path(sys.argv[1]), toy_config(nets=nets, data=data, **settings))
for count in (10, 50):
    for _ in range(count):
        loop._iterate(False)
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmRSS")]
    print(int(line.split()[1]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc, which reports memory")
def test_watching_takes_no_memory_from_one_line_of_the_log_to_the_next(tmp_path: Path) -> None:
    """Small tensors that outlive an update keep the heap between them from being used again."""
    command = [sys.executable, "-c", GROWTH, str(tmp_path)]
    done = subprocess.run(command, cwd=TESTS, check=True, capture_output=True, text=True)
    early, late = map(float, done.stdout.split())
    assert late - early < 40


def test_the_separation_is_the_area_under_the_roc_curve() -> None:
    rng = torch.Generator().manual_seed(0)
    real, fake = (torch.randint(0, 9, (n,), generator=rng).float() for n in (13, 17))
    pairs = [(r > f) + 0.5 * (r == f) for r in real.tolist() for f in fake.tolist()]
    assert float(separation(real, fake)) == pytest.approx(sum(pairs) / len(pairs))


def images(seed: int, scale: float) -> torch.Tensor:
    return torch.randn(12, 3, 4, 4, generator=torch.Generator().manual_seed(seed)) * scale


@pytest.mark.parametrize(("real_scale", "fake_scale"), [(1.0, 0.1), (0.1, 1.0)])
def test_a_jump_is_measured_in_the_larger_spread(real_scale: float, fake_scale: float) -> None:
    real, before = images(0, real_scale), images(1, fake_scale)
    after = before + images(2, 0.3)
    # Of two samples drawn from a set without replacement, the mean squared distance is twice the variance.
    larger = (real if real_scale > fake_scale else before).double().flatten(1)
    spread = (torch.pdist(larger) ** 2).mean().sqrt() / 2**0.5
    moved = [float((p - q).double().norm()) ** 2 for p, q in zip(before, after, strict=True)]
    expected = (sum(moved) / 12) ** 0.5 / float(spread)
    assert float(jump(before, after, real)) == pytest.approx(expected, rel=1e-5)
    # Neither the scale of the data nor an offset counts.
    scaled = [7.0 * x + 3.0 for x in (before, after, real)]
    assert float(jump(scaled[0], scaled[1], scaled[2])) == pytest.approx(expected, rel=1e-5)


def test_a_jump_to_other_latents_is_the_distance_of_two_samples() -> None:
    fakes = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    assert float(jump(fakes[:2000], fakes[2000:], fakes[:2000])) == pytest.approx(2**0.5, rel=0.05)
    assert float(jump(fakes, fakes, fakes)) == 0
    assert float(jump(torch.zeros(5, 2), torch.zeros(5, 2), torch.zeros(5, 2))) == 0


def test_a_batch_of_one_has_no_spread_to_measure_jumps_in(tmp_path: Path) -> None:
    for size in (1, 2):
        config = toy_config(
            data={"type": "toy2d"},
            nets={"type": "mlp", "g_hidden": [8], "d_hidden": [8]},
            train={"batch_size": size, "images": 4 * size},
        )
        loop, log = toy_loop(tmp_path / str(size), config)
        assert run(loop)
        assert ("health/g_jump" in log.rows[-1]) == (size == 2)


@pytest.mark.parametrize("fakes", ["fresh", "reused"])
@pytest.mark.parametrize("lr", [0.0, 1e-3])
def test_noise_in_the_layers_is_no_jump(tmp_path: Path, lr: float, fakes: str) -> None:
    config = toy_config(
        data={"type": "toy2d"},
        nets={"type": "mlp", "g_hidden": [8], "d_hidden": [8]},
        train={"images": 8 * 5, "fakes": fakes},
        ema={"halflife": 0},
    )
    loop, log = toy_loop(tmp_path, config)
    player = loop.game.players["g"]
    player.network.get_submodule("trunk").append(torch.nn.Dropout(0.5))
    player.optimizer.param_groups[0]["lr"] = lr
    assert run(loop)
    jumps = [row["health/g_jump"] for row in log.rows]
    assert all(each == 0 if lr == 0 else 0 < each < 0.1 for each in jumps), jumps


@pytest.mark.parametrize("labels", ["none", "many_of_k"])
def test_watching_does_not_change_training(tmp_path: Path, labels: str) -> None:
    results = []
    for policy in ("off", "warn"):
        config = toy_config(data={"type": "squares", "labels": labels}, health={"policy": policy})
        loop, log = toy_loop(tmp_path / policy, config)
        run(loop)
        results.append(weights_of(loop))
        assert any(key.startswith("health/") for key in log.rows[-1]) == (policy == "warn")
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_fakes_of_one_label_are_compared_with_real_ones_of_it(tmp_path: Path) -> None:
    loop, log = toy_loop(tmp_path, toy_config(data={"type": "squares", "labels": "one_of_k"}))
    run(loop)
    diversity = loop.guard._diversity
    assert diversity is not None and diversity.draw.cond is not None
    half = len(diversity.draw.cond) // 2
    assert torch.equal(diversity.draw.cond[:half], diversity.draw.cond[half:])
    assert 0 < log.rows[-1]["health/diversity_within"] < 1
