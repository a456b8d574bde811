"""A generator as an ONNX file: z, condition, truncation of styles -> samples, for a batch of any size.

The file is checked against PyTorch before it is written.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn.utils import parametrize

from ganforge.api import Draw, LabelSpec, Tree, UserError, mapped
from ganforge.components.faults import blame, described, one_line
from ganforge.components.team import sampled
from ganforge.engine.random import generator_for
from ganforge.engine.sampling.sampler import GeneratorSampler
from ganforge.evaluation.sample import TrainedGenerator
from ganforge.export.description import describe
from ganforge.export.requirements import need_onnx
from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.run_folder import RunFolder

if TYPE_CHECKING:
    from onnx import ModelProto

BATCHES = (1, 2, 7)
"""Sizes of batches that are compared with PyTorch; none but 2 was seen by the exporter."""
TOLERANCE = 1e-4
"""The largest difference to PyTorch; a level of an 8-bit image is 78 times as much."""
INPUTS = ("z", "cond", "truncation")
"""Inputs of an exported generator, in this order; one that it does not have is absent."""
BATCH = "n"
"""The name of the first dimension of every input and output."""


class Exported(nn.Module):
    """z [n, Z], cond [n, ...] or a dict of such or None, truncation [n] or None -> samples [n, *shape]."""

    def __init__(self, sampler: GeneratorSampler, picture: Callable[[Tensor], Tensor] | None) -> None:
        super().__init__()
        self.network = sampler.network
        self.sampler = sampler
        self.picture = picture

    def forward(self, z: Tensor, cond: Tree = None, truncation: Tensor | None = None) -> Tensor:
        sampler = self.sampler
        samples: Tensor | None
        if truncation is None:
            samples = sampled(sampler.task, self.network, sampler.nets, Draw(z, cond, {}))
        else:
            samples = sampler.nets.truncated(self.network, z, cond, truncation)
        assert samples is not None
        return (samples if self.picture is None else self.picture(samples)).float()


def to_onnx(
    sampler: GeneratorSampler,
    description: Mapping[str, Any],
    picture: Callable[[Tensor], Tensor] | None = None,
) -> ModelProto:
    """The sampler's generator with `description` in its metadata, a key for each entry; what `picture` makes
    of samples is the output, if given. Parametrizations (spectral norm) of the network are folded.

    Raises `UserError`, which names the architecture, if ONNX cannot express the network or its results
    differ from PyTorch's.
    """
    need_onnx()
    inputs = [example_inputs(sampler, n) for n in BATCHES]
    module = Exported(sampler, picture)
    sampler.network.eval()
    with torch.no_grad():
        expected = [module(**each) for each in inputs]
        fold(sampler.network)
        example = inputs[BATCHES.index(2)]
        program = _program(module, example, sampler)
        model = _converted(program, list(by_name(example)), sampler)
    _tidy(model)
    for key, value in description.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = f"ganforge.{key}", json.dumps(value)
    model.producer_name = "ganforge"
    worst = worst_difference(model, inputs, expected, sampler)
    if not worst <= TOLERANCE:
        raise UserError(
            f"{described(sampler.nets)}: expected onnxruntime to compute the same samples as PyTorch within "
            f"{TOLERANCE}, got a difference of {worst:.2g}; no file was written"
        )
    return model


def write_onnx(run: RunFolder, generator: TrainedGenerator, file: Path) -> int:
    """Writes the run's generator to `file`, atomically, and returns its size in bytes."""
    if file.suffix.lower() != ".onnx":
        better = file.with_suffix(".onnx") if file.name else "generator.onnx"
        raise UserError(f"expected --onnx to be a file such as {better}, got {file}")
    content: bytes = to_onnx(generator.sampler, describe(run, generator)).SerializeToString()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, content)
    return len(content)


def example_inputs(sampler: GeneratorSampler, n: int) -> dict[str, Any]:
    """By their names in `INPUTS`: latents [n, Z] of the prior; conditions [n, ...] of the data's kind, if the
    data has any; factors [n], if the generator truncates by itself."""
    found: dict[str, Any] = {"z": sampler.latents(n, seed=0).z}
    labels = sampler.spec.labels
    rng = generator_for(0, "export")
    if labels.kind != "none":
        found["cond"] = labels.mapped(lambda part: _example(part, n, rng))
    if truncates_itself(sampler):
        found["truncation"] = torch.rand(n, generator=rng)
    return found


