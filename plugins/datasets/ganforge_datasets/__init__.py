"""Data sets that come with ganforge."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl
from ganforge_datasets.celeba import CelebA
from ganforge_datasets.cifar10 import CIFAR10
from ganforge_datasets.derived import Derived
from ganforge_datasets.domains import Domains
from ganforge_datasets.iclevr import ICLEVR
from ganforge_datasets.image_folder import ImageFolder
from ganforge_datasets.mnist import MNIST, FashionMNIST
from ganforge_datasets.pairs import Pairs
from ganforge_datasets.stacked_mnist import StackedMNIST
from ganforge_datasets.toy2d import Toy2D


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [
        CIFAR10,
        ICLEVR,
        MNIST,
        CelebA,
        Derived,
        Domains,
        FashionMNIST,
        ImageFolder,
        Pairs,
        StackedMNIST,
        Toy2D,
    ]
