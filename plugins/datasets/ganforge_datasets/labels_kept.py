"""The labels of a data set next to an image as the condition: `label` and `image`."""

from __future__ import annotations

from dataclasses import replace

from ganforge.api import Dataset, DataSpec, LabelSpec, Samples, UserError


def labels_with(outer: Dataset, of: Dataset, image: LabelSpec, inner: DataSpec) -> LabelSpec:
    """What the two conditions are. Raises `UserError` where `of` has no labels of one kind to keep."""
    if inner.labels.kind in ("none", "named"):
        has = "none" if inner.labels.kind == "none" else "several by name"
        raise UserError(
            f"data '{outer.type}': with_labels needs labels, and data '{of.type}' has {has}; set it to false"
        )
    return LabelSpec(kind="named", parts={"image": image, "label": inner.labels})


def with_labels(samples: Samples, inner: Samples | None) -> Samples:
    """`samples`, whose conditions are images, with those of `inner` as well; unchanged for None."""
    if inner is None:
        return samples
    labels = {"image": samples.labels, "label": inner.labels[: len(samples)]}
    return replace(samples, labels=labels, paired=True, unpaired=() if samples.paired else ("image",))
