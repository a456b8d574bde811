"""A validated run file -> networks, players and a loop. The only caller of any `build`.

`plan` is everything that can be known without data or a device; whatever does not fit together
is refused there, before anything is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from ganforge.api import Context, DataSpec, Networks, Role, Samples, UserError
from ganforge.config import RunConfig
from ganforge.engine import (
    Batches,
    Game,
    GeneratorSampler,
    Loop,
    MovingAverage,
    Observer,
    Player,
    Runtime,
    stream_seed,
    terms_of,
)


@dataclass(frozen=True)
class Plan:
    """What the parts of a run have agreed on."""

    config: RunConfig
    spec: DataSpec
    latent: int
    """Z, the width of the latent."""
    heads: Mapping[str, int]
    """Head name -> width: what the terms want from the discriminator."""

    def networks(self, device: torch.device | str = "cpu") -> Networks:
        """Both networks, freshly initialised from the run's seed; on "meta", without weights."""
        with torch.random.fork_rng(devices=[]), torch.device(device):
            torch.manual_seed(stream_seed(self.config.train.seed, "weights"))
            return self.config.nets.build(self.spec, self.latent, self.heads)


def plan(config: RunConfig, spec: DataSpec | None = None) -> Plan:
    """Checks that the components fit together; raises `UserError` with the reason if not.

    `spec` is the data's, where it is known already (from a run folder).
    """
    spec = spec or config.data.spec()
    heads: dict[str, int] = {}
    owners: dict[str, str] = {}
    for term in config.terms:
        for name, width in term.heads(spec, config.prior).items():
            if name in heads and heads[name] != width:
                raise UserError(
                    f"terms '{owners[name]}' and '{term.type}' both want a discriminator head '{name}', "
                    f"of widths {heads[name]} and {width}"
                )
            heads[name], owners[name] = width, term.type
    return Plan(config, spec, config.prior.width(), heads)


def load_samples(config: RunConfig, spec: DataSpec, context: Context) -> Samples:
    """Opens the training data and holds it to what its `spec` promised."""
    samples = config.data.build("train", context)
    shape = tuple(samples.images.shape[1:])
    if shape != spec.shape:
        raise UserError(f"data '{config.data.type}' promised samples of shape {spec.shape} and gave {shape}")
    width = 0 if samples.labels is None else samples.labels.shape[1]
    if width != spec.labels.width:
        raise UserError(f"data '{config.data.type}' promised {spec.labels.width} labels and gave {width}")
    return samples


def build_loop(
    agreed: Plan, samples: Samples, runtime: Runtime, observer: Observer, checkpoints: Path
) -> Loop:
    """Everything on the device, ready to run or to be restored from a checkpoint."""
    config, train = agreed.config, agreed.config.train
    networks = agreed.networks()
    for network in networks:
        network.to(runtime.device).to(memory_format=_memory_format(agreed.spec))
    average = MovingAverage(networks.generator, config.ema) if config.ema.halflife else None
    game = Game(
        discriminator=_player("d", networks, config, runtime),
        generator=_player("g", networks, config, runtime),
        loss=config.loss,
        prior=config.prior,
        runtime=runtime,
        seed=train.seed,
        callbacks=config.callbacks,
        accumulate=train.accumulate,
        clip_grad_norm=train.clip_grad_norm,
    )
    batches = Batches(samples, train.batch_size, train.seed, runtime.device, runtime.rank, runtime.world)
    sampler = GeneratorSampler(
        average.network if average else networks.generator,
        config.prior,
        agreed.spec,
        runtime.device,
        samples.labels,
    )
    return Loop(game, batches, samples, config, sampler, average, observer, checkpoints)


def _player(role: Role, networks: Networks, config: RunConfig, runtime: Runtime) -> Player:
    network = networks.generator if role == "g" else networks.discriminator
    section = config.generator if role == "g" else config.discriminator
    return Player(
        role=role,
        network=network.train(),
        optimizer=section.optimizer.build(network.parameters()),
        scaler=runtime.scaler(),
        terms=terms_of(role, config.terms),
    )


def _memory_format(spec: DataSpec) -> torch.memory_format:
    """Convolutions are fastest with the channels last; points have none."""
    return torch.channels_last if spec.is_image else torch.contiguous_format
