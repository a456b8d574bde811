"""torch-fidelity's feature extractors: created once, identified by the hash of their weights."""

from __future__ import annotations

import contextlib
import importlib
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganforge.api import UserError, did_you_mean
from ganforge_fidelity.weights import (
    PUBLISHED,
    TIMEOUT_S,
    published_weights,
    refuse_code,
    tensors_sha256,
    weights_sha256,
)

INCEPTION = "inception-v3-compat"
BATCH = 64


@dataclass(frozen=True, eq=False)
class Extractor:
    """A network that maps images to features."""

    name: str
    layer: str
    network: nn.Module
    weights_sha256: str
    """SHA-256 of the weights file, or of the tensors if there is no single file."""

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """uint8 [N, 1 or 3, H, W] -> float32 [N, F] on the CPU."""
        device = next((part.device for part in self.network.parameters()), torch.device("cpu"))
        rgb = images.expand(-1, 3, -1, -1)
        parts = [self.network(part.to(device))[0].float().cpu() for part in torch.split(rgb, BATCH)]
        return torch.cat(parts).flatten(1)

    def provenance(self) -> dict[str, Any]:
        """What a value computed with it must be published with."""
        return {
            "extractor": self.name,
            "layer": self.layer,
            "weights_sha256": self.weights_sha256,
            "resizer": self._resizer(),
            "pixels": "8 bits",
            "torch_fidelity": _module("torch_fidelity").__version__,
        }

    def _resizer(self) -> dict[str, Any]:
        side = getattr(self.network, "INPUT_IMAGE_SIZE", getattr(self.network, "resolution", None))
        if side is None or not type(self.network).__module__.startswith("torch_fidelity."):
            return {"interpolation": "the extractor's own"}
        # torch_fidelity.interpolate_compat_tensorflow, used by all its own extractors.
        return {"interpolation": "bilinear, grid of TensorFlow 1", "antialias": False, "side": int(side)}


def layer_for(extractor: str, metric: str) -> str:
    """The layer that torch-fidelity uses for `metric` (isc, fid, kid or prc). Raises `UserError` for an
    unknown extractor."""
    known = _module("torch_fidelity.registry").FEATURE_EXTRACTORS_REGISTRY
    if extractor not in known:
        raise UserError(
            f"torch-fidelity has no extractor '{extractor}'{did_you_mean(extractor, known)} "
            f"(known: {', '.join(sorted(known))})"
        )
    return str(known[extractor].get_default_feature_layer_for_metric(metric))


def open_extractor(name: str, layer: str, weights: Path | None) -> Extractor:
    """The extractor, on the GPU if there is one, with its weights downloaded if necessary.

    Raises `UserError` for weights that cannot be downloaded, read or trusted.
    """
    return _open(name, layer, weights, "cuda" if torch.cuda.is_available() else "cpu")


@lru_cache(maxsize=2)
def _open(name: str, layer: str, weights: Path | None, device: str) -> Extractor:
    file = published_weights(name) if weights is None and name in PUBLISHED else weights
    if file is not None:
        refuse_code(file)
    kinds = _module("torch_fidelity.registry").FEATURE_EXTRACTORS_REGISTRY
    path = None if file is None else str(file)
    # A new network draws its initial weights; the random state of a run must not change.
    with torch.random.fork_rng(devices=[]), _impatient():
        try:
            network = kinds[name](name, [layer], feature_extractor_weights_path=path, verbose=False)
        except NotImplementedError:
            raise UserError(f"extractor '{name}' takes no weights file; remove 'weights'") from None
        except (OSError, RuntimeError) as error:
            raise _failure(name, file, error) from error
    network = network.eval().requires_grad_(False).to(device)
    sha256 = tensors_sha256(network) if file is None else weights_sha256(file)
    return Extractor(name, layer, network, sha256)


def _failure(name: str, file: Path | None, error: Exception) -> UserError:
    reason = " ".join(str(error).split())
    if file is not None:
        return UserError(f"{file}: not the weights of extractor '{name}': {reason:.200}")
    hub = Path(torch.hub.get_dir())
    places = f"{hub / 'checkpoints'}"
    if name.startswith("dinov2-"):
        size = name.split("-")[2]
        places = (
            f"{hub / 'facebookresearch_dinov2_main'}  (the repository facebookresearch/dinov2) and\n"
            f"  {hub / 'checkpoints' / f'dinov2_vit{size}14_pretrain.pth'}  (its weights)"
        )
    return UserError(
        f"extractor '{name}' could not be created ({reason:.200}); without a network connection it needs, "
        f"copied from the torch hub folder of a machine where it ran:\n  {places}"
    )


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """torch hub's downloads, which set no timeout, do not wait forever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _module(name: str) -> Any:
    """Imported late: it imports torchvision, and most commands need neither."""
    return importlib.import_module(name)
