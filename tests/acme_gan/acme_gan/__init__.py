"""Components that someone else might write, from their papers: only `ganforge.api` is imported."""

from __future__ import annotations

from collections.abc import Iterable

from acme_gan.controller import Controller
from acme_gan.cutmix import CutMix
from acme_gan.dual import DualContrast
from acme_gan.lecam import LeCamDistance
from acme_gan.projected import Projected
from acme_gan.unet import UNetDiscriminated
from ganforge.api import Component, hookimpl

GANFORGE_API = "1.0"


@hookimpl
def ganforge_components() -> Iterable[type[Component]]:
    return [UNetDiscriminated, CutMix, Projected, Controller, DualContrast, LeCamDistance]
