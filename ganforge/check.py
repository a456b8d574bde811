"""The preflight: does everything fit together, how big is it, how long will it take.

Both networks are built on the meta device, where tensors have shapes and no content, and one
update of each player is traced there. No data is touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ganforge.api import DataSpec, Networks, UserError, Verdict
from ganforge.build import Plan, plan
from ganforge.config import RunConfig

BATCH = 4
"""Samples in the traced update; batch norm and pairwise terms want more than one."""
SHARE = 0.5
"""Of the measured matrix rate that training is assumed to reach; hand-written loops of a
convolutional GAN were measured at 0.5 to 0.75 on CPUs."""


@dataclass(frozen=True)
class Preflight:
    """What is known of a run before it starts."""

    spec: DataSpec
    g_parameters: int
    d_parameters: int
    memory_bytes: int
    """Weights, gradients, two moments, the moving average, and activations of the larger update."""
    flops_per_image: float
    """Of one iteration, by images shown; without terms."""
    device_flops: float
    """Rate of a float32 matrix product, measured now."""
    images: int

    @property
    def images_per_second(self) -> float:
        return SHARE * self.device_flops / self.flops_per_image

    @property
    def seconds(self) -> float:
        return self.images / self.images_per_second


def preflight(config: RunConfig) -> Preflight:
    """Checks a run file against itself; raises `UserError` with the reason where it cannot run."""
    agreed = plan(config)
    networks = agreed.networks("meta")
    with FlopCounterMode(display=False) as d_flops:
        d_saved = _saved_bytes(lambda: _d_update(agreed, networks))
    with FlopCounterMode(display=False) as g_flops:
        g_saved = _saved_bytes(lambda: _g_update(agreed, networks))
    train = config.train
    flops = train.d_updates * d_flops.get_total_flops() + train.g_updates * g_flops.get_total_flops()
    g_size, d_size = _bytes(networks.generator), _bytes(networks.discriminator)
    # Four copies of each network: weight, gradient and two moments; a fifth of G for the average.
    resident = 4 * (g_size + d_size) + (g_size if config.ema.halflife else 0)
    micro_batch = train.batch_size // train.accumulate
    return Preflight(
        spec=agreed.spec,
        g_parameters=_count(networks.generator),
        d_parameters=_count(networks.discriminator),
        memory_bytes=resident + max(d_saved, g_saved) // BATCH * micro_batch,
        flops_per_image=flops / (BATCH * train.d_updates),
        device_flops=_matrix_rate(torch.device("cuda" if _uses_cuda(config) else "cpu")),
        images=train.images,
    )


def _d_update(agreed: Plan, networks: Networks) -> None:
    real, cond, z = _inputs(agreed)
    networks.discriminator.requires_grad_(True)
    with torch.no_grad():
        fake = _generate(agreed, networks, z, cond)
    verdicts = [_judge(agreed, networks, x, cond) for x in (real, fake)]
    torch.autograd.backward(_scalar(agreed.config.loss.d_loss(*(v.logits for v in verdicts)), agreed))


def _g_update(agreed: Plan, networks: Networks) -> None:
    real, cond, z = _inputs(agreed)
    networks.discriminator.requires_grad_(False)
    loss = agreed.config.loss
    fake = _judge(agreed, networks, _generate(agreed, networks, z, cond), cond)
    paired = _judge(agreed, networks, real, cond).logits if loss.paired else None
    torch.autograd.backward(_scalar(loss.g_loss(fake.logits, paired), agreed))


def _inputs(agreed: Plan) -> tuple[Tensor, Tensor | None, Tensor]:
    """Real samples, conditions and latents without content."""
    width = agreed.spec.labels.width
    cond = torch.zeros(BATCH, width) if width else None
    z = agreed.config.prior.sample(BATCH, cond, torch.Generator()).z
    if z.shape != (BATCH, agreed.latent):
        raise UserError(
            f"prior '{agreed.config.prior.type}' promised latents of width {agreed.latent} "
            f"and gave {tuple(z.shape)} for {BATCH} samples"
        )
    real = torch.empty(BATCH, *agreed.spec.shape, device="meta")
    return real, None if cond is None else cond.to("meta"), z.to("meta")


def _generate(agreed: Plan, networks: Networks, z: Tensor, cond: Tensor | None) -> Tensor:
    fake: Tensor = networks.generator(z, cond)
    wanted = (BATCH, *agreed.spec.shape)
    if fake.shape != wanted:
        raise UserError(
            f"nets '{agreed.config.nets.type}': the generator gives {tuple(fake.shape)} "
            f"where the data are {wanted}"
        )
    return fake


def _judge(agreed: Plan, networks: Networks, x: Tensor, cond: Tensor | None) -> Verdict:
    verdict: Verdict = networks.discriminator(x, cond)
    name = agreed.config.nets.type
    if verdict.logits.shape != (BATCH,):
        raise UserError(
            f"nets '{name}': the discriminator gives logits of shape {tuple(verdict.logits.shape)} "
            f"where {(BATCH,)} is due"
        )
    shapes = {head: tuple(value.shape) for head, value in verdict.heads.items()}
    wanted = {head: (BATCH, width) for head, width in agreed.heads.items()}
    if shapes != wanted:
        raise UserError(
            f"nets '{name}': the discriminator gives heads {shapes} where the terms want {wanted}"
        )
    return verdict


def _scalar(value: Tensor, agreed: Plan) -> Tensor:
    if value.ndim != 0:
        raise UserError(
            f"loss '{agreed.config.loss.type}' must give a scalar; it gave shape {tuple(value.shape)}"
        )
    return value


def _saved_bytes(update: Callable[[], None]) -> int:
    """What autograd keeps for the backward pass of an update, each storage once."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            storage = tensor.untyped_storage()
            kept[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        update()
    return sum(kept.values())


def _count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _bytes(network: nn.Module) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in network.parameters())


def _uses_cuda(config: RunConfig) -> bool:
    return config.train.device != "cpu" and torch.cuda.is_available()


def _matrix_rate(device: torch.device, side: int = 1024) -> float:
    """FLOP/s of a float32 product, the best of five: what the machine can do at all."""
    a = torch.ones(side, side, device=device)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        # Reading one number waits for a GPU to be done.
        float((a @ a)[0, 0])
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best
