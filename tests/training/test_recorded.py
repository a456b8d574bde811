"""The configuration of a run whose plugin is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganforge.api import UserError
from ganforge.components.registry import Broken, Plugin, Registry
from ganforge.outputs.run_folder import RunFolder
from ganforge.training.recorded import load_recorded, missing_plugins
from support.toys import toy_registry

ACME = {"name": "acme", "distribution": "acme-gan", "version": "0.2"}
CONFIG = '[data]\ntype = "squares"\n\n[nets]\ntype = "dcgan"\n\n[loss]\ntype = "acme"\n'


def run_of(folder: Path, config: str, plugins: object) -> RunFolder:
    (folder / "config.toml").write_text(config)
    (folder / "run.json").write_text(json.dumps({"plugins": plugins}))
    return RunFolder.open(folder)


def test_a_missing_plugin_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    run = run_of(tmp_path, CONFIG, [ACME])
    with pytest.raises(UserError) as caught:
        load_recorded(run, toy_registry())
    assert str(caught.value) == (
        f"{tmp_path} was made with plugin 'acme' (acme-gan 0.2), which is not installed here; install it: "
        "pip install acme-gan==0.2"
    )


def test_a_plugin_that_does_not_import_is_named_with_the_reason(tmp_path: Path) -> None:
    broken = Broken(Plugin("acme", "acme-gan", "0.3"), "does not import: ImportError: no module named x")
    assert missing_plugins(run_of(tmp_path, CONFIG, [ACME]), Registry({}, broken=(broken,))) == [
        f"{tmp_path} was made with plugin 'acme' (acme-gan 0.2), which cannot be used here: "
        "does not import: ImportError: no module named x"
    ]


def test_mistakes_of_the_file_are_reported_if_no_plugin_is_missing(tmp_path: Path) -> None:
    run = run_of(tmp_path, CONFIG, [])
    with pytest.raises(UserError, match="no loss is called 'acme'"):
        load_recorded(run, toy_registry())


def test_a_missing_plugin_that_the_file_no_longer_names_does_not_matter(tmp_path: Path) -> None:
    run = run_of(tmp_path, CONFIG.replace("acme", "bce"), [ACME])
    assert load_recorded(run, toy_registry()).loss.type == "bce"
