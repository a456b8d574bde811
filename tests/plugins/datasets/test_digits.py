"""`mnist`, `fashion_mnist` and `stacked_mnist`, on small files of their form and on the real MNIST."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from ganforge.api import Split
from ganforge_datasets.digits import FILES
from ganforge_datasets.mnist import MNIST, FashionMNIST
from ganforge_datasets.stacked_mnist import StackedMNIST
from support.contexts import opened, refused
from support.digit_files import COUNTS, arrays, files, idx

LIST = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
def test_every_layout_gives_the_same_samples(
    tmp_path: Path, kind: type[MNIST], packed: bool, split: Split
) -> None:
    images, classes = arrays(split)
    for inner in (".", f"{kind.__name__}/raw"):
        files(tmp_path / inner[:1] / inner, packed)
        samples = opened(kind(root=tmp_path / inner[:1]), tmp_path / "cache", split)
        assert samples.images.dtype == torch.uint8 and samples.images.shape == (COUNTS[split], 1, 28, 28)
        assert np.array_equal(samples.images[:, 0].numpy(), images)
        assert samples.labels is not None and samples.labels.dtype == torch.uint8
        assert samples.labels.argmax(1).tolist() == classes.tolist()
        assert samples.labels.sum(1).eq(1).all() and not samples.mirror


def test_size_32_adds_two_black_pixels_on_each_side(tmp_path: Path) -> None:
    samples = opened(MNIST(root=files(tmp_path), image_size=32), tmp_path / "cache")
    assert np.array_equal(samples.images[:, 0, 2:30, 2:30].numpy(), arrays("train")[0])
    assert samples.images.sum(dtype=torch.int64) == arrays("train")[0].sum(dtype=np.int64)


def test_without_labels(tmp_path: Path) -> None:
    assert opened(MNIST(root=files(tmp_path), labelled=False), tmp_path).labels is None
    assert opened(FashionMNIST(root=tmp_path, labelled=False), tmp_path).labels is None


def test_names() -> None:
    from torchvision.datasets import FashionMNIST as Torchvisions

    assert MNIST().spec().labels.names == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    assert FashionMNIST().spec().labels.names == tuple(Torchvisions.classes)


def test_no_root_is_explained(tmp_path: Path) -> None:
    assert refused(MNIST(), tmp_path) == (
        f"data 'mnist' needs its files: set data.root to a folder with {LIST} (plain or .gz), "
        "or set data.download = true to fetch them"
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (files(tmp_path) / "train-labels-idx1-ubyte").unlink()
    assert refused(FashionMNIST(root=tmp_path), tmp_path) == (
        f"{tmp_path} holds neither train-labels-idx1-ubyte nor train-labels-idx1-ubyte.gz; "
        f"put the four files of FashionMNIST there ({LIST}; plain or .gz)"
    )


IMAGES, LABELS = arrays("train")
BROKEN = {
    "text": (
        "images",
        b"hello world, hello world",
        " is not an IDX file of 3 dimensions of bytes: it starts with 68656c6c, not 00000803",
    ),
    "empty": (
        "labels",
        b"",
        " is not an IDX file of 1 dimension of bytes: it starts with nothing, not 00000801",
    ),
    "swapped": (
        "labels",
        idx(IMAGES),
        " is not an IDX file of 1 dimension of bytes: it starts with 00000803, not 00000801",
    ),
    "cut": (
        "images",
        idx(IMAGES)[:-1],
        " should hold 31,360 bytes after its header and has only 31,359; copy it again",
    ),
    "long": (
        "labels",
        idx(LABELS) + b"x",
        " should hold 40 bytes after its header and has more; copy it again",
    ),
    "huge": (
        "images",
        b"\0\0\x08\x03" + b"\xff" * 12,
        " says it holds 79,228,162,458,924,105,385,300,197,375 bytes; more than 1,073,741,824 is refused",
    ),
    "size": ("images", idx(IMAGES[:, :20]), " holds images of 20 x 28, not 28 x 28"),
    "class": ("labels", idx(LABELS + 3), " holds label 12; the labels are 0 to 9"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files(tmp_path: Path, case: str) -> None:
    part, content, message = BROKEN[case]
    path = files(tmp_path) / f"train-{part}-idx{3 if part == 'images' else 1}-ubyte"
    path.write_bytes(content)
    assert refused(MNIST(root=tmp_path), tmp_path) == f"{path}{message}"


def test_unequal_counts(tmp_path: Path) -> None:
    path = files(tmp_path) / "train-labels-idx1-ubyte"
    path.write_bytes(idx(LABELS[:-1]))
    images = tmp_path / "train-images-idx3-ubyte"
    assert refused(MNIST(root=tmp_path), tmp_path) == f"{images} holds 40 images, {path} 39 labels"


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-20], lambda raw: b"x" * 20, lambda raw: raw[:200] + b"x"]
)
def test_a_damaged_gzip(tmp_path: Path, damage: object) -> None:
    path = files(tmp_path, packed=True) / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert refused(MNIST(root=tmp_path), tmp_path) == f"{path} is not a whole gzip file; copy it again"


def test_a_root_is_used_though_a_download_is_allowed(tmp_path: Path) -> None:
    assert str(tmp_path) in refused(MNIST(root=tmp_path, download=True), tmp_path / "cache")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The files of a folder at a local address."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_download_goes_into_the_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = files(tmp_path / "site", packed=True)
    sums = [(f"{name}.gz", hashlib.md5((site / f"{name}.gz").read_bytes()).hexdigest()) for name in FILES]
    monkeypatch.setattr("torchvision.datasets.MNIST.resources", sums)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    said = list[str]()
    with served(site) as address:
        monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [address])
        first = opened(MNIST(download=True), tmp_path / "cache", said=said)
    home = tmp_path / "cache" / "torchvision" / "MNIST"
    assert said == [f"data: fetching MNIST into {home}"]
    assert [path.name for path in home.parent.iterdir()] == ["MNIST"]
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [])
    again = opened(MNIST(download=True), tmp_path / "cache", said=said)
    assert len(said) == 1
    assert torch.equal(first.images, again.images)
    assert np.array_equal(first.images[:, 0].numpy(), IMAGES)


def test_download_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", ["http://127.0.0.1:9/"])
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    message = refused(MNIST(download=True), tmp_path)
    assert message.startswith(
        "could not fetch MNIST: Error downloading train-images-idx3-ubyte.gz: Tried http://127.0.0.1:9/, got: "
    )
    assert message.endswith(
        f"; fetch it where there is a network and set data.root to the folder with {LIST}"
    )
    assert list((tmp_path / "torchvision").iterdir()) == []


@pytest.mark.parametrize(("split", "size"), [("train", 28), ("test", 32)])
def test_stacks_are_of_three_digits_and_their_mode_is_the_number_they_spell(
    tmp_path: Path, split: Split, size: int
) -> None:
    data = StackedMNIST(root=files(tmp_path), count=5000, labelled=True, image_size=size)  # type: ignore[arg-type]
    samples = opened(data, tmp_path, split)
    assert samples.images.shape == (5000, 3, size, size) and samples.images.dtype == torch.uint8
    corner = (size - 28) // 2
    digits = (samples.images[:, :, corner, corner] // 10).tolist()
    assert samples.labels is not None and samples.labels.sum(1, dtype=torch.int64).eq(1).all()
    spelled = [int("".join(map(str, three))) for three in digits]
    assert samples.labels.argmax(1).tolist() == spelled
    names = data.spec().labels.names
    assert names[0] == "000" and names[42] == "042" and names[999] == "999" and len(names) == 1000
    assert [data.spec().labels.decode(samples.labels[7])] == [[f"{spelled[7]:03d}"]]
    sources = {image.tobytes() for image in arrays(split)[0]}
    inner = samples.images[:, :, corner : corner + 28, corner : corner + 28].numpy()
    assert {image.tobytes() for image in inner.reshape(-1, 28, 28)} == sources


def test_stacks_are_drawn_evenly_and_independently(tmp_path: Path) -> None:
    samples = opened(StackedMNIST(root=files(tmp_path), count=20_000), tmp_path)
    digits = samples.images[:, :, 0, 0].long() // 10
    for one, other in ((0, 1), (0, 2), (1, 2)):
        counts = (digits[:, one] * 10 + digits[:, other]).bincount(minlength=100).double()
        # 99 degrees of freedom: mean 99, standard deviation 14.
        assert ((counts - 200) ** 2 / 200).sum() < 99 + 5 * 14


def test_the_seed_and_the_split_decide_the_stacks(tmp_path: Path) -> None:
    def stacks(seed: int, split: Split = "train") -> torch.Tensor:
        return opened(StackedMNIST(root=tmp_path, count=50, seed=seed), tmp_path, split).images

    files(tmp_path)
    assert torch.equal(stacks(3), stacks(3))
    assert not torch.equal(stacks(3), stacks(4))
    assert not torch.equal(stacks(3), stacks(3, "test"))


def test_nothing_to_stack(tmp_path: Path) -> None:
    files(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(IMAGES[:0]))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS[:0]))
    assert refused(StackedMNIST(root=tmp_path), tmp_path) == (
        "data 'stacked_mnist' has no digits to stack: the files of MNIST hold none"
    )


@pytest.mark.real_data
def test_the_real_mnist(real_data: Path, tmp_path: Path) -> None:
    root = real_data / "mnist"
    samples = opened(MNIST(root=root), tmp_path)
    assert samples.images.shape == (60_000, 1, 28, 28)
    assert samples.labels is not None
    known = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert samples.labels.sum(0, dtype=torch.int64).tolist() == known
    raw = gzip.decompress((root / "train-images-idx3-ubyte.gz").read_bytes())
    first, last = raw[16 : 16 + 784], raw[-784:]
    assert samples.images[0].numpy().tobytes() == first
    assert samples.images[-1].numpy().tobytes() == last
    assert len(opened(MNIST(root=root), tmp_path, "test")) == 10_000
