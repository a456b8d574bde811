"""A judge: a classifier of a data set's labels, which recognizes what generated images show.

A judge is a folder: `weights.safetensors`, and `judge.json` with its labels, training data and
accuracy. Nothing in it is ever unpickled; the published i-CLEVR judge, a
PyTorch checkpoint, is read with `weights_only=True`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from ganforge.api.data import DataSpec
from ganforge.api.errors import UserError
from ganforge.api.judge.network import JudgeArchitecture, JudgeNetwork, build_network

WEIGHTS = "weights.safetensors"
CARD = "judge.json"
CHUNK = 256
MAX_WIDTH = 1024
MAX_CHANNELS = 64
CHECKPOINTS = (".pth", ".pt")
PUBLISHED = "a checkpoint {'model': state_dict} of a torchvision ResNet-18 whose last layer is fc.0"


class JudgeCard(BaseModel):
    """Everything about a judge but its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    architecture: JudgeArchitecture
    width: int = Field(0, ge=0, le=MAX_WIDTH)
    """Channels of the first stage; 0 for resnet18."""
    data: DataSpec
    """The shape of its images, and its labels."""
    sha256: str
    """SHA-256 of `weights.safetensors`."""
    trained_on: dict[str, Any] = {}
    """Data, number of images, epochs, seed."""
    accuracy: dict[str, float] = {}
    """On held-out real images: the upper bound for a generator."""


