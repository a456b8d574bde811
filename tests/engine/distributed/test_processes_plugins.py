"""Runs of two real processes (`--processes 2`, gloo) on sharded tar files and on a data set of Hugging Face:
what each process trains on, a stop in the middle of a shard, and the weights of one process."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from support.distributions import install, install_ours
from support.paths import python_path
from support.shards import png, scenes
from support.two_processes_run import GANFORGE, PATIENCE_S, environment, start

LENGTHS = (5, 7, 4, 6, 5, 3, 6, 4)
TOTAL = sum(LENGTHS)
BATCH = 8
BATCHES = 2 * TOTAL // BATCH
"""Two epochs."""
LAST = 3
"""The batch in which the run is stopped, in the middle of the first epoch."""
RUN_FILE = """
[data]
{data}
image_size = 16
[prior]
type = "normal"
dim = 4
[nets]
type = "mlp"
g_hidden = [8]
d_hidden = [8]
[generator.optimizer]
type = "sgd"
lr = 0.1
[discriminator.optimizer]
type = "sgd"
lr = 0.1
[train]
images = {images}
batch_size = {batch}
device = "cpu"
timeout_s = 60.0
[logging]
every = 40
grid_every = 0
checkpoint_every = 1000
[wandb]
mode = "disabled"
"""


class Ran(NamedTuple):
    code: int
    shares: list[dict[int, list[str]]]
    """Of each process: batch -> its images, by hash."""
    weights: dict[str, Tensor]


def drawn() -> list[bytes]:
    return [png(image) for image in scenes(TOTAL)[0]]


def real(folder: Path) -> list[bytes]:
    with zipfile.ZipFile(folder / "iclevr" / "images.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))[:TOTAL]
        return [archive.read(name) for name in names]


def as_shards(images: list[bytes], folder: Path) -> str:
    rest = iter(enumerate(images))
    for shard, length in enumerate(LENGTHS):
        with tarfile.open(folder / f"{shard:03}.tar", "w") as tar:
            for row, content in (next(rest) for _ in range(length)):
                member = tarfile.TarInfo(f"{row:06}.png")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return f'type = "webdataset"\nshards = "{folder}/{{000..{len(LENGTHS) - 1:03}}}.tar"'


def as_rows(images: list[bytes], folder: Path) -> str:
    datasets = pytest.importorskip("datasets")
    rows = {"image": [Image.open(io.BytesIO(content)) for content in images]}
    features = datasets.Features({"image": datasets.Image()})
    dataset = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": dataset}).save_to_disk(folder / "rows")
    return f'type = "huggingface"\npath = "{folder}/rows"'


def run(folder: Path, name: str, *command: object, stop_at: str = "", processes: int = 2) -> Ran:
    """The run `name`, and what its processes have recorded so far."""
    records = folder / f"{name}_records"
    records.mkdir(exist_ok=True)
    path = os.pathsep.join((str(folder / "site"), python_path()))
    env = environment(PYTHONPATH=path, RECORD=str(records), STOP_AT=stop_at)
    started = start(*GANFORGE, *command, "--processes", processes, "-q", cwd=folder, env=env)
    code = started.wait(4 * PATIENCE_S)
    assert code in (0, 75), (folder / "err.txt").read_text()[-3000:]
    shares = []
    for rank in range(processes):
        lines = (records / f"{rank}.jsonl").read_text().splitlines()
        shares.append({line["batch"]: line["images"] for line in map(json.loads, lines)})
    newest = max((folder / name / "checkpoints").glob("0*"))
    weights = {
        f"{file.stem}.{key}": value
        for file in sorted(newest.glob("*.safetensors"))
        for key, value in load_file(file).items()
    }
    return Ran(code, shares, weights)


def epoch(ran: Ran, number: int) -> list[str]:
    """Every image that a process trained on in an epoch."""
    half = BATCHES // 2
    wanted = range(number * half, (number + 1) * half)
    return [image for share in ran.shares for index in wanted for image in share[index]]


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Of the weights of both networks, relative to the norm of `one`."""
    names = [name for name in one if name.startswith("network_")]
    assert names
    flat = [torch.cat([each[name].double().flatten() for name in names]) for each in (one, other)]
    return float((flat[0] - flat[1]).norm() / flat[0].norm())


def written(folder: Path, name: str, images: list[bytes]) -> Path:
    """The run file of a run on these images, in the form that plugin `name` reads."""
    pytest.importorskip("webdataset" if name == "ganforge-webdataset" else "datasets")
    install_ours(folder / "site", name)
    install(folder / "site", "recording", "0", {"recording": "support.recording_plugin"})
    data = (as_shards if name == "ganforge-webdataset" else as_rows)(images, folder)
    file = folder / "two.toml"
    file.write_text(RUN_FILE.format(data=data, images=BATCHES * BATCH, batch=BATCH))
    return file


def check_each_epoch_is_shared(whole: Ran) -> None:
    every = set(epoch(whole, 0))
    for number in (0, 1):
        assert len(epoch(whole, number)) == len(every) == TOTAL
        assert set(epoch(whole, number)) == every
    one, two = (set(image for i in range(BATCHES // 2) for image in share[i]) for share in whole.shares)
    assert len(one) == len(two) == TOTAL // 2 and not one & two


PLUGINS = ("ganforge-webdataset", "ganforge-huggingface")


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize("name", PLUGINS)
def test_two_processes_share_real_images_and_resume_in_mid_shard(
    tmp_path: Path, real_data: Path, name: str
) -> None:
    file = written(tmp_path, name, real(real_data))
    whole = run(tmp_path, "whole", "run", file, "--out", "whole")
    assert whole.code == 0
    check_each_epoch_is_shared(whole)
    stopped = run(tmp_path, "parts", "run", file, "--out", "parts", stop_at=str(LAST))
    assert stopped.code == 75
    assert [max(share) for share in stopped.shares] == [LAST, LAST]
    resumed = run(tmp_path, "parts", "resume", "parts")
    assert resumed.code == 0
    assert resumed.shares == whole.shares
    assert resumed.weights.keys() == whole.weights.keys()
    assert [key for key, value in whole.weights.items() if not torch.equal(value, resumed.weights[key])] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", PLUGINS)
def test_two_processes_learn_what_one_does(tmp_path: Path, name: str) -> None:
    file = written(tmp_path, name, drawn())
    whole = run(tmp_path, "whole", "run", file, "--out", "whole")
    check_each_epoch_is_shared(whole)
    alone = run(tmp_path, "alone", "run", file, "--out", "alone", processes=1)
    together = [[image for share in whole.shares for image in share[index]] for index in range(BATCHES)]
    assert [alone.shares[0][index] for index in range(BATCHES)] == together
    # The same gradients, summed in another order; another seed's weights are more than 1e-3 away.
    assert distance(alone.weights, whole.weights) < 1e-5
