"""`ganforge doctor`: is this installation sound? The health check of the image asks the same."""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import click

Check = Callable[[], str]
"""Gives what it found, in a few words; raises where that would not do for a run."""

UNSOUND = 1


@click.command()
@click.option("--cuda", is_flag=True, help="No CUDA device is a fault, too.")
def doctor(cuda: bool) -> None:
    """Say whether the installation is sound: plugins, torch, the device, folders to write to.

    Exit code 0, or 1 where one of them is not.
    """
    from ganforge.components.faults import one_line

    checks: dict[str, Check] = {
        "plugins": _plugins,
        "torch": _torch,
        "device": lambda: _device(cuda),
        "runs": lambda: _writable(Path("runs")),
        "cache": _cache,
    }
    sound = True
    for name, check in checks.items():
        try:
            found = check()
        except Fault as fault:
            sound, found = False, f"FAULT: {fault}"
        except Exception as error:  # whatever it is, the checks after it are worth their lines
            sound, found = False, f"FAULT: {one_line(error)}"
        click.echo(f"{name:8} {found}")
    if not sound:
        sys.exit(UNSOUND)


class Fault(Exception):
    """What is wrong, and what to do about it."""


def _plugins() -> str:
    from ganforge.components.registry import discover

    registry = discover()
    wrong = [f"{broken.plugin} {broken.reason}" for broken in registry.broken]
    wrong += [registry.explain_clash(kind, name) for kind, name in registry.clashes]
    if wrong:
        raise Fault("; ".join(wrong))
    count = sum(len(components) for components in registry.components.values())
    return f"{count} components of {len(registry.plugins)} plugins"


def _torch() -> str:
    """The versions, and that torchvision's compiled operators belong to this torch."""
    import torch

    torchvision = importlib.import_module("torchvision")  # which has no types
    kept = torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
    if kept.tolist() != [0]:
        raise Fault(f"torchvision {torchvision.__version__} computes wrong results")
    return f"{torch.__version__}, torchvision {torchvision.__version__}"


def _device(needs_cuda: bool) -> str:
    """Names the device after it has trained something: a driver too old shows only then."""
    import torch

    cuda = torch.cuda.is_available()
    if needs_cuda and not cuda:
        raise Fault(
            "torch finds no CUDA device; check the driver with nvidia-smi, "
            "and start a container with --gpus all"
        )
    device = "cuda" if cuda else "cpu"
    image = torch.ones(1, 1, 4, 4, device=device)
    kernel = torch.full((1, 1, 3, 3), 0.5, device=device, requires_grad=True)
    torch.autograd.backward(torch.nn.functional.conv2d(image, kernel).sum())
    if kernel.grad is None or kernel.grad.tolist() != [[[[4.0] * 3] * 3]]:
        raise Fault(f"a gradient on the {device} comes out wrong")
    if cuda:
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"cpu, {torch.get_num_threads()} threads; no CUDA device"


def _cache() -> str:
    from ganforge.outputs.cache import cache_folder

    return _writable(cache_folder())


def _writable(folder: Path) -> str:
    """The folder; raises where it is, or would be made, where nothing can be written."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            return f"{folder.absolute()} can be written"
    except OSError as error:
        raise Fault(f"{there} cannot be written: {error.strerror}") from error
