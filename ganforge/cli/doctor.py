"""`ganforge doctor`: does this installation work? The image's health check runs the same."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import click

from ganforge.cli.options import as_json

Check = Callable[[], str]
"""Returns what it found, in a few words; raises if a run would fail."""

UNSOUND = 1


@click.command()
@click.option("--cuda", is_flag=True, help="Fail if there is no CUDA device.")
@as_json
def doctor(cuda: bool, as_json: bool) -> None:
    """Check that the installation works: plugins, torch, the device, writable folders.

    Exit code 0, or 1 if a check fails.
    """
    from ganforge.components.faults import one_line

    checks: dict[str, Check] = {
        "plugins": _plugins,
        "torch": _torch,
        "device": lambda: _device(cuda),
        "runs": lambda: _writable(Path("runs")),
        "cache": _cache,
    }
    sound, results = True, {}
    for name, check in checks.items():
        try:
            found = check()
        except Fault as fault:
            sound, found = False, f"FAULT: {fault}"
        except Exception as error:  # one failed check must not hide the others
            sound, found = False, f"FAULT: {one_line(error)}"
        results[name] = found
        if not as_json:
            click.echo(f"{name:8} {found}")
    if as_json:
        click.echo(json.dumps({"works": sound, **results}))
    if not sound:
        sys.exit(UNSOUND)


class Fault(Exception):
    """What is wrong, and how to fix it."""


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
    """The versions, and that torchvision's compiled operators match this torch."""
    import torch

    from ganforge.api.optional import is_installed

    if not is_installed("torchvision"):
        return f"{torch.__version__}; torchvision is not installed (judges and data.download need it)"
    torchvision = importlib.import_module("torchvision")  # has no type annotations
    kept = torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
    if kept.tolist() != [0]:
        raise Fault(f"torchvision {torchvision.__version__} computes wrong results")
    return f"{torch.__version__}, torchvision {torchvision.__version__}"


def _device(needs_cuda: bool) -> str:
    """The device's name, after a backward pass on it: a driver that is too old fails only then."""
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
        raise Fault(f"{device} computes a wrong gradient")
    if cuda:
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"cpu, {torch.get_num_threads()} threads; no CUDA device"


def _cache() -> str:
    from ganforge.outputs.cache import cache_folder

    return _writable(cache_folder())


def _writable(folder: Path) -> str:
    """The folder; raises if it (or the parent it would be created in) is not writable."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            return f"{folder.absolute()} is writable"
    except OSError as error:
        raise Fault(f"{there} is not writable: {error.strerror}") from error
