"""`ganforge doctor`: reports that all is well, or a fault with its remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from ganforge.api import KINDS
from ganforge.components.registry import discover
from support.command_line import call, contents


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_cuda")
def test_a_sound_installation(tmp_path: Path) -> None:
    import torchvision

    done = call(tmp_path, "doctor")
    registry = discover()
    count = sum(len(registry.of(kind)) for kind in KINDS)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"plugins  {count} components of {len(registry.plugins)} plugins",
        f"torch    {torch.__version__}, torchvision {torchvision.__version__}",
        f"device   cpu, {torch.get_num_threads()} threads; no CUDA device",
        f"runs     {tmp_path}/runs is writable",
        f"cache    {tmp_path}/.cache/ganforge is writable",
    ]
    assert contents(tmp_path) == {}


@pytest.mark.usefixtures("no_cuda")
def test_no_cuda_device_is_a_fault_where_one_is_asked_for(tmp_path: Path) -> None:
    done = call(tmp_path, "doctor", "--cuda")
    assert done.code == 1
    assert (
        "device   FAULT: torch finds no CUDA device; check the driver with nvidia-smi, and start a "
        "container with --gpus all\n"
    ) in done.out
    assert "cache    " in done.out  # the checks after a fault are made, too


def test_a_plugin_that_does_not_load_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / ".cache" / "site" / "broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ganforge]\nbroken = no_such_module\n")
    monkeypatch.syspath_prepend(info.parent)
    done = call(tmp_path, "doctor")
    assert done.code == 1
    assert done.out.startswith(
        "plugins  FAULT: plugin 'broken' (broken 1.0) does not import: ModuleNotFoundError: "
        "No module named 'no_such_module'\n"
    )


@pytest.mark.usefixtures("no_cuda")
def test_folders_that_cannot_be_written_are_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").mkdir()

    def refuse(dir: Path) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    done = call(tmp_path, "doctor")
    assert done.code == 1
    assert done.out.splitlines()[3:] == [
        f"runs     FAULT: {tmp_path}/runs is not writable: Read-only file system",
        f"cache    FAULT: {tmp_path} is not writable: Read-only file system",
    ]


@pytest.mark.usefixtures("no_cuda")
def test_operators_that_are_not_there_are_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nms(*arguments: object) -> None:
        raise RuntimeError("operator torchvision::nms\ndoes not exist")

    monkeypatch.setattr("torchvision.ops.nms", nms)
    done = call(tmp_path, "doctor")
    assert done.code == 1
    assert "torch    FAULT: RuntimeError: operator torchvision::nms does not exist\n" in done.out


@pytest.mark.usefixtures("no_cuda")
def test_wrong_gradients_are_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda image, kernel: kernel)
    done = call(tmp_path, "doctor")
    assert done.code == 1
    assert "device   FAULT: cpu computes a wrong gradient\n" in done.out


@pytest.mark.gpu
def test_the_gpu_is_named(tmp_path: Path) -> None:
    done = call(tmp_path, "doctor", "--cuda")
    assert done.code == 0
    assert f"device   {torch.cuda.device_count()} x {torch.cuda.get_device_name()}\n" in done.out
