"""The shards of a data set: every sample once an epoch, whoever reads it, and exactly after a resume."""

from __future__ import annotations

import functools
import http.server
import io
import tarfile
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ganforge.api import Stored, UserError, hookimpl
from ganforge.components.registry import Plugin, Registry
from ganforge.engine.data.batches import Batches
from ganforge.testing import outcomes
from support.contexts import context, opened
from support.shards import CLASSES, scenes, seen, write_shards
from support.toys import Squares, toy_registry

pytest.importorskip("webdataset")

from ganforge_webdataset import WebDataset
from ganforge_webdataset.shards import OPEN

LENGTHS = [5, 7, 4, 6, 5, 3, 6, 4]
TOTAL = sum(LENGTHS)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    write_shards(tmp_path, LENGTHS)
    return tmp_path


def dataset(shards: Path, **keys: Any) -> WebDataset:
    return WebDataset(shards=str(shards / "{000..007}.tar"), image_size=16, classes=CLASSES, **keys)


def batches_of(dataset: WebDataset, folder: Path, rank: int = 0, world: int = 1) -> Batches:
    return Batches(opened(dataset, folder), 8, 3, torch.device("cpu"), rank, world)


def test_images_and_labels_are_those_of_the_files(shards: Path) -> None:
    found = opened(dataset(shards), shards)
    images, classes = scenes(TOTAL)
    assert isinstance(found.images, Stored)
    assert torch.equal(found.images[:], images)
    assert torch.equal(found.images[torch.tensor([30, 2, 2])], images[[30, 2, 2]])
    assert found.labels is not None and found.labels.argmax(1).tolist() == classes


def test_an_epoch_has_each_sample_once_and_few_shards_in_use(shards: Path) -> None:
    batches = batches_of(dataset(shards), shards)
    whole = [batches.at(index) for index in range(TOTAL // 8)]
    everything = seen([batch.real for batch in whole])
    images, _ = scenes(TOTAL)
    assert sorted(everything) == sorted(row.numpy().tobytes() for row in images)
    # Shuffled within a window of four shards: the first batch has samples of no others.
    owners = torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS))
    first = [set(owners[batches.indices(index)].tolist()) for index in range(2)]
    assert len(first[0] | first[1]) <= 4 < len(set(owners.tolist()))
    assert batches.indices(0).tolist() != sorted(batches.indices(0).tolist())


