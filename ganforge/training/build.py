"""A validated run file -> networks, players and a loop. The only caller of any `build`.

`plan` is everything that can be known without data or a device; whatever does not fit together
is refused there, before anything is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ganforge.api import Context, DataSpec, Networks, Role, Samples, UserError
from ganforge.components.calls import heads_of, networks_of, open_data, optimizer_of, spec_of, width_of
from ganforge.config import RunConfig
from ganforge.engine.acceleration.cuda_graph import CudaGraph
from ganforge.engine.acceleration.graph_replay import Replays, prefers_own_double_backward
from ganforge.engine.data.batches import Batches
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.instruments.health_signals import FirstBad
from ganforge.engine.kernels.fast_convolutions import faster_convolutions
from ganforge.engine.loop import Loop
from ganforge.engine.observer import Observer
from ganforge.engine.random import stream_seed
from ganforge.engine.sampling.ema import MovingAverage
from ganforge.engine.sampling.sampler import GeneratorSampler
from ganforge.engine.update.device_optimizer import keep_on_device
from ganforge.engine.update.game import Game
from ganforge.engine.update.player import Player, terms_of


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
            return networks_of(self.config.nets, self.spec, self.latent, self.heads)


def plan(config: RunConfig, spec: DataSpec | None = None) -> Plan:
    """Checks that the components fit together; raises `UserError` with the reason if not.

    `spec` is the data's, where it is known already (from a run folder).
    """
    _refuse_contradictions(config)
    spec = spec or spec_of(config.data)
    heads: dict[str, int] = {}
    owners: dict[str, str] = {}
    for term in config.terms:
        for name, width in heads_of(term, spec, config.prior).items():
            if name in heads and heads[name] != width:
                raise UserError(
                    f"terms '{owners[name]}' and '{term.type}' both want a discriminator head '{name}', "
                    f"of widths {heads[name]} and {width}"
                )
            heads[name], owners[name] = width, term.type
    return Plan(config, spec, width_of(config.prior), heads)


def load_samples(config: RunConfig, spec: DataSpec, context: Context) -> Samples:
    """Opens the training data and holds it to what its `spec` promised."""
    return open_data(config.data, "train", spec, context)


def build_loop(
    agreed: Plan, samples: Samples, runtime: Runtime, observer: Observer, checkpoints: Path
) -> Loop:
    """Everything on the device, ready to run or to be restored from a checkpoint."""
    config, train = agreed.config, agreed.config.train
    networks = agreed.networks()
    if train.sync_batchnorm and runtime.world > 1:
        networks = Networks(*map(nn.SyncBatchNorm.convert_sync_batchnorm, networks))
    for network in networks:
        network.to(runtime.device).to(memory_format=_memory_format(agreed.spec))
    average = MovingAverage(networks.generator, config.ema) if config.ema.halflife else None
    game = Game(
        discriminator=_player("d", networks, config, runtime),
        generator=_player("g", networks, config, runtime),
        loss=config.loss,
        prior=config.prior,
        nets=config.nets,
        heads=agreed.heads,
        runtime=runtime,
        seed=train.seed,
        callbacks=config.callbacks,
        accumulate=train.accumulate,
        clip_grad_norm=train.clip_grad_norm,
        first_bad=None if config.health.policy == "off" else FirstBad(),
        reuse_fakes=train.fakes == "reused",
    )
    batches = Batches(
        samples,
        train.batch_size,
        train.seed,
        runtime.device,
        runtime.rank,
        runtime.world,
        train.accumulate,
        train.data,
    )
    if batches.streams and runtime.is_main:
        observer.say(batches.streams)
    sampler = GeneratorSampler(
        average.network if average else networks.generator,
        config.prior,
        config.nets,
        agreed.spec,
        runtime.device,
        samples.labels,
        runtime=runtime,
    )
    loop = Loop(game, batches, samples, config, sampler, average, observer, checkpoints)
    if train.cuda_graphs == "auto":
        _record_updates(loop)
    replays = loop.replays is not None
    game.fast_double_backward = prefers_own_double_backward(runtime.device, replays)
    return loop


def _refuse_contradictions(config: RunConfig) -> None:
    """Raises `UserError` for keys of `[train]` that exclude each other."""
    train = config.train
    if train.fakes == "reused" and (train.d_updates, train.g_updates) != (1, 1):
        raise UserError(
            "train.fakes = 'reused' is for one update of each player in an iteration; train.d_updates is "
            f"{train.d_updates} and train.g_updates is {train.g_updates}: set it to 'fresh'"
        )
    if train.compile != "off" and train.sync_batchnorm:
        # A compilation that fails in one process would leave the others waiting in its statistics.
        raise UserError(
            f"train.compile = '{train.compile}' and train.sync_batchnorm exclude each other; set one of "
            "them to 'off' or false"
        )


def _record_updates(loop: Loop) -> None:
    """Lets `loop` play by CUDA graphs on a GPU, or says why it does not. A CPU has none, and needs none."""
    runtime = loop.game.runtime
    if runtime.device.type != "cuda":
        return
    why_not = None
    if runtime.world > 1:
        why_not = "the run is in several processes"
    elif runtime.precision == "fp16":
        # Its gradient scaler decides in Python whether to step.
        why_not = "train.precision is 'fp16'"
    if why_not is not None:
        loop.say(f"cuda graphs: not used ({why_not})")
        return
    pool = torch.cuda.graph_pool_handle()
    loop.replays = Replays(loop.game, loop.schedule, lambda: CudaGraph([loop.game.rng], pool), loop.say)


def _player(role: Role, networks: Networks, config: RunConfig, runtime: Runtime) -> Player:
    network = networks.generator if role == "g" else networks.discriminator
    section = config.generator if role == "g" else config.discriminator
    optimizer = optimizer_of(section.optimizer, network.parameters())
    if runtime.device.type == "cuda":
        keep_on_device(optimizer, runtime.device)
    return Player(
        role=role,
        network=network.train(),
        optimizer=optimizer,
        scaler=runtime.scaler(),
        terms=terms_of(role, config.terms),
        faster=faster_convolutions(network, runtime.device),
    )


def _memory_format(spec: DataSpec) -> torch.memory_format:
    """Convolutions are fastest with the channels last; points have none."""
    return torch.channels_last if spec.is_image else torch.contiguous_format
