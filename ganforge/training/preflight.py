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

from ganforge.api import DataSpec, Networks, Verdict
from ganforge.components.faults import blame
from ganforge.components.results import check_objective, check_samples, check_verdict, draw_of
from ganforge.config import RunConfig
from ganforge.training.build import Plan, plan

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
    loss = agreed.config.loss
    with blame(loss, "d_loss"):
        objective = loss.d_loss(*(verdict.logits for verdict in verdicts))
        check_objective(objective, loss, "d_loss", "d")
    torch.autograd.backward(objective)


def _g_update(agreed: Plan, networks: Networks) -> None:
    real, cond, z = _inputs(agreed)
    networks.discriminator.requires_grad_(False)
    loss = agreed.config.loss
    fake = _judge(agreed, networks, _generate(agreed, networks, z, cond), cond)
    paired = _judge(agreed, networks, real, cond).logits if loss.paired else None
    with blame(loss, "g_loss"):
        objective = loss.g_loss(fake.logits, paired)
        check_objective(objective, loss, "g_loss", "g")
    torch.autograd.backward(objective)


def _inputs(agreed: Plan) -> tuple[Tensor, Tensor | None, Tensor]:
    """Real samples, conditions and latents without content."""
    width = agreed.spec.labels.width
    cond = torch.zeros(BATCH, width) if width else None
    prior = agreed.config.prior
    draw = draw_of(prior, BATCH, cond, torch.Generator())
    real = torch.empty(BATCH, *agreed.spec.shape, device="meta")
    return real, None if cond is None else cond.to("meta"), draw.z.to("meta")


def _generate(agreed: Plan, networks: Networks, z: Tensor, cond: Tensor | None) -> Tensor:
    nets = agreed.config.nets
    with blame(nets, "the generator's forward pass"):
        fake: Tensor = networks.generator(z, cond)
    check_samples(fake, nets, (BATCH, *agreed.spec.shape))
    return fake


def _judge(agreed: Plan, networks: Networks, x: Tensor, cond: Tensor | None) -> Verdict:
    nets = agreed.config.nets
    with blame(nets, "the discriminator's forward pass"):
        verdict: Verdict = networks.discriminator(x, cond)
    check_verdict(verdict, nets, agreed.heads, BATCH)
    return verdict


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
