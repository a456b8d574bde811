"""What does not fit together is refused with the line of the file, or the `--set`, that it is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.components.faults import ComponentFault, blame
from ganforge.config import RunConfig, load, located
from ganforge.config.load import from_tables
from ganforge.profiling.preflight import preflight
from support.toys import toy_registry

REGISTRY = toy_registry()
IMAGES = '[data]\ntype = "squares"\nlabels = "image"\n'
PAIRED = IMAGES + '[task]\ntype = "translate"\n'
UNET = '[nets]\ntype = "unet"\nwidth = 4\n'
DCGAN = '[nets]\ntype = "dcgan"\nwidth = 4\n'


def read(folder: Path, text: str, *overrides: str) -> RunConfig:
    (folder / "run.toml").write_text(text)
    return load(folder / "run.toml", REGISTRY, overrides)


def refusal(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        preflight(read(folder, text, *overrides))
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        (PAIRED.replace('"image"\n', '"image"\npairs = false\n') + UNET, "run.toml:5", "needs paired data"),
        (PAIRED + DCGAN, "run.toml:6", "nets 'dcgan'"),
        (
            '[data]\ntype = "squares"\n' + DCGAN + '[task]\ntype = "translate"\n',
            "run.toml:6",
            "task 'translate'",
        ),
        (
            '[data]\ntype = "squares"\n'
            + DCGAN
            + '[[terms]]\ntype = "r1"\n\n[[terms]]\ntype = "mutual_information"\n',
            "run.toml:9",
            "term 'mutual_information' needs a prior with codes",
        ),
        (
            '[data]\ntype = "squares"\n' + DCGAN + "[train]\nbatch_size = 6\naccumulate = 4\n",
            "run.toml:7",
            "train.batch_size = 6 is the global batch",
        ),
        (
            '[data]\ntype = "squares"\n' + DCGAN + '[train]\n\nfakes = "reused"\nd_updates = 2\n',
            "run.toml:8",
            "train.fakes = 'reused' needs one update of each player",
        ),
        (
            '[data]\ntype = "squares"\n' + DCGAN + "[generator]\nlr_factors = {nothing = 0.5}\n",
            "run.toml:7",
            "generator.lr_factors: no parameter's name begins with 'nothing'",
        ),
        (
            '[data]\ntype = "squares"\n'
            + DCGAN
            + '[[terms]]\ntype = "r1"\nweight = {start = 1.0, end = -1.0, over = 9}\n',
            "run.toml:8",
            "terms.0.weight",
        ),
    ],
)
def test_a_refusal_begins_with_its_line(tmp_path: Path, text: str, place: str, said: str) -> None:
    found = refusal(tmp_path, text)
    assert found.startswith(f"{place}: ") and said in found, found


def test_what_was_set_on_the_command_line_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    text = '[data]\ntype = "squares"\n' + DCGAN + "[train]\naccumulate = 4\n"
    found = refusal(tmp_path, text, "train.batch_size=6")
    assert found.startswith("--set train.batch_size=6: train.batch_size = 6 is the global batch")


def test_of_two_terms_of_one_type_the_one_that_refuses_is_named(tmp_path: Path) -> None:
    config = read(tmp_path, '[data]\ntype = "squares"\n' + DCGAN + '[[terms]]\ntype = "r1"\n' * 2)
    with pytest.raises(UserError) as caught, located(config), blame(config.terms[1], "prepare"):
        raise UserError("no")
    assert str(caught.value) == f"{tmp_path}/run.toml:8: term 'r1': no"


def test_a_fault_of_a_component_is_no_line_of_the_file(tmp_path: Path) -> None:
    config = read(tmp_path, '[data]\ntype = "squares"\n' + DCGAN)
    with pytest.raises(ComponentFault) as caught, located(config), blame(config.loss, "d_loss"):
        raise ZeroDivisionError
    assert str(caught.value).startswith("loss 'bce'")


def test_what_no_file_describes_stays_as_it_is() -> None:
    config = from_tables({"data": {"type": "squares"}, "nets": {"type": "dcgan", "width": 4}}, REGISTRY, {})
    with pytest.raises(UserError) as caught, located(config):
        raise UserError("train.batch_size = 6 is too small")
    assert str(caught.value) == "train.batch_size = 6 is too small"


def test_a_refusal_about_nothing_in_the_file_stays_as_it_is(tmp_path: Path) -> None:
    config = read(tmp_path, '[data]\ntype = "squares"\n' + DCGAN)
    with pytest.raises(UserError) as caught, located(config):
        raise UserError("disk.is.full: wandb is nowhere")
    assert str(caught.value) == "disk.is.full: wandb is nowhere"
