"""How well a judge finds what an image should show: the protocol of i-CLEVR's evaluation.

For an image that should show k labels the k highest outputs are compared with them. Accuracy is
hits / wanted over all images together; with one label an image it is the usual top-1 accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Score(NamedTuple):
    """Shares, 0 to 1."""

    accuracy: float
    """Of the wanted labels, those among the k highest outputs."""
    exact_match: float
    """Of the images, those in which all wanted labels are."""
    recall: dict[str, float]
    """Label -> of the images that should show it, those in which it is among the k highest;
    only for labels that are wanted at all."""


def hits(logits: Tensor, wanted: Tensor) -> Tensor:
    """bool [N, K]: which of the `wanted` labels [N, K] (0 or 1) are among the k highest `logits`
    [N, K], k being what the row wants. An output that is not finite is never a hit; of equal
    outputs the first counts as the higher."""
    ranks = logits.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    highest = ranks < wanted.sum(1, keepdim=True)
    return highest & (wanted > 0.5) & logits.isfinite()


def score(logits: Tensor, wanted: Tensor, names: Sequence[str]) -> Score:
    """The score of `logits` [N, K] for images that should show `wanted` [N, K]; `names` are the K."""
    hit, asked = hits(logits, wanted).double(), (wanted > 0.5).double()
    per_label, asked_per_label = hit.sum(0).tolist(), asked.sum(0).tolist()
    recall = {
        name: found / times
        for name, found, times in zip(names, per_label, asked_per_label, strict=True)
        if times
    }
    exact = (hit.sum(1) == asked.sum(1)).double().mean()
    return Score(float(hit.sum() / asked.sum()), float(exact), recall)
