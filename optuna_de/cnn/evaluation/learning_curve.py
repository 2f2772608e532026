"""Learning curves of a final training: rows, CSV, JSON and a plot that opens offline."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optuna_de._files import csv_text, write_text
from optuna_de.cnn.architecture.genomes import render
from optuna_de.cnn.evaluation.final_training import FinalWeights
from optuna_de.cnn.evaluation.training_job import TrainingJob

if TYPE_CHECKING:
    import plotly.graph_objects as go

SCRIPT = "plotly.min.js"
"""The file of plotly's script (5 MB), which the pages of several trainings share."""


def curve_rows(job: TrainingJob, fitted: FinalWeights) -> list[dict[str, float | int | None]]:
    """Return the learning curve: one row an epoch, losses in nats, scores in [0, 1].

    The second pair is of held-out images with ``keep_validation``, else of training images that
    are not augmented; the names say which.
    """
    other = "held-out" if job.keep_validation else "plain training"
    score = job.data.scored_by.score
    return [
        {
            "epoch": epoch.number,
            "training loss": epoch.train_loss,
            "training accuracy": 1 - epoch.train_error,
            f"{other} loss": epoch.validation_loss,
            f"{other} {score}": 1 - epoch.validation_error,
            "seconds": round(epoch.seconds, 3),
        }
        for epoch in fitted.result.epochs
        if epoch.validation_error is not None
    ]


def write_curves(
    job: TrainingJob, fitted: FinalWeights, folder: Path, home: Path | None = None
) -> None:
    """Write the learning curve: ``curve.csv``, ``curve.json`` and ``curve.html``.

    The page holds plotly's script itself, or finds it in the folder ``home``.
    """
    rows = curve_rows(job, fitted)
    write_text(folder / "curve.csv", csv_text(rows[0], (row.values() for row in rows)))
    write_text(folder / "curve.json", json.dumps(rows, indent=1) + "\n")
    script = True if home is None else shared_script(home, folder)
    page = curve_figure(rows, render(job.genome)).to_html(include_plotlyjs=script)
    write_text(folder / "curve.html", page)


def shared_script(home: Path, folder: Path) -> str:
    """Write plotly's script into ``home`` once; return its address for pages of ``folder``."""
    from plotly.offline import get_plotlyjs

    if not (home / SCRIPT).is_file():
        write_text(home / SCRIPT, get_plotlyjs())
    return Path(os.path.relpath(home / SCRIPT, folder)).as_posix()


def curve_figure(rows: Sequence[dict[str, float | int | None]], title: str) -> go.Figure:
    """Draw the rows of :func:`curve_rows`: losses above, accuracies below."""
    from plotly.graph_objects import Scatter
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06)
    epochs = [row["epoch"] for row in rows]
    names = [name for name in rows[0] if name not in ("epoch", "seconds")]
    for name in names:
        line = Scatter(x=epochs, y=[row[name] for row in rows], name=name, mode="lines+markers")
        figure.add_trace(line, row=1 if name.endswith("loss") else 2, col=1)
    figure.update_yaxes(title="loss in nats", row=1, col=1)
    figure.update_yaxes(title="accuracy", tickformat=".0%", row=2, col=1)
    figure.update_xaxes(title="epoch", row=2, col=1)
    return figure.update_layout(title=title, hovermode="x unified")
