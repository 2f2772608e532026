"""The report of a study: one HTML page without network, or Markdown. Needs no torch."""

from __future__ import annotations

import hashlib
import json
import os
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import jinja2
import optuna
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from optuna_de import _compat, visualization
from optuna_de.cnn.report.facts import Facts, read_facts
from optuna_de.visualization import learning_curves

Format = Literal["html", "md"]
_ASSETS = "templates"
_SEVERAL = {"plot_front_over_time", "plot_hypervolume"}  # plots that need two objectives
_ORDER = (
    *("plot_front_over_time", "plot_hypervolume", "plot_learning_curves", "plot_lineage"),
    *("plot_gene_statistics", "plot_diversity"),
)


def write_report(
    study: optuna.Study,
    path: str | Path,
    *,
    fmt: Format = "html",
    storage: str | None = None,
    refresh: float | None = None,
) -> Path:
    """Write the report of a study to a file, in place of the one before at once.

    Args:
        study: Any study; networks are drawn where its trials record an ``architecture``.
        path: The file.
        fmt: ``"html"``: one page that needs no network, with all plots; ``"md"``: the tables.
        storage: URL for the commands of the page, shown without its password.
        refresh: Seconds after which the page reloads itself; ``None`` for never.

    Returns:
        The file.

    Raises:
        ValueError: For another format, or where the file's folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir() or path.is_dir():
        raise ValueError(
            f"The report cannot be written to {str(path)!r}; name a file in a folder."
        )
    text = render_report(study, fmt=fmt, storage=storage, refresh=refresh)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", errors="replace")
    os.replace(part, path)
    return path


def render_report(
    study: optuna.Study,
    *,
    fmt: Format = "html",
    storage: str | None = None,
    refresh: float | None = None,
) -> str:
    """Return the report of a study as text, see :func:`write_report`."""
    if fmt not in ("html", "md"):
        raise ValueError(f"The format of a report is 'html' or 'md', not {fmt!r}.")
    still = _snapshot(study)
    facts = read_facts(still, storage)
    if fmt == "md":
        return _environment().get_template("report.md.jinja").render(facts=facts)
    return _page(still, facts, refresh)


def _snapshot(study: optuna.Study) -> optuna.Study:
    """Return a copy in memory, so that all parts of a report see the same trials."""
    memory = optuna.storages.InMemoryStorage()
    storage, _ = _compat.study_key(study)
    optuna.copy_study(from_study_name=study.study_name, from_storage=storage, to_storage=memory)
    return optuna.load_study(study_name=study.study_name, storage=memory)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("optuna_de.cnn.report", _ASSETS),
        autoescape=lambda name: name is None or ".html" in name,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"md": _markdown, "line": _one_line}
    return environment


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _markdown(text: object) -> str:
    """Return foreign text without a meaning to Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~$<>&@:])", _entity, _one_line(text))


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def _page(study: optuna.Study, facts: Facts, refresh: float | None) -> str:
    plotly, script = get_plotlyjs(), _asset("report.js")
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            facts=facts,
            figures={name: _plain(figure) for name, figure in _figures(study, facts)},
            curves=_curves(study, facts),
            plotly=plotly,
            script=script,
            digests=" ".join(f"'sha256-{_digest(text)}'" for text in (plotly, script)),
            css=_asset("report.css"),
            refresh=refresh,
        )
    )


def _figures(study: optuna.Study, facts: Facts) -> list[tuple[str, go.Figure]]:
    """Return the figures by name, that of the front first; none for a study without values."""
    if facts.excuse:
        return []
    several = len(study.directions) > 1
    names = ("plot_generations", *(n for n in _ORDER if several or n not in _SEVERAL))
    plots: list[tuple[str, Callable[..., go.Figure]]] = [
        (name.removeprefix("plot_"), getattr(visualization, name)) for name in names
    ]
    return [(name, plot(study)) for name, plot in plots]


def _curves(study: optuna.Study, facts: Facts) -> dict[str, Any]:
    """Return the learning curves of the front: traces by trial number, and their one layout."""
    numbers = [network.number for network in facts.front]
    if not numbers:
        return {"layout": {}, "data": {}}
    info = learning_curves.info(study, numbers, others=False)
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
