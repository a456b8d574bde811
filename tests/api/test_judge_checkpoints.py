"""Judges that others published: a checkpoint's tensors are imported, and nothing in it is executed."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from ganforge.api import DataSpec, LabelSpec, UserError
from ganforge.api.judge.judge import import_checkpoint, load_judge
from support.command_line import EXAMPLE, call
from support.evil_pickle import Evil
from support.judges import SPEC, noise

PUBLISHED = "a checkpoint {'model': state_dict} of a torchvision ResNet-18 whose last layer is fc.0"


def published(classes: int) -> nn.Module:
    """The i-CLEVR judge as it is published, with weights and statistics that are not those of a fresh network."""
    from torchvision.models import resnet18

    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = resnet18(weights=None)
        network.fc = nn.Sequential(nn.Linear(512, classes), nn.Sigmoid())
        network.train()(torch.randn(4, 3, 32, 32))
    return network.eval()


def test_a_published_checkpoint_gives_the_published_probabilities(tmp_path: Path) -> None:
    network, spec = published(3), SPEC.model_copy(update={"shape": (3, 32, 32)})
    torch.save({"model": network.state_dict()}, tmp_path / "published.pth")
    judge = load_judge(tmp_path / "published.pth", spec)
    images = noise(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(judge.logits(images).sigmoid(), network(images))
    assert judge.features(images).shape == (2, 512)
    assert judge.provenance()["trained_on"] == {"imported_from": "published.pth"}
    judge.save(tmp_path / "imported")
    again = load_judge(tmp_path / "imported", spec)
    assert again.card.sha256 == judge.card.sha256
    assert torch.equal(again.logits(images), judge.logits(images))
    with pytest.raises(UserError, match="a checkpoint does not name its labels; import it first"):
        load_judge(tmp_path / "published.pth")
    with pytest.raises(
        UserError, match=r"its weights are not those of a resnet18 with 4 outputs: .* size mismatch"
    ):
        import_checkpoint(
            tmp_path / "published.pth",
            DataSpec(shape=(3, 32, 32), labels=LabelSpec(kind="many_of_k", names=tuple("abcd"))),
        )


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_pickle_that_wants_to_execute_is_refused_and_does_not(tmp_path: Path, form: str) -> None:
    trace, file = tmp_path / "trace", tmp_path / "evil.pth"
    evil = {"model": Evil(f"touch {trace}")}
    if form == "torch":
        torch.save(evil, file)
    else:
        file.write_bytes(pickle.dumps(evil, protocol=2))
    with pytest.raises(UserError) as error:
        load_judge(file, SPEC)
    assert str(error.value) == (
        f"{file}: refused: its pickle would execute 'posix.system'; expected only tensors"
    )
    assert not trace.exists()


def test_other_checkpoints_are_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    whole = io.BytesIO()
    torch.save({"model": {"a": torch.zeros(100)}}, whole)
    for content in (b"", b"nonsense", whole.getvalue()[:300]):
        file.write_bytes(content)
        with pytest.raises(UserError) as error:
            load_judge(file, SPEC)
        assert str(error.value) == f"{file}: not a PyTorch checkpoint of tensors; expected {PUBLISHED}"
    for other in ({"state": {}}, [torch.zeros(1)], {"model": {"fc.0.bias": 1}}):
        torch.save(other, file)
        with pytest.raises(UserError) as error:
            load_judge(file, SPEC)
        assert str(error.value) == f"{file}: expected {PUBLISHED}"
    with pytest.raises(UserError, match=r"none.pth: cannot be read: No such file or directory"):
        load_judge(tmp_path / "none.pth", SPEC)


def test_judge_import_from_the_command_line(tmp_path: Path) -> None:
    torch.save({"model": published(24).state_dict()}, tmp_path / "published.pth")
    done = call(tmp_path, "judge", "import", "published.pth", EXAMPLE, "--out", "j")
    judge = load_judge(tmp_path / "j")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "judge of 24 labels: resnet18, 11,188,824 parameters",
        f"  SHA-256        {judge.card.sha256}",
        "judge written to j",
    ]
    (tmp_path / "file").write_text("")
    done = call(tmp_path, "judge", "import", "published.pth", EXAMPLE, "--out", "file/j")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        f"cannot write the judge to file/j: {tmp_path / 'file'} is not writable; choose another with --out\n"
    )
