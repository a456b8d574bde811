"""The Python API in a real Jupyter kernel: its progress, its pictures, its tables."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from support.command_line import EXAMPLE

nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")
pytestmark = pytest.mark.slow

TRAIN = f"""
import ganforge
tiny = {{"data.scenes": 4, "data.image_size": 16, "nets.width": 8, "train.images": 96, "train.batch_size": 32,
        "train.device": "cpu", "logging.every": 32, "logging.grid_every": 96, "wandb.mode": "disabled"}}
run = ganforge.train({str(EXAMPLE)!r}, out="mine", **tiny)
run
"""
CELLS = (TRAIN, 'run.sample("red cube", n=4, seed=7)', "run.metrics", 'run.sample("red cub")')


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The cells with what they have printed."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in CELLS])
    place = {"metadata": {"path": str(tmp_path_factory.mktemp("book"))}}
    nbclient.NotebookClient(book, timeout=600, resources=place, allow_errors=True).execute()
    return list(book.cells)


def data(cell: Any) -> dict[str, str]:
    """What its last line gave, by type."""
    (found,) = [each.data for each in cell.outputs if each.output_type == "execute_result"]
    return dict(found)


def test_training_shows_one_bar_that_is_updated_in_place(cells: list[Any]) -> None:
    text = "".join(each.text for each in cells[0].outputs if each.output_type == "stream")
    lines = [line.split("\r")[-1] for line in text.strip().split("\n")]
    bars = [line for line in lines if "%|" in line]
    assert len(bars) == 1 and "96/96 images" in bars[0] and "loss_g" in bars[0]
    assert "\x1b" not in text and "Warning" not in text and "IProgress" not in text
    assert "<img alt=" in data(cells[0])["text/html"]


def test_samples_are_a_picture(cells: list[Any]) -> None:
    with Image.open(io.BytesIO(base64.b64decode(data(cells[1])["image/png"]))) as picture:
        assert picture.width >= 4 * 16 and picture.height >= 16


def test_metrics_are_a_table(cells: list[Any]) -> None:
    pytest.importorskip("pandas")
    table = data(cells[2])["text/html"]
    assert table.count("<tr") >= 4 and "loss/g" in table and "images_seen" in table


def test_a_mistake_is_named_at_the_end(cells: list[Any]) -> None:
    (error,) = cells[3].outputs
    assert error.ename == "UserError" and error.evalue.startswith(
        "unknown label 'red cub'; nearest: red cube"
    )
