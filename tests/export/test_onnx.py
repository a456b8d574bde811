"""Exported networks against PyTorch, in batches that the exporter did not see; and what cannot be exported."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganforge.api import UserError
from ganforge.config import RunConfig
from ganforge.engine.sampling.sampler import GeneratorSampler
from ganforge.export import onnx
from ganforge.training.build import plan
from ganforge_architectures.biggan import BigGAN
from ganforge_architectures.dcgan import DCGAN
from support.command_line import call
from support.deferred import deferred
from support.paths import RUN_FILES
from support.small_runs import small
from support.toys import toy_config, toy_registry

onnxruntime = deferred("onnxruntime", reason="the extra [export] is not installed")


def sampler_of(config: RunConfig) -> GeneratorSampler:
    """An untrained generator with weights and batch statistics of a size that shows in its samples."""
    agreed = plan(config)
    network = agreed.networks().generator
    rng = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.ndim > 1:
                weight.div_((weight.std() * (weight[0].numel() ** 0.5)).clamp(min=1e-2, max=1))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.2, generator=rng)
            module.running_var.uniform_(0.5, 1.5, generator=rng)
    return GeneratorSampler(network, config.task, config.prior, config.nets, agreed.spec)


def computed(model: Any, z: Tensor, cond: Any, psi: float = 1) -> Tensor:
    """By onnxruntime; `psi`: the truncation of all samples, where that is an input."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given = onnx.by_name({"z": z, "cond": cond, "truncation": torch.full((len(z),), float(psi))})
    feed = {each.name: given[each.name].numpy() for each in session.get_inputs()}
    (samples,) = session.run(["samples"], feed)
    return torch.from_numpy(samples)


def of_each_kind() -> list[Path]:
    """An example for each pair of architecture and task."""
    found: dict[tuple[str, str | None], Path] = {}
    for file in RUN_FILES:
        # As written, not loaded: this is done whenever tests are collected.
        document = tomllib.loads(file.read_text())
        found.setdefault((document["nets"]["type"], document.get("task", {}).get("type")), file)
    return list(found.values())


