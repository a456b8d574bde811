"""The card of a published run: README.md with the metadata that model hubs read."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ganforge.api import DataSpec, LabelSpec
from ganforge.api.data import quoted

ODD = re.compile("[^ -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
"""What may not stand for itself in a quoted text of YAML (1.2, section 5.1), and its line breaks."""


def card(
    about: Mapping[str, Any],
    spec: DataSpec,
    evaluations: Sequence[Mapping[str, Any]],
    license_name: str,
    samples: str | None,
) -> str:
    """Markdown with front matter. `about`: see `description.provenance`, with `parameters` and `sha256`;
    `evaluations`: records of `ganforge evaluate` for these weights; `samples`: an image in the folder."""
    rows = [row for record in evaluations for row in _rows(record)]
    parts = [
        "---\n" + "\n".join(_front_matter(about, spec, rows, license_name)) + "\n---\n",
        f"# {_plain(about['run'])}\n",
        _summary(about, spec) + "\n",
    ]
    if samples:
        parts.append(f"![Samples with seed 0, not selected]({samples})\n")
    parts += ["## Use\n", _use(spec), "## Metrics\n", _metrics(rows), "## Provenance\n", _provenance(about)]
    return "\n".join(parts)


def _rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row per value of a record; standard deviations go with their means."""
    found = []
    for metric in record["metrics"]:
        values = metric["values"]
        for name, value in values.items():
            if value is None or (name.endswith("_std") and name.removesuffix("_std") in values):
                continue
            found.append(
                {
                    "metric": metric["type"],
                    "name": name,
                    "value": value,
                    "std": values.get(f"{name}_std"),
                    "seeds": len(metric["seeds"]),
                    "samples": metric["settings"].get("samples"),
                    "data": record["data"]["type"],
                    "fingerprint": metric["fingerprint"],
                    "ganforge": record["ganforge"],
                    "time": record["time"],
                }
            )
    return found


def _front_matter(
    about: Mapping[str, Any], spec: DataSpec, rows: Sequence[Mapping[str, Any]], license_name: str
) -> list[str]:
    """YAML, of which JSON is nearly a part: every text is quoted as JSON."""
    lines = [
        f"license: {_yaml(license_name)}",
        "library_name: ganforge",
        f"tags: {_yaml(['gan', 'ganforge', *sorted(set(map(str, about['components'].values())))])}",
    ]
    if spec.is_image and spec.labels.kind == "none":
        lines.append("pipeline_tag: unconditional-image-generation")
    if rows:
        results = [
            {
                "task": {"type": "image-generation"},
                "dataset": {"type": row["data"], "name": row["data"]},
                "metrics": [{"type": row["metric"], "name": row["name"], "value": row["value"]}],
            }
            for row in rows
        ]
        lines.append(f"model-index: {_yaml([{'name': about['run'], 'results': results}])}")
    return lines


def _summary(about: Mapping[str, Any], spec: DataSpec) -> str:
    parts = about["components"]
    size = "x".join(map(str, spec.shape))
    return (
        f"A generator with {about['parameters']:,} parameters (nets `{parts.get('nets')}`, loss "
        f"`{parts.get('loss')}`), trained with ganforge on `{parts.get('data')}`: {about['images_seen']:,} "
        f"images seen. Samples are {size}; the condition: {spec.labels.in_words()}. The weights are "
        + (
            "the moving average of training."
            if about["weights"] == "moving average"
            else "those of training."
        )
    )


def _condition(part: LabelSpec) -> str:
    """An example of one, as the command line takes it."""
    if part.kind == "image":
        return "FILE.png"
    if part.kind == "vector":
        return ", ".join(["0"] * part.width)
    return ", ".join(map(quoted, part.names[: max(1, part.least)]))


def _use(spec: DataSpec) -> str:
    options = [name + "=" * bool(name) + _condition(part) for name, part in spec.labels.each.items()]
    # A reader copies it into a shell.
    condition = "".join(f" --condition {shlex.quote(each)}" for each in options if each.isprintable())
    return (
        "```sh\n"
        f"ganforge sample FOLDER{condition} --n 8 --seed 0\n"
        "ganforge play FOLDER\n"
        "```\n\n"
        "```python\n"
        "import ganforge\n\n"
        'run = ganforge.load_run("hf://OWNER/NAME")   # or the folder\n'
        "```\n\n"
        "No pickle is loaded. Training cannot be continued from this folder: it has no optimizer states and "
        "no discriminator.\n"
    )


def _metrics(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "None were computed for these weights.\n"
    lines = ["| metric | value | seeds | samples | data | comparable if equal |", "|---|---|---|---|---|---|"]
    for row in rows:
        spread = f" ± {row['std']:.4g}" if row["std"] is not None else ""
        lines.append(
            f"| {_plain(row['metric'])}: {_plain(row['name'])} | {row['value']:.4g}{spread} "
            f"| {row['seeds']} | {_plain(row['samples'] or '')} | {_plain(row['data'])} "
            f"| `{_plain(row['fingerprint'])[:12]}` |"
        )
    return "\n".join(lines) + "\n\nThe records with all settings are in `evaluations.jsonl`.\n"


def _provenance(about: Mapping[str, Any]) -> str:
    git = about.get("git") or {}
    commit = (
        f"{git['commit']}{' with local changes' if git.get('dirty') else ''}" if git.get("commit") else None
    )
    facts = {
        "ganforge": about.get("ganforge"),
        "torch": about.get("torch"),
        "commit": commit,
        "seed": about["seed"],
        "started": about.get("started"),
        "SHA-256 of the weights": about["sha256"],
    }
    lines = [f"- {name}: {_plain(value)}" for name, value in facts.items() if value is not None]
    more = "All settings are in `config.toml`, versions of packages and plugins in `run.json`."
    return "\n".join([*lines, "", more, ""])


def _plain(value: object) -> str:
    """A name on one line, without what Markdown or HTML would make of it."""
    line = " ".join(str(value).split())
    return "".join(f"\\{sign}" if sign in "\\`*{}[]<>#|&" else sign for sign in line)


def _yaml(value: object) -> str:
    """JSON that YAML reads as well, which has no surrogate pairs."""
    plain = json.dumps(value, ensure_ascii=False)
    return ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", plain)
