"""A validated run file -> networks, players and a loop. The only caller of any `build`.

`plan` covers everything that is known without data or a device; incompatible components are refused
there, before anything is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from ganforge.api import Context, DataSpec, Draw, Networks, Role, Samples, Shapes, UserError
from ganforge.components.calls import heads_of, networks_of, open_data, optimizer_of, spec_of, z_dim_of
from ganforge.components.faults import blame
from ganforge.components.team import Team
from ganforge.config import RunConfig
from ganforge.engine.acceleration.cuda_graph import CudaGraph
from ganforge.engine.acceleration.graph_replay import Replays, prefers_own_double_backward
from ganforge.engine.data.batches import Batches
from ganforge.engine.data.conditions import unpaired
from ganforge.engine.distributed.runtime import Runtime
from ganforge.engine.kernels.fast_convolutions import faster_convolutions
from ganforge.engine.loop import Loop
from ganforge.engine.observer import Observer
from ganforge.engine.random import stream_seed
from ganforge.engine.sampling.ema import GROUP, averages_of
from ganforge.engine.sampling.sampler import GeneratorSampler
from ganforge.engine.update.device_optimizer import keep_on_device
from ganforge.engine.update.game import Game
from ganforge.engine.update.live import Live
from ganforge.engine.update.player import Player, groups_of, terms_of
from ganforge.engine.update.schedule import at, has_ramps, scheduled_in_python
from ganforge.training.first_weights import freeze


@dataclass(frozen=True)
class Plan:
    """The compatible components of a run."""

    config: RunConfig
    spec: DataSpec
    z_dim: int
    """Dimension of the latent z."""
    heads: Mapping[str, int]
    """Head name -> width: the outputs that the terms need from the discriminator."""

    def networks(self, device: torch.device | str = "cpu") -> Networks:
        """Both networks, freshly initialized from the run's seed; on "meta", without weights."""
        with torch.random.fork_rng(devices=[]), torch.device(device):
            torch.manual_seed(stream_seed(self.config.train.seed, "weights"))
            config = self.config
            return networks_of(config.task, config.nets, self.spec, self.z_dim, self.heads)


def plan(config: RunConfig, spec: DataSpec | None = None) -> Plan:
    """Checks that the components fit together; raises `UserError` with the reason if not.

    `spec` is the data's, if already known (from a run folder).
    """
    _refuse_contradictions(config)
    spec = spec or spec_of(config.data)
    if not all(part.paired for part in spec.labels.each.values()):
        _refuse_unpaired(config)
    heads: dict[str, int] = {}
    owners: dict[str, str] = {}
    for term in config.terms:
        for name, width in heads_of(term, spec, config.prior).items():
            if name in heads and heads[name] != width:
                raise UserError(
                    f"terms '{owners[name]}' and '{term.type}' both need a discriminator head '{name}', "
                    f"but with widths {heads[name]} and {width}"
                )
            heads[name], owners[name] = width, term.type
    return Plan(config, spec, z_dim_of(config.prior), heads)


def load_samples(config: RunConfig, spec: DataSpec, context: Context) -> Samples:
    """Opens the training data and checks it against its `spec`."""
    samples = open_data(config.data, "train", spec, context)
    if unpaired(samples):
        _refuse_unpaired(config)
    return samples


def build_loop(
    agreed: Plan, samples: Samples, runtime: Runtime, observer: Observer, checkpoints: Path
) -> Loop:
    """Everything on the device, ready to run or to be restored from a checkpoint."""
    networks = agreed.networks()
    if agreed.config.train.sync_batchnorm and runtime.world > 1:
        networks = Networks(*map(nn.SyncBatchNorm.convert_sync_batchnorm, networks))
    for network in networks:
        network.to(runtime.device).to(memory_format=memory_format(agreed.spec))
    return assemble(agreed, networks, samples, runtime, observer, checkpoints)


