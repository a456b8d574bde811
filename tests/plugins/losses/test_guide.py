"""The guide: a frozen classifier that the generator has to please."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganforge.api import DataSpec, LabelSpec, Networks, RunView, Term, UserError, Verdict
from ganforge.api.judge.judge import Judge
from ganforge.api.judge.network import build_network
from ganforge_losses.guide import shifted
from ganforge_metrics.condition_accuracy import ConditionAccuracy
from support.command_line import call
from support.installed import installed
from support.judges import channel_judge
from support.paths import ROOT
from support.plays import N, make, play
from support.small_runs import judges

NAMES = ("red", "green", "blue")


def spec(kind: str) -> DataSpec:
    return DataSpec.model_validate(
        {"shape": (3, 16, 16), "labels": LabelSpec.model_validate({"kind": kind, "names": NAMES})}
    )


def ready(folder: Path, kind: str, **fields: object) -> Term:
    """As a run has it: prepared, and its network frozen; output k of that is the mean of channel k."""
    plain(kind).save(folder)
    term = make("guide", judge=folder, **fields).copied()
    term.prepare(spec(kind), {"": (3, 16, 16)})
    term._network = channel_judge(spec(kind)).network.eval().requires_grad_(False)  # type: ignore[attr-defined]
    return term


def plain(kind: str) -> Judge:
    """One that has learned nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network("plain", 3, 3, 4)
    return Judge.of(network, spec(kind), architecture="plain", width=4)


