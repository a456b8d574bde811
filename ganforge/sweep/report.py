"""report.html of a sweep: every trial, its learning curve, and which parameters mattered."""

from __future__ import annotations

import base64
import json
import warnings
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge.outputs.atomic import write_bytes
from ganforge.outputs.figures import render
from ganforge.outputs.progress import duration
from ganforge.outputs.report_style import CSS
from ganforge.sweep.folder import SweepFolder
from ganforge.sweep.spec import Sweep
from ganforge.sweep.study import open_study
from ganforge.sweep.summary import Summary, TrialRecord, summarize

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure

MIN_COMPLETE = 20
"""Complete trials needed to show importances without a warning."""

MORE_CSS = """
.wide { overflow-x: auto; }
.wide th, .wide td { white-space: nowrap; padding-right: 1.25rem; }
.wide td.why { white-space: normal; min-width: 12rem; }
.wide tr.best td, .wide tr.best th { background: var(--warn); color: var(--warn-ink); }
thead th + th { text-align: left; }
"""


def write_report(folder: SweepFolder) -> Path:
    """Writes FOLDER/report.html atomically; for a sweep in progress it is a snapshot.

    The page has no script and loads nothing from elsewhere. Raises `UserError` if the folder is not a
    sweep's, or its storage cannot be reached.
    """
    about = folder.read()
    sweep = Sweep.model_validate_json(json.dumps(about["sweep"]))
    with folder.alone():
        study = open_study(folder.path, about["study"], sweep, images=1)
    summary = summarize(study, sweep, folder)
    write_bytes(folder.report, _page(folder, sweep, summary, importances(study, summary)).encode())
    return folder.report


def importances(study: optuna.Study, summary: Summary) -> dict[str, float]:
    """Parameter -> share, by PED-ANOVA; empty if it cannot be computed.

    Source: PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces
    (Watanabe, Bansal, Hutter, 2023), arXiv:2304.10255.
    """
    import optuna

    values = {trial.value for trial in summary.trials if trial.state == "complete"}
    if len(values) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def _page(folder: SweepFolder, sweep: Sweep, summary: Summary, shares: Mapping[str, float]) -> str:
    # Here, because matplotlib takes half a second to import.
    from ganforge.sweep import charts

    title = escape(folder.path.absolute().name)
    objective = sweep.objective
    facts = [
        f"{objective.direction} {objective.metric} ({objective.take} value)",
        f"{len(summary.trials)} trials: {summary.counts or 'none'}",
        f"sampler {sweep.sampler.type}, seed {sweep.sampler.seed}; pruner {sweep.pruner.type}",
    ]
    parts = [f"<header><h1>{title}</h1><p class='facts'>{escape(' · '.join(facts))}</p></header>"]
    if summary.trials:
        parts.append(
            _section("Parallel coordinates", _figure(charts.parallel(summary, sweep), "trials by parameter"))
        )
        parts.append(_section("Importance of the parameters", _importance(summary, shares)))
        parts.append(_section("History", _figure(charts.history(summary, sweep), "values by trial")))
        on_the_way = charts.learning(summary, sweep)
        if on_the_way is not None:
            parts.append(_section("Learning curves", _figure(on_the_way, "values by images seen")))
        parts.append(_section("Trials", _table(sweep, summary)))
    parts.append(_section("Run file", f"<pre>{escape(folder.run_file.read_text(encoding='utf-8'))}</pre>"))
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        f"<title>{title} - ganforge sweep</title>\n<style>{CSS}{MORE_CSS}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def _importance(summary: Summary, shares: Mapping[str, float]) -> str:
    from ganforge.sweep import charts

    complete = sum(trial.state == "complete" for trial in summary.trials)
    if not shares:
        return "<p>Needs two complete trials with different values.</p>"
    few = (
        f"; {complete} complete trials are few, so the shares may still change"
        if complete < MIN_COMPLETE
        else ""
    )
    note = (
        "By PED-ANOVA (arXiv:2304.10255): how far the parameter's distribution in the best trials differs "
        f"from that in all trials, as shares of 1{few}."
    )
    return (
        f"{_figure(charts.importance(dict(shares)), 'share by parameter')}<p class='facts'>{escape(note)}</p>"
    )


def _table(sweep: Sweep, summary: Summary) -> str:
    keys = [parameter.key for parameter in sweep.parameters]
    columns = ["trial", "state", sweep.objective.metric, *keys, "images", "time", "run", "remark"]
    head = "".join(f"<th scope='col'>{escape(column)}</th>" for column in columns)
    rows = "".join(_row(trial, keys, trial is summary.best) for trial in summary.trials)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div class='wide'>{table}</div>"


def _row(trial: TrialRecord, keys: list[str], best: bool) -> str:
    cells = [
        trial.state,
        _number(trial.value),
        *(_number(trial.parameters.get(key)) for key in keys),
        f"{max(trial.values):,}" if trial.values else "",
        "" if trial.seconds is None else duration(trial.seconds),
        f"trials/{trial.run.name}",
    ]
    shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    remark = "best" if best else trial.why
    kind = " class='best'" if best else ""
    return f"<tr{kind}><th scope='row'>{trial.number}</th>{shown}<td class='why'>{escape(remark)}</td></tr>"


def _number(value: object) -> str:
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


def _figure(figure: Figure, alt: str) -> str:
    data = base64.b64encode(render(figure, "svg")).decode()
    return f"<figure><img class='curve' alt='{escape(alt)}' src='data:image/svg+xml;base64,{data}'></figure>"


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{heading}</h2>{content}</section>"
