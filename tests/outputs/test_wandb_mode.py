"""W&B's own variables switch the mirror off, or offline, but never on."""

from __future__ import annotations

import pytest

from ganforge_trackers.wandb import Mode, Wandb, wished_mode


@pytest.mark.parametrize(
    ("variables", "mode", "expected"),
    [
        ({}, "online", "online"),
        ({}, "offline", "offline"),
        ({"WANDB_MODE": "disabled"}, "online", "disabled"),
        ({"WANDB_MODE": "Disabled "}, "offline", "disabled"),
        ({"WANDB_MODE": "offline"}, "online", "offline"),
        ({"WANDB_MODE": "dryrun"}, "online", "offline"),
        ({"WANDB_MODE": "offline"}, "disabled", "disabled"),
        ({"WANDB_MODE": "online"}, "offline", "offline"),
        ({"WANDB_MODE": "online"}, "disabled", "disabled"),
        ({"WANDB_MODE": "nonsense"}, "online", "online"),
        ({"WANDB_DISABLED": "true"}, "online", "disabled"),
        ({"WANDB_DISABLED": "false"}, "online", "online"),
    ],
)
def test_modes(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], mode: Mode, expected: Mode
) -> None:
    for name in ("WANDB_MODE", "WANDB_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert wished_mode(mode) == expected
    wanted = Wandb(mode=mode).wanted()
    assert (wanted.mode if wanted else "disabled") == expected
