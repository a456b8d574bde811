"""The sections of a run file that belong to the engine, not to a plugin."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ganforge.api import Optimizer, ScheduledInt

Diagnosis = Literal[
    "non_finite", "discriminator_overpowers", "mode_collapse", "vanishing_generator_gradient", "oscillation"
]
"""What the sentinel can find."""

Residence = Literal["auto", "resident", "streamed"]


class Section(BaseModel):
    """A table of a run file: frozen, unknown keys refused, no silent conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Train(Section):
    """How long, how fast and on what."""

    images: int = Field(1_000_000, ge=1, description="Length of the run: real images shown, in total.")
    batch_size: int = Field(
        64, ge=1, description="Images in one update, over all processes and accumulation steps."
    )
    accumulate: int = Field(
        1, ge=1, description="Micro-batches in one update, to save memory; 1 = the whole batch at once."
    )
    d_updates: int = Field(1, ge=1, description="Updates of the discriminator in one iteration.")
    g_updates: int = Field(1, ge=1, description="Updates of the generator in one iteration.")
    fakes: Literal["fresh", "reused"] = Field(
        "fresh",
        description="What the generator's update learns from: fresh = samples of its own, as in the papers' "
        "algorithms; reused = those that the discriminator has just seen, as in many scripts: the same "
        "algorithm with fewer random numbers, and a forward pass of the generator less; one update of each "
        "player in an iteration only.",
    )
    precision: Literal["no", "bf16", "fp16"] = Field(
        "no", description="Arithmetic of the networks: no = float32, or mixed with bfloat16 or float16."
    )
    float32: Literal["default", "fast"] = Field(
        "default",
        description="What float32 numbers are rounded to before they are multiplied: default = nothing, but "
        "TF32 in a GPU's convolutions, as torch does it; fast = TF32 in matrix products as well, and on a "
        "CPU that multiplies bfloat16 (AMX) that, in matrix products and forward convolutions. Sums stay "
        "float32. Reaches the penalties, which `precision` does not; metrics are computed without.",
    )
    cuda_graphs: Literal["off", "auto"] = Field(
        "auto",
        description="auto = on a GPU, in a run of one process, each kind of update is recorded as a CUDA "
        "graph and replayed (2 to 9 times as fast at small batches), unless a comparison with the plain "
        "update fails; off = updates are launched operation by operation.",
    )
    deterministic: bool = Field(
        False,
        description="On a GPU, use only kernels that give the same result every time, so that a resumed run "
        "is exact, at some cost in speed; false = the fastest kernels. Runs on a CPU are always exact.",
    )
    compile: Literal["off", "auto", "on"] = Field(
        "off",
        description="Compiles the networks (torch.compile), which takes a minute or two: on = from the first "
        "iteration; auto = both ways are timed in the first 46 iterations, and the faster one stays; off = "
        "not. Compiled, results differ in the last bits; with auto they depend on the timing.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto = a CUDA device where there is one, else the CPU."
    )
    seed: int = Field(0, ge=0, description="Of weights, latents, and the order of the data.")
    clip_grad_norm: float = Field(
        0.0, ge=0, description="Largest norm of a player's gradient, over all its weights; 0 = off."
    )
    sync_batchnorm: bool = Field(
        False,
        description="With several processes, BatchNorm looks at the samples of all of them (CUDA only; not "
        "in a discriminator with a gradient penalty); false = at each process's own.",
    )
    timeout_s: float = Field(
        600.0,
        gt=0,
        description="With several processes, the longest that one waits for another, in seconds; then the "
        "run ends. Must exceed what one needs longer than another to load its data.",
    )
    resume: Literal["never", "auto"] = Field(
        "never",
        description="What 'ganforge run' does where the run folder is there already: never = refuses, auto = "
        "continues the run in it, or starts it anew where it never came to a checkpoint.",
    )
    data: Residence = Field(
        "auto",
        description="Where the images live: resident = all of them on the device, or on the CPU where the "
        "data set has them; streamed = on disk or in main memory, read a few batches ahead; auto = streamed "
        "where they are too large for the device or, mapped from a file, for half of the free memory. The "
        "batches are the same.",
    )


