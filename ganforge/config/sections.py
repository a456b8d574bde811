"""The sections of a run file that belong to the engine, not to a plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
    model_validator,
)

from ganforge import hub
from ganforge.api import AbsolutePath, Optimizer, ScheduledInt

Diagnosis = Literal[
    "non_finite",
    "discriminator_overpowers",
    "mode_collapse",
    "vanishing_generator_gradient",
    "oscillation",
    "standing_still",
]
"""The sentinel's diagnoses."""

Placement = Literal["auto", "resident", "streamed"]


class Section(BaseModel):
    """A table of a run file: frozen, unknown keys refused, no implicit type conversion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Train(Section):
    """Length, batch size, precision and device of training."""

    images: int = Field(
        1_000_000, ge=1, description="Length of the run: total number of real images shown to D."
    )
    batch_size: int = Field(
        64, ge=1, description="Images per update, over all processes and accumulation steps."
    )
    accumulate: int = Field(
        1, ge=1, description="Micro-batches per update, to save memory; 1 = the whole batch at once."
    )
    d_updates: int = Field(1, ge=1, description="Updates of the discriminator per iteration.")
    g_updates: int = Field(1, ge=1, description="Updates of the generator per iteration.")
    fakes: Literal["fresh", "reused"] = Field(
        "fresh",
        description="Fakes for the generator's update: fresh = new samples, as in the papers' algorithms; "
        "reused = those the discriminator has just seen, as in many scripts: saves one forward pass of G "
        "per iteration and draws fewer random numbers; requires one update of each player per iteration.",
    )
    precision: Literal["no", "bf16", "fp16"] = Field(
        "no", description="Mixed precision of the networks: no = float32, or autocast to bfloat16 or float16."
    )
    float32: Literal["default", "fast"] = Field(
        "default",
        description="Rounding of float32 factors: default = none, except TF32 in a GPU's convolutions, as in "
        "torch; fast = TF32 in matrix products as well, and on a CPU with bfloat16 units (AMX) bfloat16 in "
        "matrix products and forward convolutions. Sums stay float32. Also applies to penalties, which "
        "`precision` does not; metrics are computed without.",
    )
    cuda_graphs: Literal["off", "auto"] = Field(
        "auto",
        description="auto = on a GPU, in a single-process run, each kind of update is captured as a CUDA "
        "graph and replayed (2 to 9 times as fast at small batches), unless a comparison with the eager "
        "update fails; off = operations are launched one by one.",
    )
    deterministic: bool = Field(
        False,
        description="On a GPU, use only deterministic kernels, so that a resumed run is exact, at some cost "
        "in speed; false = the fastest kernels. Runs on a CPU are always exact.",
    )
    compile: Literal["off", "auto", "on"] = Field(
        "off",
        description="Compile the networks (torch.compile), which takes a minute or two: on = from the first "
        "iteration; auto = time both modes in the first 46 iterations, and keep the faster one; off = never. "
        "Compiled results differ in the last bits; with auto they depend on the timing.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto = CUDA if available, otherwise the CPU."
    )
    seed: int = Field(0, ge=0, description="Seed of weights, latents and data order.")
    clip_grad_norm: float = Field(
        0.0, ge=0, description="Maximum norm of a player's gradient, over all its weights; 0 = off."
    )
    sync_batchnorm: bool = Field(
        False,
        description="With several processes, compute BatchNorm statistics over all of them (CUDA only; not "
        "in a discriminator with a gradient penalty); false = in each process separately.",
    )
    timeout_s: float = Field(
        600.0,
        gt=0,
        description="With several processes, the maximum time to wait for another, in seconds; then the run "
        "ends. Must exceed the differences in how long processes take to load their data.",
    )
    silence: tuple[str, ...] = Field(
        (),
        description="Advice of 'ganforge check' that is not to be shown, by its keys, such as "
        '"gradient_penalty.batch_norm".',
    )
    resume: Literal["never", "auto"] = Field(
        "never",
        description="If the run folder already exists: never = 'ganforge run' refuses, auto = it resumes the "
        "run in it. A run that never reached a checkpoint is restarted either way.",
    )
    placement: Placement = Field(
        "auto",
        description="Where the images are kept: resident = all on the device, or, on the CPU, where the data "
        "set has them; streamed = on disk or in RAM, prefetched a few batches ahead; auto = streamed if the "
        "images exceed the GPU's free memory, or (for memory-mapped files) half of the free RAM. The batches "
        "are the same.",
    )


class _Freeze(Section):
    freeze: tuple[str, ...] = Field(
        (),
        description="Beginnings of parameter names that keep their first values, such as "
        "'discriminator.blocks.0' (FreezeD: the layers of the discriminator that see the image first).",
    )


def _path_or_repository(value: Any, path: ValidatorFunctionWrapHandler) -> Path | str:
    """The absolute path; what names a repository of the Hub stays as it is written."""
    if isinstance(value, str) and value.startswith(hub.SCHEME):
        hub.split(value)
        return value
    found: Path = path(value)
    return found


# `from` is a word of Python's, so the field cannot be written in a class.
_FROM: dict[str, Any] = {
    "from": (
        Annotated[AbsolutePath, WrapValidator(_path_or_repository)] | None,
        Field(
            None,
            description="Run folder whose newest checkpoint gives the first weights, or a folder with "
            "generator.safetensors, discriminator.safetensors, or both; or either of them on the Hugging "
            "Face Hub, hf://owner/name: what fits by name and shape is taken, the rest is listed.",
        ),
    )
}


class Init(create_model("_From", __base__=_Freeze, **_FROM)):  # type: ignore[misc]
    """Where the networks start, and what of them does not learn."""

    @property
    def source(self) -> Path | str | None:
        """The folder in `from`, or its name on the Hub."""
        found: Path | str | None = getattr(self, "from")
        return found


class PlayerConfig(Section):
    """`[generator]` or `[discriminator]`."""

    optimizer: Optimizer = Field(description="The player's optimizer.")
    lr_factors: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {},
        description="Prefix of parameter names -> factor on their learning rate, such as "
        "{mapping = 0.01}; the longest matching prefix applies.",
    )


class LearningRate(Section):
    """A factor on both players' learning rates, by images seen."""

    warmup_images: int = Field(0, ge=0, description="Images of linear warm-up from 0; 0 = off.")
    decay: Literal["none", "linear", "cosine"] = Field(
        "none", description="Decay from `decay_from` to the end of the run."
    )
    decay_from: int = Field(0, ge=0, description="Images seen when the decay starts.")
    floor: float = Field(0.0, ge=0, le=1, description="Factor at the end of the decay.")


