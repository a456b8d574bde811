"""The contract between ganforge and its plugins: the only part a plugin may import.

Shapes, here and everywhere: `N` batch, `C` channels, `H W` pixels, `K` classes or
attributes, `M` samples in a data set. Images are in [-1, 1] inside, uint8 at rest.
"""

from __future__ import annotations

from pydantic import Field

from ganforge.api.advice import Advice, RunView, batch_norms, has_spectral_norm
from ganforge.api.component import Component, Shapes, memory
from ganforge.api.data import Context, Dataset, DataSpec, LabelKind, LabelSpec, Samples, Split, Track
from ganforge.api.digest import file_sha256
from ganforge.api.errors import UserError, did_you_mean, nearest
from ganforge.api.hooks import API_VERSION, GROUP, hookimpl
from ganforge.api.image_dataset import ImageDataset
from ganforge.api.losses import Loss, Share, Term
from ganforge.api.nets import Architecture, Code, Draw, Networks, Prior, Verdict
from ganforge.api.paths import AbsolutePath
from ganforge.api.play import Critic, Play, Role
from ganforge.api.schedule import Ramp, Scheduled, ScheduledInt
from ganforge.api.stored import Images, Stored, in_memory
from ganforge.api.stream import Stream, rows
from ganforge.api.survey import LabelWish, Survey
from ganforge.api.task import Comparison, Side, Task
from ganforge.api.tracking import Sink, TrackedRun, Tracker
from ganforge.api.training import Callback, Metric, Optimizer, Parameters, Sampler
from ganforge.api.tree import Tree, leaves, length, mapped, per_sample, taken, total
from ganforge.api.wav import write_wav
from ganforge.api.whole_batch import WholeBatch

KINDS: dict[str, type[Component]] = {
    kind.kind: kind
    for kind in (Dataset, Prior, Architecture, Task, Loss, Term, Optimizer, Callback, Metric, Tracker)
}
"""Every kind of component, by the section of a run file that names it."""

__all__ = [
    "API_VERSION",
    "GROUP",
    "KINDS",
    "AbsolutePath",
    "Advice",
    "Architecture",
    "Callback",
    "Code",
    "Comparison",
    "Component",
    "Context",
    "Critic",
    "DataSpec",
    "Dataset",
    "Draw",
    "Field",
    "ImageDataset",
    "Images",
    "LabelKind",
    "LabelSpec",
    "LabelWish",
    "Loss",
    "Metric",
    "Networks",
    "Optimizer",
    "Parameters",
    "Play",
    "Prior",
    "Ramp",
    "Role",
    "RunView",
    "Sampler",
    "Samples",
    "Scheduled",
    "ScheduledInt",
    "Shapes",
    "Share",
    "Side",
    "Sink",
    "Split",
    "Stored",
    "Stream",
    "Survey",
    "Task",
    "Term",
    "Track",
    "TrackedRun",
    "Tracker",
    "Tree",
    "UserError",
    "Verdict",
    "WholeBatch",
    "batch_norms",
    "did_you_mean",
    "file_sha256",
    "has_spectral_norm",
    "hookimpl",
    "in_memory",
    "leaves",
    "length",
    "mapped",
    "memory",
    "nearest",
    "per_sample",
    "rows",
    "taken",
    "total",
    "write_wav",
]