class Judge(nn.Module):
    """A trained network in evaluation mode, and its card."""

    def __init__(self, network: JudgeNetwork, card: JudgeCard) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        self.card = card

    @classmethod
    def of(
        cls,
        network: JudgeNetwork,
        spec: DataSpec,
        *,
        architecture: JudgeArchitecture,
        width: int = 0,
        trained_on: Mapping[str, Any] | None = None,
        accuracy: Mapping[str, float] | None = None,
    ) -> Judge:
        """A judge from a network that was trained on `data`."""
        card = JudgeCard(
            architecture=architecture,
            width=width,
            data=spec,
            sha256=_sha256(_bytes_of(network)),
            trained_on=dict(trained_on or {}),
            accuracy=dict(accuracy or {}),
        )
        return cls(network, card)

    def logits(self, images: Tensor) -> Tensor:
        """[N, K] on the CPU for `images` [N, C, H, W] in [-1, 1]; raises `UserError` for another size."""
        return self._over(images, self.network)

    def features(self, images: Tensor) -> Tensor:
        """[N, F] on the CPU: the last layer's input; otherwise as `logits`."""
        return self._over(images, self.network.body)

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(images)

    def refuse_misfit(self, spec: DataSpec, *, labels: bool = True) -> None:
        """Raises `UserError` unless its images, and if `labels` its labels, are those of `data`."""
        mine = self.card.data
        if spec.shape != mine.shape:
            raise UserError(
                f"the judge takes images of {_side(mine.shape)}, got {_side(spec.shape)}; "
                "train a judge on such data with 'ganforge judge train'"
            )
        if labels and (spec.labels.kind, spec.labels.names) != (mine.labels.kind, mine.labels.names):
            raise UserError(
                f"the judge recognizes {_labels(mine)}, but the data have {_labels(spec)}; "
                "train a judge on such data with 'ganforge judge train'"
            )

    def provenance(self) -> dict[str, Any]:
        """What a value computed with this judge must be published with."""
        return {
            "architecture": self.card.architecture,
            "sha256": self.card.sha256,
            "trained_on": self.card.trained_on,
            "accuracy": {key: value for key, value in self.card.accuracy.items() if "/" not in key},
        }

    @staticmethod
    def half_saved(folder: Path) -> bool:
        """Whether the folder has nothing but what a killed `save` has left."""
        names = {WEIGHTS, *(f".{name}.tmp" for name in (WEIGHTS, CARD))}
        return folder.is_dir() and {each.name for each in folder.iterdir()} <= names

    def save(self, folder: Path) -> None:
        """Writes the judge into `folder`. Raises `UserError` if that fails."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # The card last: without it, the folder is not a judge.
            for name, content in (
                (WEIGHTS, _bytes_of(self.network)),
                (CARD, (self.card.model_dump_json(indent=1) + "\n").encode()),
            ):
                half = folder / f".{name}.tmp"
                half.write_bytes(content)
                half.replace(folder / name)
        except OSError as error:
            raise UserError(
                f"cannot write the judge to {folder}: {error.strerror}; choose another path with --out"
            ) from error

    @torch.no_grad()
    def _over(self, images: Tensor, network: Callable[[Tensor], Tensor]) -> Tensor:
        if tuple(images.shape[1:]) != self.card.data.shape:
            self.refuse_misfit(DataSpec(shape=tuple(images.shape[1:])), labels=False)
        device = self.network.head.weight.device
        parts = [network(part.to(device)).float().cpu() for part in torch.split(images, CHUNK)]
        return torch.cat(parts)


def load_judge(path: Path, spec: DataSpec | None = None) -> Judge:
    """The judge in a folder that `ganforge judge train` wrote; or, if `data` defines its
    labels, the one in a published checkpoint (`.pth`).

    With `data`, its images and labels are checked. Raises `UserError` for a judge that is missing,
    damaged, malformed or incompatible.
    """
    if path.suffix in CHECKPOINTS:
        if spec is None:
            raise UserError(f"{path}: a checkpoint does not name its labels; import it first")
        return import_checkpoint(path, spec)
    folder = path.parent if path.name in (CARD, WEIGHTS) else path
    card = _read_card(folder / CARD)
    content = _read(folder / WEIGHTS)
    if _sha256(content) != card.sha256:
        raise UserError(f"{folder / WEIGHTS}: damaged: its SHA-256 does not match {CARD}")
    try:
        tensors = safetensors.torch.load(content)
    except SafetensorError as error:
        raise UserError(f"{folder / WEIGHTS}: not a safetensors file: {error}") from None
    judge = Judge(_filled(card, tensors, folder / WEIGHTS), card)
    if spec is not None:
        judge.refuse_misfit(spec)
    return judge


def import_checkpoint(file: Path, spec: DataSpec) -> Judge:
    """The judge in a published checkpoint, whose outputs are the labels of `data`, in their order.

    Raises `UserError` for a pickle that would execute code, and for another network.
    """
    tensors: dict[str, Tensor] = {}
    for name, value in _published_state(file).items():
        kept = {"fc.0.weight": "head.weight", "fc.0.bias": "head.bias"}.get(name, f"body.{name}")
        tensors[kept] = value
    # Filled first: the card holds the hash of the weights as they will be saved.
    blank = JudgeCard(architecture="resnet18", data=spec, sha256="")
    network = _filled(blank, tensors, file)
    return Judge.of(network, spec, architecture="resnet18", trained_on={"imported_from": file.name})


def _published_state(file: Path) -> dict[str, Tensor]:
    _read(file)
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        if wanted:
            raise UserError(
                f"{file}: refused: its pickle would execute '{wanted[1]}'; expected only tensors"
            ) from None
        raise UserError(f"{file}: not a PyTorch checkpoint of tensors; expected {PUBLISHED}") from None
    state = found.get("model") if isinstance(found, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{file}: expected {PUBLISHED}")
    return state


def _filled(card: JudgeCard, tensors: Mapping[str, Tensor], file: Path) -> JudgeNetwork:
    """The card's network with these weights. Raises `UserError` if they do not match it."""
    if not card.data.is_image or not card.data.labels.width:
        raise UserError(f"{file}: a judge needs images with labels, but the data have none")
    if card.architecture != "resnet18" and not card.width:
        raise UserError(f"{file}: the card of a {card.architecture} must have a width")
    channels = card.data.shape[0]
    if not 1 <= channels <= MAX_CHANNELS:
        raise UserError(f"{file}: expected images of 1 to {MAX_CHANNELS} channels, got {channels}")
    # Without memory until the weights are there: a card may claim any size. Nor does it move the
    # random state, which matters in the middle of a run.
    with torch.device("meta"):
        network = build_network(card.architecture, channels, card.data.labels.width, card.width)
    wanted = {name: tensor.dtype for name, tensor in network.state_dict().items()}
    for name, tensor in sorted(tensors.items()):
        if tensor.dtype != wanted.get(name, tensor.dtype):
            raise UserError(f"{file}: expected '{name}' as {wanted[name]}, got {tensor.dtype}")
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{file}: its weights are not those of a {card.architecture} with "
            f"{card.data.labels.width} outputs: {reason:.200}"
        ) from None
    return network


def _read_card(file: Path) -> JudgeCard:
    if not file.is_file():
        raise UserError(
            f"{file.parent} is not a judge: it has no {file.name}; pass the folder that "
            "'ganforge judge train' wrote"
        )
    try:
        return JudgeCard.model_validate_json(_read(file))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{file}: not a judge card: {where + ': ' if where else ''}{first['msg']}") from None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None


def _bytes_of(network: nn.Module) -> bytes:
    """The weights as safetensors bytes; deterministic."""
    # The file has no memory format: safetensors needs contiguous tensors.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return safetensors.torch.save(plain)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _side(shape: tuple[int, ...]) -> str:
    return "x".join(str(side) for side in shape)


def _labels(spec: DataSpec) -> str:
    names = spec.labels.names
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return spec.labels.in_words() + (f" ({shown})" if names else "")
