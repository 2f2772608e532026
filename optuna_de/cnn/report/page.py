"""Pages of a report: the templates with the content of a study. No torch."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from dataclasses import replace
from importlib.resources import files
from typing import Any

import jinja2
import optuna
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from optuna_de import _markdown
from optuna_de.cnn.architecture.layer_table import LAYER_HEAD
from optuna_de.cnn.report.content import FrontRow, ReportContent, read_content
from optuna_de.visualization import learning_curves
from optuna_de.visualization.plots import plots_for

_ASSETS = "templates"


def markdown_page(study: optuna.Study, storage: str | None) -> str:
    """Return the Markdown page of a study that no worker changes meanwhile."""
    content = read_content(study, storage)
    return (
        _environment()
        .get_template("report.md.jinja")
        .render(content=content, front=_front_table(content), head=LAYER_HEAD)
    )


def _front_table(content: ReportContent) -> str:
    rows = ((row.number, *row.values, row.architecture) for row in content.front)
    head = ("trial", *content.objectives, "architecture")
    return _markdown.table(head, rows, left=("architecture",))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("optuna_de.cnn.report", _ASSETS),
        autoescape=lambda name: name is None or ".html" in name,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"md": _markdown.escape, "line": _markdown.one_line}
    environment.globals |= {"table": _markdown.table}
    return environment


def html_page(study: optuna.Study, storage: str | None, refresh: float | None) -> str:
    """Return the HTML page of a study that no worker changes meanwhile.

    Args:
        study: A study.
        storage: URL for the commands.
        refresh: Seconds after which the page reloads itself; ``None`` for never.
    """
    plotly, script, content = get_plotlyjs(), _asset("report.js"), read_content(study, storage)
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            content=content,
            head=LAYER_HEAD,
            figures={} if content.excuse else _figures(study),
            curves=_curves(study, content.front),
            plotly=plotly,
            script=script,
            digests=" ".join(f"'sha256-{_digest(text)}'" for text in (plotly, script)),
            css=_asset("report.css"),
            refresh=refresh,
        )
    )


def _figures(study: optuna.Study) -> dict[str, dict[str, Any]]:
    return {name: _plain(plot.function(study)) for name, plot in plots_for(study).items()}


def _curves(study: optuna.Study, front: tuple[FrontRow, ...]) -> dict[str, Any]:
    """Return the learning curves of the front: traces by trial number, and their one layout."""
    if not front:
        return {"layout": {}, "data": {}}
    info = learning_curves.info(study, [row.number for row in front], others=False)
    figures = {
        curve.number: learning_curves.figure(replace(info, curves=(curve,)))
        for curve in info.curves
    }
    first = next(iter(figures.values()), go.Figure())
    return {
        "layout": _plain(first)["layout"],
        "data": {number: _plain(figure)["data"] for number, figure in figures.items()},
    }


def _plain(figure: go.Figure) -> dict[str, Any]:
    """Return a figure as JSON's types."""
    plain: dict[str, Any] = json.loads(figure.to_json())
    return plain


def _asset(name: str) -> str:
    return (files("optuna_de.cnn.report") / _ASSETS / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return b64encode(hashlib.sha256(script.encode()).digest()).decode()