def _example(labels: LabelSpec, n: int, rng: torch.Generator) -> Tensor:
    if labels.kind == "one_of_k":
        return torch.eye(labels.width)[torch.randint(labels.width, (n,), generator=rng)]
    if labels.kind == "many_of_k":
        return (torch.rand(n, labels.width, generator=rng) < 2 / labels.width).float()
    return torch.rand(n, *labels.shape, generator=rng) * 2 - 1


def by_name(inputs: Mapping[str, Any]) -> dict[str, Tensor]:
    """The inputs as ONNX has them, in their order: several conditions are `cond_NAME` each."""
    found: dict[str, Tensor] = {}
    for name, value in inputs.items():
        parts = {f"{name}_{part}": each for part, each in value.items()} if isinstance(value, Mapping) else {}
        found |= parts or {name: value}
    return found


@torch.no_grad()
def truncates_itself(sampler: GeneratorSampler) -> bool:
    """Whether truncation is an input of the generator (StyleGAN2), rather than a change of its latents."""
    z = sampler.latents(1, seed=0).z
    cond = sampler.spec.labels.mapped(lambda part: torch.zeros(1, *part.shape))
    sampler.network.eval()
    with blame(sampler.nets, "truncated"):
        return sampler.nets.truncated(sampler.network, z, cond, torch.ones(1)) is not None


def fold(network: nn.Module) -> None:
    """Puts the network into evaluation mode, and replaces each parametrized weight by its value there, which
    is a constant: a spectral norm does not iterate then."""
    network.eval()
    for module in network.modules():
        for name in list(getattr(module, "parametrizations", {})):
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def worst_difference(
    model: ModelProto,
    inputs: list[dict[str, Any]],
    expected: list[Tensor],
    sampler: GeneratorSampler,
) -> float:
    """The largest difference between what onnxruntime computes of `inputs` and `expected`; inf if the shapes
    differ or onnxruntime fails."""
    import onnxruntime

    worst = 0.0
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_inputs()]
        for given, right in zip(inputs, expected, strict=True):
            arrays = {name: each.numpy() for name, each in by_name(given).items()}
            (found,) = session.run(None, {name: arrays[name] for name in names})
            if found.shape != tuple(right.shape):
                return float("inf")
            worst = max(worst, float((torch.from_numpy(found) - right).abs().nan_to_num(nan=1e30).max()))
    except Exception as error:
        raise UserError(
            f"{described(sampler.nets)}: onnxruntime cannot run the exported network: {one_line(error):.300}"
        ) from error
    return worst


def _program(module: nn.Module, inputs: dict[str, Any], sampler: GeneratorSampler) -> ExportedProgram:
    """The traced network. Dim.DYNAMIC, since it alone reports a batch size that the network has fixed."""
    shapes = mapped(lambda _: {0: Dim.DYNAMIC}, inputs)
    try:
        return torch.export.export(module, (), inputs, dynamic_shapes=shapes)
    except Exception as error:
        text = one_line(error)
        if "specialized" in text or "Constraints violated" in text:
            raise UserError(
                f"{described(sampler.nets)}: its forward pass fixes the size of the batch, so it cannot be "
                "exported; take it from x.shape[0] instead of len(x), and do not decide by its value"
            ) from error
        raise UserError(
            f"{described(sampler.nets)}: its forward pass cannot be exported to ONNX: {text:.300}"
        ) from error


def _converted(program: ExportedProgram, names: list[str], sampler: GeneratorSampler) -> ModelProto:
    noisy = logging.getLogger("torch.onnx")
    level = noisy.level
    noisy.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = torch.onnx.export(
                program, input_names=names, output_names=["samples"], verbose=False, external_data=False
            )
            assert made is not None
            model: ModelProto = made.model_proto
            return model
    except Exception as error:
        raise UserError(
            f"{described(sampler.nets)}: ONNX cannot express its forward pass: {one_line(error):.300}"
        ) from error
    finally:
        noisy.setLevel(level)


def _tidy(model: ModelProto) -> None:
    """Calls the first dimension of every input and output `n`, and drops the shapes in between, in which it
    has the tracer's name; also drops inputs that nothing reads, such as the latent of a U-Net."""
    read = {name for node in model.graph.node for name in node.input}
    for each in [each for each in model.graph.input if each.name not in read]:
        model.graph.input.remove(each)
    del model.graph.value_info[:]
    for each in (*model.graph.input, *model.graph.output):
        each.type.tensor_type.shape.dim[0].dim_param = BATCH