def assemble(
    agreed: Plan,
    networks: Networks,
    samples: Samples,
    runtime: Runtime,
    observer: Observer,
    checkpoints: Path,
) -> Loop:
    """The loop around `networks`, which are on the training device."""
    config, train = agreed.config, agreed.config.train
    freeze(networks._asdict(), config.init.freeze)
    averages = averages_of(networks.generator, config.ema)
    live = Live(config, agreed.spec, partial(shapes_of, agreed), runtime.device)
    players: dict[Role, Player] = {
        "d": _player("d", networks, config, runtime, live),
        "g": _player("g", networks, config, runtime, live),
    }
    game = Game(players, live, agreed.heads, runtime, train, watched=config.health.policy != "off")
    batches = Batches(
        samples,
        train.batch_size,
        train.seed,
        runtime.device,
        runtime.rank,
        runtime.world,
        train.accumulate,
        train.placement,
    )
    if batches.streams and runtime.is_main:
        observer.say(batches.streams)
    sampler = GeneratorSampler(
        averages[GROUP].network if averages else networks.generator,
        config.task,
        config.prior,
        config.nets,
        agreed.spec,
        runtime.device,
        samples.labels,
        runtime=runtime,
    )
    loop = Loop(game, batches, samples, config, sampler, averages, observer, checkpoints)
    if train.cuda_graphs == "auto":
        _record_updates(loop)
    replays = loop.replays is not None
    game.critic.fast_double_backward = prefers_own_double_backward(runtime.device, replays)
    return loop


def _refuse_unpaired(config: RunConfig) -> None:
    """Raises `UserError` where the task needs a condition of its own for each sample."""
    if config.task.pairs:
        raise UserError(
            f"task '{config.task.type}' needs paired data, but the samples and conditions of data "
            f"'{config.data.type}' are two collections; use paired data, or task 'cycle'"
        )


def _refuse_contradictions(config: RunConfig) -> None:
    """Raises `UserError` for keys of `[train]` that are mutually exclusive."""
    train = config.train
    if train.fakes == "reused" and (train.d_updates, train.g_updates) != (1, 1):
        raise UserError(
            "train.fakes = 'reused' needs one update of each player per iteration, got train.d_updates = "
            f"{train.d_updates} and train.g_updates = {train.g_updates}; set it to 'fresh'"
        )
    if train.compile != "off" and train.sync_batchnorm:
        # If compilation failed in one process, the others would wait for its batch statistics forever.
        raise UserError(
            f"train.compile = '{train.compile}' and train.sync_batchnorm are mutually exclusive; set one "
            "of them to 'off' or false"
        )


def _record_updates(loop: Loop) -> None:
    """Lets `loop` use CUDA graphs on a GPU, or reports why not. A CPU has none, and needs none."""
    runtime = loop.game.runtime
    if runtime.device.type != "cuda":
        return
    why_not = None
    if runtime.world > 1:
        why_not = "the run has several processes"
    elif runtime.precision == "fp16":
        # Its gradient scaler decides in Python whether to step.
        why_not = "train.precision is 'fp16'"
    elif any(scheduled_in_python(player) for player in loop.game.players.values()):
        why_not = "an optimizer's betas, or similar keys, follow a ramp, which a recording cannot"
    if why_not is not None:
        loop.say(f"cuda graphs: not used ({why_not})")
        return
    pool = torch.cuda.graph_pool_handle()
    loop.replays = Replays(loop.game, loop.schedule, lambda: CudaGraph([loop.game.rng], pool), loop.say)


def _player(role: Role, networks: Networks, config: RunConfig, runtime: Runtime, live: Live) -> Player:
    network = networks.generator if role == "g" else networks.discriminator
    section = config.generator if role == "g" else config.discriminator
    settings = at(section.optimizer, 0)
    parameters, factors = groups_of(
        network, section.lr_factors, settings.rate(), "generator" if role == "g" else "discriminator"
    )
    optimizer = optimizer_of(settings, parameters)
    if runtime.device.type == "cuda":
        keep_on_device(optimizer, runtime.device)
    return Player(
        role=role,
        network=network.train(),
        optimizer=optimizer,
        scaler=runtime.scaler(),
        terms=terms_of(role, live.terms),
        faster=faster_convolutions(network, runtime.device),
        settings=section.optimizer if has_ramps(section.optimizer) else None,
        factors=factors,
    )


def shapes_of(agreed: Plan) -> Shapes:
    """Name of each comparison of the task -> the shape of one sample in it; found on the meta device."""
    config, spec, two = agreed.config, agreed.spec, 2
    generator = Team(agreed.networks("meta").generator, config.nets)
    with torch.device("meta"), torch.no_grad():
        real, z = torch.empty(two, *spec.shape), torch.empty(two, agreed.z_dim)
        cond = spec.labels.mapped(lambda part: torch.empty(two, *part.shape))
        with blame(config.task, "compare"):
            found = config.task.compare(generator, real, cond, Draw(z, cond, {}))
    return {name: tuple(each.real.shape[1:]) for name, each in found.items()}


def memory_format(spec: DataSpec) -> torch.memory_format:
    """Convolutions are fastest with the channels last; points have none."""
    return torch.channels_last if spec.is_image else torch.contiguous_format
