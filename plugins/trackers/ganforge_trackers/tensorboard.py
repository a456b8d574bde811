"""TensorBoard."""

from __future__ import annotations

from typing import ClassVar, Literal

from ganforge.api import Field, Tracker


class TensorBoard(Tracker):
    """Records the run as event files for TensorBoard: scalars, grids, events and the settings.

    No account and no server: `tensorboard --logdir runs` shows all runs below a folder. What a resumed or
    rolled back run repeats replaces what was recorded before. Needs `pip install 'ganforge[tensorboard]'`.
    """

    source: ClassVar[str] = "https://www.tensorflow.org/tensorboard"
    sink: ClassVar[str] = "ganforge_trackers.tensorboard_sink:TensorBoardSink"
    title: ClassVar[str] = "TensorBoard"
    package: ClassVar[str] = "tensorboard"

    type: Literal["tensorboard"] = "tensorboard"
    images: bool = Field(True, description="Whether grids are recorded as well.")