class Player(Section):
    """`[generator]` or `[discriminator]`."""

    optimizer: Optimizer = Field(description="The player's optimizer.")
    lr_factors: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {},
        description="Beginning of parameter names -> factor on their learning rate, such as "
        "{mapping = 0.01}; the longest that fits counts.",
    )


class LearningRate(Section):
    """A factor on both players' learning rates, by images seen."""

    warmup_images: int = Field(0, ge=0, description="Images over which the rate rises from 0; 0 = off.")
    decay: Literal["none", "linear", "cosine"] = Field(
        "none", description="How the rate falls from `decay_from` to the end of the run."
    )
    decay_from: int = Field(0, ge=0, description="Images seen when the decay sets in.")
    floor: float = Field(0.0, ge=0, le=1, description="Factor that is left at the end of the decay.")


class Ema(Section):
    """The moving average of the generator's weights, which is what gets sampled."""

    halflife: ScheduledInt = Field(
        10_000, ge=0, description="Images after which an old weight counts half; 0 = off, sample G itself."
    )
    rampup: float = Field(
        0.05,
        ge=0,
        description="The half-life is at most this share of the images seen, so that a young run is "
        "not held back by its random start; 0 = off.",
    )


class Logging(Section):
    """What is written down, and how often (in images seen)."""

    every: int = Field(2_000, ge=1, description="Images between two rows of metrics.jsonl.")
    grid_every: int = Field(20_000, ge=0, description="Images between two sample grids; 0 = off.")
    grid_samples: int = Field(32, ge=1, le=1024, description="Samples in a grid, 8 a row.")
    checkpoint_every: int = Field(50_000, ge=1, description="Images between two checkpoints.")
    keep_checkpoints: int = Field(2, ge=1, description="Checkpoints kept; the oldest goes first.")
    keep_best: str = Field(
        "",
        description="Value of a metric, such as condition_accuracy: the checkpoint where it was best is kept "
        "too, and written as soon as it is reached; empty = off.",
    )
    best_is: Literal["highest", "lowest"] = Field("highest", description="Which `keep_best` is the best.")


class Health(Section):
    """What is done about a run that goes wrong; looked at with each row of the log."""

    policy: Literal["off", "warn", "stop", "rollback"] = Field(
        "warn",
        description="off = nothing is watched; warn = said and written down; stop = the run ends, with "
        "exit code 3; rollback = back to the last healthy checkpoint, with other random numbers and a lower "
        "learning rate for the player at fault.",
    )
    ignore: tuple[Diagnosis, ...] = Field((), description="Diagnoses that are never made.")
    rollbacks: int = Field(2, ge=0, description="The most rollbacks in a run; then it stops.")
    lr_factor: float = Field(
        0.5,
        gt=0,
        le=1,
        description="On the learning rate of the player at fault, at each rollback; of both players, where "
        "the rollback before changed nothing.",
    )
    patience: int = Field(
        5, ge=2, description="Rows of the log in a row that must show a pattern before it is believed."
    )
    grace: int = Field(
        1_000,
        ge=0,
        description="Iterations at the start during which nothing but non-finite numbers is believed: a "
        "young run swings, and its samples are all alike.",
    )
    samples: int = Field(
        64, ge=0, le=1024, description="Samples whose variety is measured with each row; 0 = off."
    )


class Wandb(Section):
    """The mirror of the local record at Weights & Biases."""

    mode: Literal["offline", "online", "disabled"] = Field(
        "offline", description="offline needs no account and can be uploaded later with 'wandb sync'."
    )
    project: str = Field("ganforge", min_length=1, description="W&B project.")
    entity: str = Field("", description="W&B team or user; empty = your default.")
    name: str = Field("", description="Name of the run at W&B; empty = the run folder's.")
    tags: tuple[str, ...] = Field((), description="W&B tags.")
