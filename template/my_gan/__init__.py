"""my-gan: components for ganforge."""

from __future__ import annotations

from collections.abc import Iterable

from ganforge.api import Component, hookimpl

from my_gan.callback import MyCallback
from my_gan.data import MyData
from my_gan.loss import MyLoss
from my_gan.metric import MyMetric
from my_gan.nets import MyNets
from my_gan.optimizer import MyOptimizer
from my_gan.prior import MyPrior
from my_gan.task import MyTask
from my_gan.term import MyTerm
from my_gan.tracker import MyTracker

GANFORGE_API = "1.0"
"""The version of `ganforge.api` that this package is written for."""


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [
        MyLoss,
        MyData,
        MyNets,
        MyTerm,
        MyCallback,
        MyMetric,
        MyPrior,
        MyTask,
        MyOptimizer,
        MyTracker,
    ]
