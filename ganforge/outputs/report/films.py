"""The grids of a run, each as a film over the training: samples, conditions, one for each code."""

from __future__ import annotations

import base64
from pathlib import Path

from ganforge.outputs.charts import in_words
from ganforge.outputs.report.html import anchor, data_block, data_uri, text
from ganforge.outputs.report.pictures import Frame, Picture, film, fit, open_picture
from ganforge.outputs.report.records import Record, is_regular

GAP = 2
"""Pixels between the images of a grid."""
WIDE = 900
"""Pixels; wider grids have a row of the page, and scroll where it is too narrow for their names."""
MAX_LABELS = 24
"""Labels in a grid of conditions."""
TITLES = {"samples": "Samples", "conditions": "One condition a column"}


def films(record: Record, prefix: str, most: int) -> str:
    """A film of each kind of grid, in at most `most` bytes of pictures together."""
    names = [name for name in record.grid_names() if record.grids(name)]
    found = []
    for place, name in enumerate(names):
        frames = film(record, record.grids(name), most // (len(names) - place))
        most -= sum(len(frame.picture.data) for frame in frames)
        if frames:
            found.append(_player(record, name, frames, anchor(prefix, "film", name)))
    return f"<div class='films'>{''.join(found)}</div>" if found else ""


def stills(record: Record, most: int) -> str:
    """Pictures of evaluations: recall of each label, nearest neighbors."""
    files = [(f, "recall of each label") for f in _matching(record, record.run.plots, "*_recall.png")]
    for folder in (record.run.path, record.run.plots):
        files += [(file, "nearest neighbors") for file in _matching(record, folder, "neighbours*.png")]
    shown = []
    for file, what in files[:12]:
        image = open_picture(record, file)
        if image is not None:
            picture = fit(image, most // max(1, len(files[:12])))
            named = file.stem.removesuffix("_recall")
            caption = (
                f"{named}: {what}"
                if what.startswith("recall")
                else "Samples and their nearest training images"
            )
            shown.append(f"<figure>{img(picture, caption)}<figcaption>{text(caption)}</figcaption></figure>")
    return f"<div class='side'>{''.join(shown)}</div>" if shown else ""


def img(picture: Picture, alt: str, extra: str = "") -> str:
    """A picture as an element."""
    kind = "small" if picture.small else "large"
    return f"<img class='{kind}' alt='{text(alt)}' src='{data_uri(picture.data, 'image/webp')}'{extra}>"


def _player(record: Record, name: str, frames: list[Frame], identity: str) -> str:
    last = frames[-1]
    title = TITLES.get(name, f"Code {in_words(name)}, one value a column")
    labels = record.label_names()[:MAX_LABELS]
    described = f"{title}: {', '.join(labels)}" if name == "conditions" and labels else title
    alt = f"{described}, after {last.images_seen:,} images"
    top, left = _names(record, name, last.picture)
    wide = bool(top) or last.picture.width > WIDE
    picture = img(last.picture, alt, f" id='{identity}-picture'")
    sheet = f"<div class='sheet'>{top}{picture}</div>"
    controls, block = "", ""
    if len(frames) > 1:
        seen = [frame.images_seen for frame in frames]
        controls = (
            "<div class='controls live'>"
            f"<button type='button' class='play' data-film='{identity}'>Play</button>"
            f"<input type='range' class='film' data-film='{identity}' min='0' max='{len(frames) - 1}' "
            f"value='{len(frames) - 1}' aria-label='{text(f'{title}: point of the training')}' "
            f"aria-valuetext='after {last.images_seen:,} images'></div>"
        )
        data = [base64.b64encode(frame.picture.data).decode() for frame in frames]
        block = data_block(f"{identity}-data", {"title": described, "seen": seen, "frames": data})
    caption = f"<figcaption id='{identity}-caption'>after {last.images_seen:,} images</figcaption>"
    return (
        f"<figure class='film{' whole' if wide else ''}'><h4>{text(title)}</h4>{left}"
        f"<div class='scroll{' many' if wide else ''}' tabindex='0' role='region' aria-label='{text(title)}'>"
        f"{sheet}</div>{controls}{caption}{block}</figure>"
    )


def _names(record: Record, name: str, picture: Picture) -> tuple[str, str]:
    """The names of columns and rows, where they do not lie in the picture itself."""
    shape, labels = record.shape(), record.label_names()
    rows = "<p class='hint'>One latent a row.</p>"
    if name == "samples":
        return "", ""
    if name != "conditions" or record.labels().get("kind") == "image":
        paired = name == "conditions"
        return "", "<p class='hint'>Conditions, and to the right of each its sample.</p>" if paired else rows
    columns = min(len(labels), MAX_LABELS)
    plain = len(shape) == 3 and columns and picture.width == columns * (shape[2] + GAP) - GAP
    if not plain:
        return "", rows
    cells = "".join(f"<th scope='col'><span>{text(label)}</span></th>" for label in labels[:columns])
    return f"<table class='columns'><thead><tr>{cells}</tr></thead></table>", rows


def _matching(record: Record, folder: Path, pattern: str) -> list[Path]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(file for file in folder.glob(pattern) if is_regular(record.run, file))