@pytest.mark.slow
@pytest.mark.parametrize("example", of_each_kind(), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_each_built_in_generator_equals_pytorch(example: Path, tmp_path: Path) -> None:
    sampler = sampler_of(small(example, tmp_path, toy_registry(), 1))
    # A batch and values that the exporter's own check does not have.
    z = sampler.latents(5, seed=11).z
    rng = torch.Generator().manual_seed(0)
    cond = sampler.spec.labels.mapped(lambda part: torch.rand(5, *part.shape, generator=rng))
    expected = sampler.generate(z, cond)
    found = computed(onnx.to_onnx(sampler, {}), z, cond)
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= onnx.TOLERANCE


def test_a_conditional_generator_equals_pytorch_and_describes_itself() -> None:
    sampler = sampler_of(toy_config())
    z = sampler.latents(5, seed=11).z
    cond = torch.eye(3)[torch.tensor([0, 1, 2, 1, 0])]
    expected = sampler.generate(z, cond)
    model = onnx.to_onnx(sampler, {"prior": sampler.prior.model_dump(), "sample": {"range": [-1, 1]}})
    assert float((computed(model, z, cond) - expected).abs().max()) <= onnx.TOLERANCE
    assert float((computed(model, z, cond.roll(1, 0)) - expected).abs().max()) > 100 * onnx.TOLERANCE
    sizes = {each.name: [d.dim_param or d.dim_value for d in each.type.tensor_type.shape.dim]
             for each in (*model.graph.input, *model.graph.output)}  # fmt: skip
    assert sizes == {"z": ["n", 8], "cond": ["n", 3], "samples": ["n", 3, 16, 16]}
    about = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert about == {"ganforge.prior": {"type": "normal", "dim": 8}, "ganforge.sample": {"range": [-1, 1]}}


def test_spectral_norm_is_folded_into_the_weights() -> None:
    nets = {"type": "biggan", "channels": 4, "spectral_norm": True}
    sampler = sampler_of(toy_config(nets=nets, data={"size": 32}))
    assert isinstance(sampler.nets, BigGAN)
    z, cond = sampler.latents(3, seed=1).z, torch.eye(3)
    before = sampler.generate(z, cond)
    onnx.fold(sampler.network)
    assert not [name for name, _ in sampler.network.named_modules() if "parametrizations" in name]
    assert torch.equal(sampler.generate(z, cond), before)


def test_the_truncation_of_styles_is_an_input() -> None:
    nets = {"type": "stylegan2", "channel_max": 8, "w_dim": 8, "mapping_layers": 2, "noise": "none"}
    sampler = sampler_of(toy_config(nets=nets, prior={"dim": 8}, data={"size": 16}))
    sampler.network.get_buffer("w_mean").normal_(generator=torch.Generator().manual_seed(5))
    z, cond = sampler.latents(3, seed=2).z, torch.eye(3)
    model = onnx.to_onnx(sampler, {})
    pictures = []
    for psi in (1.0, 0.4):
        assert sampler.nets.truncate(sampler.network, psi)
        pictures.append(sampler.generate(z, cond))
        found = computed(model, z, cond, psi)
        assert float((found - pictures[-1]).abs().max()) <= onnx.TOLERANCE
    assert float((pictures[0] - pictures[1]).abs().max()) > 100 * onnx.TOLERANCE
    assert [each.name for each in model.graph.input] == ["z", "cond", "truncation"]


def spoiled(monkeypatch: pytest.MonkeyPatch, forward: Any) -> GeneratorSampler:
    """A sampler whose network ends in `forward` of the images."""
    sampler = sampler_of(toy_config())

    class Spoiled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = sampler.network

        def forward(self, z: Tensor, cond: Tensor | None) -> Tensor:
            result: Tensor = forward(self.inner(z, cond))
            return result

    sampler.network = Spoiled()
    assert isinstance(sampler.nets, DCGAN)
    return sampler


def test_a_batch_that_is_fixed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = spoiled(monkeypatch, lambda images: images.view(len(images), 3, 16, 16))
    with pytest.raises(UserError) as refused:
        onnx.to_onnx(sampler, {})
    assert str(refused.value) == (
        "architecture 'dcgan' of plugin 'architectures' (ganforge 0.1.0): its forward pass fixes the size of the "
        "batch, so it cannot be exported; take it from x.shape[0] instead of len(x), and do not decide by its value"
    )


def test_a_network_that_decides_by_its_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = spoiled(monkeypatch, lambda images: images if float(images.mean()) > 0 else -images)
    with pytest.raises(UserError, match=r"'dcgan' .* its forward pass cannot be exported to ONNX: "):
        onnx.to_onnx(sampler, {})


def test_other_numbers_than_pytorchs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = onnx.fold

    def spoil(network: nn.Module) -> None:
        fold(network)
        with torch.no_grad():
            next(network.parameters()).mul_(1.1)

    monkeypatch.setattr(onnx, "fold", spoil)
    with pytest.raises(
        UserError, match=r"'dcgan' .* the same samples as PyTorch within 0\.0001, got a difference of"
    ):
        onnx.to_onnx(sampler_of(toy_config()), {})


def test_samples_of_another_shape_are_infinitely_far() -> None:
    """A sum over the batch, [1, 2], would be compared with [n, 2] as if it were repeated."""
    pytest.importorskip("onnx", reason="the extra [export] is not installed")
    pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["z", "axes"], ["samples"], keepdims=1)],
        "g",
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(np.array([0]), "axes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    zeros = {"z": torch.zeros(3, 2)}
    assert onnx.worst_difference(model, [zeros], [torch.zeros(1, 2)], cast(Any, None)) == 0
    assert onnx.worst_difference(model, [zeros], [torch.zeros(3, 2)], cast(Any, None)) == float("inf")


def test_an_input_that_nothing_reads_is_no_input() -> None:
    """Such as the latent of a U-Net."""
    pytest.importorskip("onnx", reason="the extra [export] is not installed")
    from onnx import TensorProto, helper

    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Neg", ["cond"], ["samples"])],
            "g",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["s77", 2]) for name in ("z", "cond")],
            [helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["s77", 2])],
        )
    )
    onnx._tidy(model)
    assert [each.name for each in model.graph.input] == ["cond"]
    for each in (*model.graph.input, *model.graph.output):
        assert [dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim] == ["n", 2]


def test_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnx", "onnxscript"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "mine").mkdir()
    for name in ("config.toml", "run.json"):
        (tmp_path / "mine" / name).touch()
    done = call(tmp_path, "export", "mine", "--onnx", "x.onnx")
    assert (done.code, done.err) == (
        2,
        "exporting to ONNX needs onnx, onnxscript, which are not installed; type: pip install 'ganforge[export]'\n",
    )


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    done = call(tmp_path, "export", "mine", "--onnx", "x.onnx")
    assert done.code == 2 and done.err.startswith(
        "mine is not a run folder: it has no config.toml and no run.json"
    )


def test_the_example_inputs_are_of_the_datas_kind() -> None:
    z, cond = onnx.example_inputs(sampler_of(toy_config()), 7).values()
    assert z.shape == (7, 8) and cond.shape == (7, 3)
    assert set(np.unique(cond.numpy())) <= {0.0, 1.0}