def test_its_network_is_that_of_the_folder(tmp_path: Path) -> None:
    judge = plain("many_of_k")
    judge.save(tmp_path)
    term = make("guide", judge=tmp_path, shift=0.0).copied()
    term.prepare(spec("many_of_k"), {"": (3, 16, 16)})
    fake = torch.rand(N, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    cond = torch.eye(3)[[0, 1, 2, 1]]
    expected = F.binary_cross_entropy_with_logits(judge.logits(fake), cond) * 3
    torch.testing.assert_close(value(term, fake, cond), expected)


def value(term: Term, fake: Tensor, cond: Tensor) -> Tensor:
    moves = play(lambda x, c: Verdict(x[:, 0, 0, 0]), fake, fake, "g", fake_cond=cond)
    return term(moves)


def flat(logits: Tensor) -> Tensor:
    """Images [N, 3, 16, 16] in which the judge sees `logits` [N, 3], wherever they are shifted."""
    return logits[:, :, None, None].expand(-1, -1, 16, 16).clone()


def test_many_of_k_is_the_log_likelihood_of_all_labels(tmp_path: Path) -> None:
    logits = torch.linspace(-0.9, 0.9, 3 * N).reshape(N, 3)
    cond = torch.tensor([[1.0, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 1]])
    likelihood = torch.where(cond > 0, logits.sigmoid(), 1 - logits.sigmoid()).prod(dim=1)
    found = value(ready(tmp_path, "many_of_k"), flat(logits), cond)
    torch.testing.assert_close(found, -likelihood.log().mean())


def test_one_of_k_is_the_log_likelihood_of_the_label(tmp_path: Path) -> None:
    logits = torch.linspace(-0.9, 0.9, 3 * N).reshape(N, 3)
    cond = torch.eye(3)[[0, 1, 2, 1]]
    likelihood = (logits.softmax(dim=1) * cond).sum(dim=1)
    found = value(ready(tmp_path, "one_of_k"), flat(logits), cond)
    torch.testing.assert_close(found, -likelihood.log().mean())


def test_accuracy_is_the_share_of_labels_in_the_top_k(tmp_path: Path) -> None:
    term = ready(tmp_path, "many_of_k")
    logits = torch.tensor([[0.9, 0.5, 0.1]] * N)
    cond = torch.tensor([[1.0, 1, 0], [1, 0, 1], [0, 0, 1], [1, 0, 0]])
    value(term, flat(logits), cond)
    found = term.estimates(play(lambda x, c: Verdict(x[:, 0, 0, 0]), flat(logits), flat(logits), "g"))
    share = found["guide_accuracy"]
    assert (float(share.part), float(share.whole)) == (2 + 1 + 0 + 1, 2 + 2 + 1 + 1)  # type: ignore[union-attr]


def test_the_fake_learns_and_the_network_does_not(tmp_path: Path) -> None:
    term = ready(tmp_path, "many_of_k")
    fake = flat(torch.zeros(N, 3)).requires_grad_(True)
    value(term, fake, torch.eye(3)[[0, 1, 2, 0]]).backward()
    assert fake.grad is not None
    # Of the condition's channel more, of the others less: each of 256 pixels has a share of the mean.
    wanted = torch.where(torch.eye(3)[[0, 1, 2, 0]] > 0, -1.0, 1.0) * 0.5 / N
    torch.testing.assert_close(fake.grad.sum((2, 3)), wanted)
    assert all(parameter.grad is None for parameter in term._network.parameters())  # type: ignore[attr-defined]


def test_shifts_replicate_the_border_and_reach_the_largest() -> None:
    x = (
        torch.arange(1.0, 9)
        .reshape(1, 1, 1, 8)
        .expand(400, 2, 8, 8)
        .contiguous(memory_format=torch.channels_last)
    )
    moved = shifted(x, 0.25, torch.Generator().manual_seed(3))
    allowed = F.pad(x[:1], (2, 2, 2, 2), mode="replicate")
    offsets = set()
    for image in moved:
        fitting = [d for d in range(5) if torch.equal(image, allowed[0, :, 2:-2, d : d + 8])]
        assert len(fitting) == 1
        offsets.add(fitting[0] - 2)
    assert offsets == {-2, -1, 0, 1, 2}
    rows = shifted(x.transpose(2, 3), 0.25, torch.Generator().manual_seed(3))
    assert {int(image[0, 0, 0]) for image in rows} == {1, 2, 3}
    assert shifted(x, 0.0, torch.Generator()) is x


def test_each_image_is_shifted_by_itself() -> None:
    x = torch.arange(64.0).reshape(1, 1, 8, 8).expand(50, 1, 8, 8)
    moved = shifted(x, 0.125, torch.Generator().manual_seed(0))
    assert len({tuple(image.flatten().tolist()) for image in moved}) == 9


def test_a_guide_of_other_labels_is_refused(tmp_path: Path) -> None:
    plain("many_of_k").save(tmp_path)
    term = make("guide", judge=tmp_path).copied()
    with pytest.raises(UserError) as refusal:
        term.prepare(spec("one_of_k"), {"": (3, 16, 16)})
    assert str(refusal.value).startswith(
        "the judge recognizes many of 3 labels (red, green, blue), but the data have "
    )


def test_the_judge_that_measures_is_not_the_guide(tmp_path: Path) -> None:
    term = make("guide", judge=tmp_path / "a")

    def advice(judge: Path) -> list[str]:
        metric = ConditionAccuracy(judge=judge)
        nets = Networks(torch.nn.Identity(), torch.nn.Identity())
        return [each.text for each in term.advice(RunView(spec("many_of_k"), 8, nets, (term, metric)))]

    assert advice(tmp_path / "b") == []
    assert advice(tmp_path / "b" / ".." / "a") == [
        f"metric 'condition_accuracy' measures with {tmp_path / 'a'}, from which the generator also learns by term "
        "'guide', and finds too much; train one of another architecture and seed for the term: "
        "'ganforge judge train CONFIG --architecture plain --seed 1 --out guide'"
    ]


def test_check_counts_a_run_with_a_guide(tmp_path: Path) -> None:
    example = ROOT / "examples" / "cgan_iclevr_guided.toml"
    (judged,) = judges(tomllib.loads(example.read_text()), tmp_path / "judge", installed())
    done = call(tmp_path, "check", example, "--set", judged)
    assert done.code == 0, done.err
    assert "everything fits together" in done.out and " GFLOP per image" in done.out
