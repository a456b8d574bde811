"""How well a judge finds the labels of an image's condition: the protocol of i-CLEVR's evaluation.

For an image with k labels the top k outputs are compared with them. Accuracy is hits / labels over all
images together; with one label per image it is the usual top-1 accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class Score(NamedTuple):
    """Shares, 0 to 1."""

    accuracy: float
    """Share of the labels that are in the top k outputs."""
    exact_match: float
    """Share of the images for which all labels are."""
    recall: dict[str, float]
    """Label -> share of the images with it for which it is in the top k; only for labels that occur."""


def hits(logits: Tensor, wanted: Tensor) -> Tensor:
    """bool [N, K]: which of the `wanted` labels [N, K] (0 or 1) are in the top k `logits` [N, K], where k is
    the number of labels in the row. A non-finite output is never a hit; of equal outputs the first ranks
    higher."""
    ranks = logits.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    highest = ranks < wanted.sum(1, keepdim=True)
    return highest & (wanted > 0.5) & logits.isfinite()


def score(logits: Tensor, wanted: Tensor, names: Sequence[str]) -> Score:
    """The score of `logits` [N, K] for images with labels `wanted` [N, K]; `names` are the K."""
    hit, asked = hits(logits, wanted).double(), (wanted > 0.5).double()
    per_label, asked_per_label = hit.sum(0).tolist(), asked.sum(0).tolist()
    recall = {
        name: found / times
        for name, found, times in zip(names, per_label, asked_per_label, strict=True)
        if times
    }
    exact = (hit.sum(1) == asked.sum(1)).double().mean()
    return Score(float(hit.sum() / asked.sum()), float(exact), recall)
