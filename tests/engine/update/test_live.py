"""What components remember: in checkpoints, undone by rollbacks and rehearsals, recorded, and watched over."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from pydantic import PrivateAttr
from torch import Tensor, nn

from ganforge.api import Callback, DataSpec, Play, Role, Shapes, Term
from ganforge.components.faults import ComponentFault
from ganforge.config import RunConfig
from ganforge.engine.acceleration.cuda_graph import CudaGraph
from ganforge.engine.acceleration.dry_run import rehearse
from ganforge.engine.acceleration.graph_replay import Replays
from ganforge.engine.acceleration.snapshot import Moment
from ganforge.engine.checkpoint import checkpoint
from ganforge.engine.loop import Loop
from ganforge.engine.update.device_optimizer import keep_on_device
from support.games import sections_of
from support.remembering import Anchored, Equilibrium, Last, Noise
from support.replayed import ADAM, replays_of
from support.tape import graphs_on_tape as graphs_on_tape
from support.toys import run, toy_config, toy_loop, weights_of

pytestmark = pytest.mark.numeric

BATCH = 8


def with_state(config: RunConfig, **parts: Any) -> RunConfig:
    """A run with these components."""
    return config.model_copy(update=parts)


def config_of(iterations: int, **sections: Any) -> RunConfig:
    sections.setdefault("train", {})
    sections["train"] = {"images": BATCH * iterations, **sections["train"]}
    config = toy_config(
        **sections,
        generator=ADAM,
        discriminator=ADAM,
        logging={"every": 8 * BATCH, "grid_every": 0, "checkpoint_every": 10**9},
    )
    return with_state(config, terms=(Anchored(),), loss=Equilibrium(), callbacks=(Noise(),))


def test_the_configuration_stays_as_it_was_read(tmp_path: Path) -> None:
    config = config_of(4)
    loop, _ = toy_loop(tmp_path, config)
    assert run(loop)
    live = loop.game.live
    assert sorted(live.memory) == ["callbacks.0._p", "loss._k", "terms.0._mean"]
    assert all(float(value) not in (0.0, 0.5) for value in live.memory.values())
    assert float(config.terms[0]._mean) == 0.0 and float(config.loss._k) == 0.5  # type: ignore[attr-defined]
    assert config.terms[0] == Anchored() != Anchored(weight=2.0)


@pytest.mark.parametrize("train", [{}, {"accumulate": 2}, {"fakes": "reused"}])
def test_memory_resumes_exactly(tmp_path: Path, train: dict[str, Any]) -> None:
    whole, _ = toy_loop(tmp_path / "whole", config_of(8, train=train))
    assert run(whole)
    first, _ = toy_loop(tmp_path / "parts", config_of(4, train=train))
    assert run(first)
    tensors, state = checkpoint.load_newest(tmp_path / "parts", print)
    assert sorted(tensors["memory"]) == sorted(first.game.live.memory)
    second, _ = toy_loop(tmp_path / "parts", config_of(8, train=train))
    second.restore(tensors, state)
    assert run(second)
    after, found = weights_of(whole), weights_of(second)
    assert [name for name in after if not torch.equal(after[name], found[name])] == []
    # Without its memory the run would be another one.
    third, _ = toy_loop(tmp_path / "parts", config_of(8, train=train))
    third.restore({group: value for group, value in tensors.items() if group != "memory"}, state)
    assert run(third)
    other = weights_of(third)
    assert any(not torch.equal(after[name], other[name]) for name in after if name.startswith("network"))


@pytest.mark.usefixtures("graphs_on_tape")
def test_recordings_read_and_write_memory(tmp_path: Path) -> None:
    def loop_of(name: str) -> Loop:
        return toy_loop(tmp_path / name, config_of(20))[0]

    plain, fast = loop_of("plain"), loop_of("fast")
    for player in plain.game.players.values():
        keep_on_device(player.optimizer, plain.game.runtime.device)
    fast.replays = Replays(fast.game, fast.schedule, lambda: CudaGraph([fast.game.rng], None), fast.say)
    assert run(plain) and run(fast)
    assert replays_of(fast).recorded == 2 and replays_of(fast).replayed > 0
    after, found = weights_of(plain), weights_of(fast)
    assert [name for name in after if not torch.equal(after[name], found[name])] == []


def test_a_rehearsal_and_a_step_back_leave_memory_as_it_was(tmp_path: Path) -> None:
    loop, _ = toy_loop(tmp_path, config_of(4))
    loop.game.update("d", loop.batches.at(0))
    before = {name: value.clone() for name, value in loop.game.live.memory.items()}
    moment = Moment(loop.game)
    rehearse(loop.game, loop.batches.at(1))
    assert all(torch.equal(value, before[name]) for name, value in loop.game.live.memory.items())
    loop.game.update("d", loop.batches.at(1))
    assert any(not torch.equal(value, before[name]) for name, value in loop.game.live.memory.items())
    moment.restore()
    assert all(torch.equal(value, before[name]) for name, value in loop.game.live.memory.items())


def test_each_comparison_has_its_own_memory(tmp_path: Path) -> None:
    config = toy_config(**sections_of("cycle"))
    loop, _ = toy_loop(tmp_path, with_state(config, terms=(Anchored(),)))
    loop.game.update("d", loop.batches.at(0))
    live = loop.game.live
    assert sorted(live.memory) == ["terms.0/a._mean", "terms.0/b._mean"]
    assert live.memory["terms.0/a._mean"] != live.memory["terms.0/b._mean"] != 0


def test_what_each_process_has_of_its_own_is_a_row_of_the_checkpoint(tmp_path: Path) -> None:
    loop, _ = toy_loop(tmp_path, with_state(toy_config(), callbacks=(Last(),)))
    assert run(loop)
    tensors, state = checkpoint.load_newest(tmp_path, print)
    mine = loop.game.live.memory["callbacks.0._fake"].clone()
    assert mine != 0 and torch.equal(tensors["memory"]["callbacks.0._fake"], mine[None])
    # As of three processes: a run that goes on in one takes the first row.
    tensors["memory"]["callbacks.0._fake"] = torch.stack([mine + 1, mine + 2, mine + 3])
    other, _ = toy_loop(tmp_path / "other", with_state(toy_config(), callbacks=(Last(),)))
    other.restore(tensors, state)
    assert torch.equal(other.game.live.memory["callbacks.0._fake"], mine + 1)


class Replacing(Anchored):
    type: Any = "replacing"

    def __call__(self, play: Play) -> Tensor:
        self._mean = play.real_verdict.logits.detach().mean()
        return super().__call__(play)


class Attached(Anchored):
    type: Any = "attached"

    def __call__(self, play: Play) -> Tensor:
        value = super().__call__(play)
        self._mean.copy_(play.real_verdict.logits.mean())
        return value


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (
            Replacing(),
            "term 'replacing': its memory '_mean' was replaced in an update; change it in place, such as by "
            "self._mean.copy_(...)",
        ),
        (Attached(), "term 'attached': its memory '_mean' carries a graph; write detached values into it"),
    ],
)
def test_memory_that_is_not_changed_in_place(tmp_path: Path, term: Term, message: str) -> None:
    loop, _ = toy_loop(tmp_path, with_state(toy_config(), terms=(term,)))
    with pytest.raises(ComponentFault) as caught:
        loop.game.update("d", loop.batches.at(0))
    assert str(caught.value).replace(" (tests)", "") == message


class Counting(Callback):
    """Keeps state where no checkpoint sees it."""

    type: Literal["counting"] = "counting"
    _count: int = PrivateAttr(0)
    _idle: list[int] = PrivateAttr(default_factory=list)

    def after_update(self, role: Role, network: nn.Module) -> None:
        self._count += 1


def test_state_that_is_not_declared_is_found(tmp_path: Path) -> None:
    loop, _ = toy_loop(tmp_path, with_state(toy_config(), callbacks=(Counting(),)))
    assert loop.game.live.undeclared() == []
    loop.game.update("d", loop.batches.at(0))
    expected = [
        "callbacks 'counting' keeps state in '_count', which is not in checkpoints (declare it: _count: Tensor "
        "= memory(...))"
    ]
    assert loop.game.live.undeclared() == expected
    assert loop.state()[1]["undeclared"] == expected


class Frozen(Term):
    """Compares in the features of a network that it owns."""

    type: Literal["frozen"] = "frozen"
    players: ClassVar[frozenset[Role]] = frozenset({"g"})
    seed: int = 0
    _net: nn.Module = PrivateAttr(None)

    def prepare(self, spec: DataSpec, shapes: Shapes) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self._net = nn.Sequential(nn.Conv2d(shapes[""][0], 4, 3), nn.BatchNorm2d(4))

    def __call__(self, play: Play) -> Tensor:
        found: Tensor = (self._net(play.fake) - self._net(play.real)).square().mean()
        return found


def test_a_frozen_network_is_trained_by_nothing_and_known_by_its_hash(tmp_path: Path) -> None:
    config = with_state(toy_config(), terms=(Frozen(),))
    loop, _ = toy_loop(tmp_path, config)
    net = loop.game.live.frozen["terms.0._net"]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert run(loop)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    tensors, _ = loop.state()
    assert "memory" not in tensors
    other, _ = toy_loop(tmp_path / "b", with_state(toy_config(), terms=(Frozen(seed=1),)))
    assert other.game.live.hashes() != loop.game.live.hashes()
