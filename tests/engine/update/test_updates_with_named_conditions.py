"""Networks, tasks and terms with several conditions by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.api import UserError
from ganforge.config import RunConfig
from ganforge.engine.checkpoint import checkpoint
from ganforge.profiling.preflight import preflight
from ganforge.training.build import plan
from support.games import TASKS
from support.replayed import ADAM
from support.toys import run, toy_config, toy_loop, weights_of

SEVERAL = {"type": "squares", "labels": "named", "mirror": True}
MLP = {"type": "mlp", "g_hidden": [16], "d_hidden": [16]}
UNET = {"task": {"type": "translate"}, "nets": TASKS["translate"]["nets"], "terms": [{"type": "l1"}]}
TRANSLATOR = {
    "task": {"type": "translate"},
    "nets": {"type": "translator", "width": 4, "blocks": 1, "d_width": 4, "d_layers": 1},
}
CLASSIFIER = {"type": "auxiliary_classifier", "condition": "color"}


def config_of(iterations: int, **sections: Any) -> RunConfig:
    everything = {
        "data": SEVERAL,
        "nets": MLP,
        "terms": [],
        "generator": ADAM,
        "discriminator": ADAM,
        **sections,
    }
    logging = {"every": 32, "grid_every": 0, "checkpoint_every": 10**9}
    return toy_config(**everything, train={"images": 8 * iterations}, logging=logging)


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"nets": {**MLP, "conditioning": "projection"}},
        {"nets": {**MLP, "conditioning": "generator"}, "terms": [CLASSIFIER]},
        UNET,
    ],
    ids=["concat", "projection", "classifier", "planes"],
)
def test_a_run_learns_and_resumes_exactly(tmp_path: Path, sections: dict[str, Any]) -> None:
    whole, log = toy_loop(tmp_path / "whole", config_of(6, **sections))
    assert run(whole)
    assert all(value == value for row in log.rows for value in row.values())
    first, _ = toy_loop(tmp_path / "parts", config_of(3, **sections))
    assert run(first)
    second, _ = toy_loop(tmp_path / "parts", config_of(6, **sections))
    second.restore(*checkpoint.load_newest(tmp_path / "parts", print))
    assert run(second)
    after, again = weights_of(whole), weights_of(second)
    assert [name for name in after if not torch.equal(after[name], again[name])] == []


@pytest.mark.parametrize("sections", [{}, UNET, TRANSLATOR], ids=["row", "planes", "normalized"])
def test_every_condition_reaches_both_networks(tmp_path: Path, sections: dict[str, Any]) -> None:
    loop, _ = toy_loop(tmp_path, config_of(1, **sections))
    batch = loop.batches.at(0)
    networks = {side: loop.game.players[side].network.eval() for side in ("g", "d")}
    z = torch.zeros(len(batch.real), 8)
    for name in batch.cond:
        changed = {**batch.cond, name: batch.cond[name].roll(1, 0) + 0.5}
        made, other = (networks["g"](z, cond) for cond in (batch.cond, changed))
        # More than rounding: normalization removes what is constant over an image.
        assert (made - other).abs().max() > 1e-3, name
        judged, otherwise = (networks["d"](batch.real, cond).logits for cond in (batch.cond, changed))
        assert not torch.equal(judged, otherwise), name


def test_the_order_of_the_names_is_without_meaning(tmp_path: Path) -> None:
    for sections in ({}, UNET):
        loop, _ = toy_loop(tmp_path / str(len(sections)), config_of(1, **sections))
        cond = loop.batches.at(0).cond
        network = loop.game.players["g"].network.eval()
        turned = dict(reversed(cond.items()))
        z = torch.zeros(8, 8)
        assert torch.equal(network(z, cond), network(z, turned))


def test_grids_show_each_of_them(tmp_path: Path) -> None:
    from ganforge.engine.sampling.grids import grids

    loop, _ = toy_loop(tmp_path, config_of(1))
    found = {grid.name: grid for grid in grids(loop.sampler, 0, 8)}
    assert list(found) == ["samples", "conditions_color", "conditions_negative"]
    assert found["conditions_color"].across == ("red", "green", "blue")
    assert found["conditions_negative"].across[:2] == ("negative", "sample")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"nets": {"type": "dcgan", "width": 4}},
            "nets 'dcgan': expected labels as the condition, condition 'negative' is an image of 3x16x16; use nets",
        ),
        (
            {"terms": [{"type": "auxiliary_classifier"}]},
            "term 'auxiliary_classifier': expected condition to be one of color, light, negative, got ''",
        ),
        (
            {"terms": [{"type": "auxiliary_classifier", "condition": "light"}]},
            "needs data labelled with one or many of K classes, but the data has vectors",
        ),
        (
            {"task": {"type": "cycle"}, "nets": UNET["nets"]},
            "task 'cycle': expected data whose conditions are images (or vectors) of another domain, got labels of",
        ),
        (
            {"task": {"type": "multi_domain"}, "nets": UNET["nets"]},
            "task 'multi_domain': expected the conditions image (image), origin (one_of_k) and domain (one_of_k), "
            "got color (one_of_k), light (vector), negative (image); use data 'domains'",
        ),
    ],
)
def test_what_does_not_take_them_is_refused(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        preflight(config_of(1, **sections))
    assert message in str(caught.value)


def test_a_collection_of_its_own_is_refused_where_pairs_are_needed() -> None:
    config = config_of(1, data={**SEVERAL, "pairs": False})
    with pytest.raises(UserError, match="task 'generate' needs paired data"):
        plan(config)