def test_two_processes_see_disjoint_data_that_together_are_all(shards: Path) -> None:
    one, two = (batches_of(dataset(shards), shards, rank, 2) for rank in range(2))
    shares = [seen([each.at(index).real for index in range(TOTAL // 8)]) for each in (one, two)]
    assert not set(shares[0]) & set(shares[1])
    assert len(shares[0]) == len(shares[1]) == TOTAL // 2
    alone = batches_of(dataset(shards), shards)
    assert sorted(shares[0] + shares[1]) == sorted(seen([alone.at(i).real for i in range(TOTAL // 8)]))


def test_a_run_goes_on_in_the_middle_of_a_shard(shards: Path) -> None:
    whole = batches_of(dataset(shards), shards)
    expected = [whole.at(index) for index in range(12)]
    again = batches_of(dataset(shards), shards)
    for index in range(7, 12):
        found = again.at(index)
        assert torch.equal(found.real, expected[index].real)
        assert torch.equal(found.cond, expected[index].cond)  # type: ignore[arg-type]


class Quiet(http.server.SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, *arguments: object) -> None:
        self.asked.append(self.path)


@pytest.fixture
def server(shards: Path) -> Iterator[str]:
    Quiet.asked = []
    handler = functools.partial(Quiet, directory=str(shards))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def test_remote_shards_occupy_a_bounded_part_of_the_disk(tmp_path: Path, server: str) -> None:
    lengths = [2] * (OPEN + 6)
    images = write_shards(tmp_path, lengths)
    urls = f"{server}/{{000..{len(lengths) - 1:03}}}.tar"
    remote = WebDataset(shards=urls, image_size=16)
    cache = tmp_path / "cache"
    found = opened(remote, cache)
    assert isinstance(found.images, Stored)
    assert list((cache / "webdataset").glob("*.tar")) == []
    assert torch.equal(found.images[:], images)
    assert len(list((cache / "webdataset").glob("*.tar"))) <= OPEN < len(lengths)
    before = len(Quiet.asked)
    opened(remote, cache)
    assert len(Quiet.asked) == before  # the index is kept
    with pytest.raises(
        UserError, match=r"^http://127.0.0.1:\d+/none.tar: HTTP Error 404: .*; check data.shards and"
    ):
        WebDataset(shards=f"{server}/none.tar").build("train", context(cache))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"image": ("gif",)}, "{0}/000.tar: no member ends in .gif; set data.image to the extension"),
        ({"label": "txt"}, "{0}/000.tar: sample '000000' has no .txt; add it, or change data.label"),
        (
            {"classes": ("red",)},
            "{0}/000.tar: sample '000001' has the label '{1}', which is not one of data.classes (red); add it",
        ),
        ({"shards": "{0}/x.tar"}, "{0}/x.tar: not a readable tar file: [Errno 2] No such file or directory: '{0}/x.tar'; make the shard again"),
    ],
)  # fmt: skip
def test_mistakes_are_explained(shards: Path, keys: dict[str, Any], message: str) -> None:
    keys = {key: value.format(shards) if isinstance(value, str) else value for key, value in keys.items()}
    document = {"shards": str(shards / "{000..007}.tar"), "image_size": 16, "classes": CLASSES, **keys}
    _, classes = scenes(TOTAL)
    with pytest.raises(UserError) as caught:
        WebDataset(**document).build("train", context(shards))
    other = next(each for each in classes if each)
    first = classes.index(other)
    expected = message.replace("000001", f"{first:06}").format(shards, other)
    assert str(caught.value) == expected


def test_a_damaged_image_is_named(shards: Path) -> None:
    with tarfile.open(shards / "000.tar") as tar:
        place = tar.getmember("000003.png").offset_data
    with (shards / "000.tar").open("r+b") as file:
        file.seek(place)
        file.write(b"\0" * 40)
    images = dataset(shards).build("train", context(shards)).images
    with pytest.raises(UserError, match=rf"^{shards}/000.tar: 000003: not a readable image: "):
        images[torch.tensor([3])]


def test_commands_in_place_of_shards_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a path or a URL of http or https, got 'pipe:cat x.tar'"):
        WebDataset(shards="pipe:cat x.tar")


def test_it_keeps_the_contract(shards: Path) -> None:
    class Module:
        @hookimpl
        def ganforge_components(self) -> list[Any]:
            return [WebDataset, Squares]

    registry = toy_registry()
    example = {"data": {"type": "webdataset", "shards": str(shards / "{000..007}.tar"), "image_size": 16}}
    found = list(outcomes(WebDataset, registry, example))
    assert [str(each) for each in found if each.verdict != "kept"] == []
    assert Registry.from_modules([(Plugin("x"), Module())]).broken == ()


@pytest.mark.real_data
def test_two_processes_cover_the_real_images_once(tmp_path: Path, real_data: Path) -> None:
    count, names = 240, []
    with zipfile.ZipFile(real_data / "iclevr" / "images.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))[:count]
        for shard in range(6):
            with tarfile.open(tmp_path / f"{shard:03}.tar", "w") as tar:
                for name in names[40 * shard : 40 * shard + 40]:
                    content = archive.read(name)
                    member = tarfile.TarInfo(Path(name).name)
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    real = WebDataset(shards=str(tmp_path / "{000..005}.tar"), image_size=64)
    images = real.build("train", context(tmp_path)).images
    whole = Counter(row.numpy().tobytes() for row in images[:])
    parts = [Batches(opened(real, tmp_path), 24, 1, torch.device("cpu"), rank, 2) for rank in range(2)]
    shares = [[int(i) for index in range(10) for i in each.indices(index)] for each in parts]
    assert sorted(shares[0] + shares[1]) == list(range(count))
    found = Counter(seen([each.at(index).real for each in parts for index in range(10)]))
    assert found == whole
