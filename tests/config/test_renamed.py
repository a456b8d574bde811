"""Keys that were renamed: the former name still works, and the present one is shown."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.config import dumps, validate
from ganforge.config.renamed import RENAMED
from support.command_line import call, sets
from support.toys import toy_config, toy_document, toy_registry
from support.trained import place as place
from support.trained import said
from support.trained import trained as trained

LINE = "train.data is now called train.placement; rename it in the run file"


def test_the_former_name_is_read_and_the_present_one_written() -> None:
    document = toy_document(train={"data": "streamed"})
    config = validate(document, toy_registry(), file="run.toml")
    assert config.train.placement == "streamed"
    assert config.renamed == (LINE,)
    assert document["train"]["data"] == "streamed"
    resolved = tomllib.loads(dumps(config))
    assert (resolved["train"]["placement"], "data" in resolved["train"]) == ("streamed", False)
    assert validate(resolved, toy_registry(), file="run.toml").renamed == ()
    assert toy_config().renamed == ()


def test_every_renamed_key_has_its_present_name_in_the_schema() -> None:
    config = toy_config()
    for (section, key), name in RENAMED.items():
        fields = type(getattr(config, section)).model_fields
        assert name in fields and key not in fields


def mistake(train: dict[str, str]) -> str:
    text = '[train]\ndata = "x"\n'
    with pytest.raises(UserError) as caught:
        validate(toy_document(train=train), toy_registry(), file="f", text=text)
    return str(caught.value)


def test_mistakes_are_reported_under_the_name_that_was_written() -> None:
    assert mistake({"data": "x"}).startswith(
        "f:2: train.data: should be 'auto', 'resident' or 'streamed', got 'x'"
    )
    both = mistake({"data": "auto", "placement": "auto"}).splitlines()[0]
    assert both == "f:2: train.data: is the former name of 'placement', which is set as well; remove one"


def test_an_older_run_is_resumed_and_its_file_brought_up_to_date(place: Path) -> None:
    file = place / "mine" / "config.toml"
    current = file.read_text()
    file.write_text(current.replace('placement = "auto"', 'data = "auto"'))
    assert file.read_text() != current
    done = call(place, "resume", "mine", *sets("train.images=96"))
    assert (done.code, done.err.splitlines().count(LINE)) == (0, 1)
    assert said(done) == ["continues exactly at 64 images"]
    assert file.read_text() == current.replace("images = 64\n", "images = 96\n")