class Ema(Section):
    """The moving average of the generator's weights, which is used for sampling."""

    halflife: ScheduledInt = Field(
        10_000, ge=0, description="Half-life in images; 0 = off, sample from G itself."
    )
    rampup: float = Field(
        0.05,
        ge=0,
        description="Limits the half-life to this share of the images seen, so that early averages forget "
        "the random initialization; 0 = off.",
    )
    also: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (),
        description="Half-lives of more averages, in images: kept in every checkpoint, and compared "
        "afterwards by --network ema-HALFLIFE of 'evaluate' and 'sample'.",
    )

    @model_validator(mode="after")
    def _check_also(self) -> Self:
        if self.also and not self.halflife:
            raise ValueError("also: needs a halflife, the average that is sampled from")
        if len({self.halflife, *self.also}) <= len(self.also):
            raise ValueError("also: expected half-lives that differ from each other and from halflife")
        return self


class Logging(Section):
    """What is logged, and how often (in images seen)."""

    every: int = Field(2_000, ge=1, description="Images between two rows of metrics.jsonl.")
    grid_every: int = Field(20_000, ge=0, description="Images between two sample grids; 0 = off.")
    grid_samples: int = Field(32, ge=1, le=1024, description="Samples per grid, 8 per row.")
    checkpoint_every: int = Field(50_000, ge=1, description="Images between two checkpoints.")
    keep_checkpoints: int = Field(2, ge=1, description="Checkpoints to keep; the oldest is deleted first.")
    keep_best: str = Field(
        "",
        description="Name of a metric value, such as condition_accuracy: the checkpoint where it was best is "
        "also kept, and written as soon as it is reached; empty = off.",
    )
    best_is: Literal["highest", "lowest"] = Field(
        "highest", description="Whether the highest or the lowest `keep_best` is best."
    )


class Health(Section):
    """What to do when training fails; evaluated at each row of the log."""

    policy: Literal["off", "warn", "stop", "rollback"] = Field(
        "warn",
        description="off = no monitoring; warn = print and record findings; stop = end the run with exit "
        "code 3; rollback = return to the last healthy checkpoint, with new random numbers and a lower "
        "learning rate for the player at fault.",
    )
    ignore: tuple[Diagnosis, ...] = Field((), description="Diagnoses to ignore.")
    rollbacks: int = Field(2, ge=0, description="Maximum rollbacks in a run; then it stops.")
    lr_factor: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Factor on the learning rate of the player at fault, per rollback; of both players if "
        "the previous rollback changed nothing.",
    )
    patience: int = Field(
        5, ge=2, description="Consecutive rows of the log that must show a pattern before it is reported."
    )
    grace: int = Field(
        1_000,
        ge=0,
        description="Iterations at the start in which only non-finite values are reported: early in "
        "training, scores swing and samples are all alike.",
    )
    samples: int = Field(
        64, ge=0, le=1024, description="Samples whose diversity is measured at each row; 0 = off."
    )


class Wandb(Section):
    """The mirror of the local record on Weights & Biases."""

    mode: Literal["offline", "online", "disabled"] = Field(
        "offline", description="offline needs no account and can be uploaded later with 'wandb sync'."
    )
    project: str = Field("ganforge", min_length=1, description="W&B project.")
    entity: str = Field("", description="W&B team or user; empty = your default.")
    name: str = Field("", description="W&B run name; empty = that of the run folder.")
    tags: tuple[str, ...] = Field((), description="W&B tags.")
