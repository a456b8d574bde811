"""The pool of fakes: what the discriminator is shown, what stays, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ganforge.api import DataSpec, Draw, LabelSpec, Play, Role, UserError, Verdict
from ganforge_callbacks.history import History

SHAPES = {"a": (2,), "b": (1, 2, 2)}


def ready(size: int = 8, shapes: dict[str, tuple[int, ...]] | None = None, labels: int = 0) -> History:
    history = History(size=size).copied()
    names = tuple(map(str, range(labels)))
    spec = LabelSpec(kind="vector", names=names) if labels else LabelSpec()
    history.prepare(DataSpec(shape=(2,), labels=spec), shapes or SHAPES)
    return history


def fakes(number: int, n: int, shape: tuple[int, ...]) -> Tensor:
    """Each with a value of its own, which tells the update and the place in the batch."""
    values = torch.arange(n) + 100.0 * number
    return values.view(n, *[1] * len(shape)).expand(n, *shape).clone()


def play(name: str, fake: Tensor, seed: int, role: Role = "d", cond: Tensor | None = None) -> Play:
    def critic(x: Tensor, c: Tensor | None) -> Verdict:
        return Verdict(x.flatten(1).sum(1))

    draw = Draw(torch.zeros(len(fake), 1), cond, {})
    rng = torch.Generator().manual_seed(seed)
    return Play(role, torch.zeros_like(fake), cond, fake, draw, critic, critic, rng, name=name)


@pytest.mark.parametrize("name", SHAPES)
def test_about_half_of_the_fakes_are_older_ones(name: str) -> None:
    history = ready(size=12)
    known: set[float] = set()
    shown_old = 0
    for update in range(60):
        mine = fakes(update, 4, SHAPES[name])
        one = play(name, mine, seed=update)
        history.before(one)
        assert one.fake.shape == mine.shape
        for row, own in zip(one.fake.flatten(1), mine.flatten(1), strict=True):
            # Whole samples, each in its own place or one that was made before.
            assert (row == row[0]).all()
            if not torch.equal(row, own):
                assert row[0].item() in known
                shown_old += update >= 20
        known |= {row[0].item() for row in mine.flatten(1)}
    assert 0.35 < shown_old / (40 * 4) < 0.65


def test_nothing_is_replaced_before_the_pool_has_a_fake() -> None:
    history = ready(size=4)
    mine = fakes(1, 4, (2,))
    one = play("a", mine, seed=0)
    history.before(one)
    assert torch.equal(one.fake, mine)
    again = play("a", fakes(2, 4, (2,)), seed=1)
    history.before(again)
    assert {row[0].item() for row in again.fake} <= {100.0, 101, 102, 103, 200, 201, 202, 203}
    assert not torch.equal(again.fake, fakes(2, 4, (2,)))


def test_a_fake_that_was_shown_again_makes_place_for_the_new_one() -> None:
    history = ready(size=4)
    history.before(play("a", fakes(1, 4, (2,)), seed=0))
    shown = play("a", fakes(2, 4, (2,)), seed=1)
    history.before(shown)
    kept = {row[0].item() for row in history._pool[:, :2]}
    assert kept | {row[0].item() for row in shown.fake} == {100.0, 101, 102, 103, 200, 201, 202, 203}
    assert len(kept) == 4


def test_the_comparisons_have_pools_of_their_own() -> None:
    history = ready()
    history.before(play("a", fakes(1, 4, (2,)), seed=0))
    history.before(play("b", fakes(2, 4, (1, 2, 2)), seed=0))
    for update in range(3, 9):
        one = play("a", fakes(update, 4, (2,)), seed=update)
        history.before(one)
        assert not any(200 <= row[0] < 300 for row in one.fake)


def test_the_condition_goes_with_the_fake() -> None:
    history = ready(shapes={"": (2,)}, labels=3)
    for update in range(9):
        mine = fakes(update, 4, (2,))
        cond = mine[:, :1].expand(-1, 3) + 1000
        one = play("", mine, seed=update, cond=cond.clone())
        history.before(one)
        assert torch.equal(one.fake_cond, one.fake[:, :1].expand(-1, 3) + 1000)
        assert torch.equal(one.cond, cond)


def test_the_generator_learns_from_its_own_fakes() -> None:
    history = ready()
    for update in range(4):
        one = play("a", fakes(update, 4, (2,)), seed=update, role="g")
        history.before(one)
        assert torch.equal(one.fake, fakes(update, 4, (2,)))
    assert not history._filled.any()


def test_the_stream_of_the_update_decides() -> None:
    results = []
    for _ in range(2):
        history = ready()
        for update in range(5):
            one = play("a", fakes(update, 4, (2,)), seed=update)
            history.before(one)
        results.append(one.fake)
    assert torch.equal(*results)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError) as refusal:
        ready(size=3).before(play("a", fakes(1, 4, (2,)), seed=0))
    assert str(refusal.value) == (
        "callback 'history': size = 3 is less than the 4 fakes of an update; set size = 4 or more"
    )
    with pytest.raises(UserError) as refusal:
        ready().before(play("a", fakes(1, 4, (2,)), seed=0, cond=torch.zeros(4, 5)))
    assert str(refusal.value) == (
        "callback 'history': expected fakes whose condition is shaped as the data's, got [5]; remove the callback"
    )


def test_several_conditions_stay_with_their_fakes() -> None:
    history = History(size=4).copied()
    parts = {"a": LabelSpec(kind="vector", names=("x",)), "b": LabelSpec(kind="image", size=(1, 2, 2))}
    history.prepare(DataSpec(shape=(2,), labels=LabelSpec(kind="named", parts=parts)), {"": (2,)})
    mixed = False
    for update in range(8):
        mine = fakes(update, 4, (2,))
        one = play("", mine, seed=update)
        one.fake_cond = {"a": fakes(update, 4, (1,)), "b": fakes(update, 4, (1, 2, 2))}
        history.before(one)
        mixed = mixed or not torch.equal(one.fake, mine)
        number = one.fake[:, :1]
        assert torch.equal(one.fake_cond["a"], number)
        assert torch.equal(one.fake_cond["b"], number[:, :, None, None].expand(4, 1, 2, 2))
    assert mixed
