"""Notebook displays of a network, a space and a Pareto front. No torch.

``%load_ext optuna_de.cnn.report.notebook`` lets networks and spaces show themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from optuna_de._text import printable, times
from optuna_de.cnn.architecture.genomes import parse, render
from optuna_de.cnn.architecture.layer_table import LAYER_HEAD, layer_rows
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.architecture.units import Unit
from optuna_de.cnn.drawing.plots import Drawable, draw_svg
from optuna_de.cnn.study.attributes import read_attributes
from optuna_de.cnn.study.objectives import value_text
from optuna_de.evolution.genome import Choices, Range
from optuna_de.search_space.distributions import range_of
from optuna_de.search_space.sequence_space import SequenceSpace

_TABLE = '<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">'
_CELL = '<td style="padding:2px 8px;text-align:left">'


@dataclass(frozen=True, slots=True)
class Display:
    """A display: HTML in a notebook, text in any other console."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def show_network(
    architecture: Drawable, image_shape: ImageShape = (3, 32, 32), classes: int = 10
) -> Display:
    """Show a network's picture and layer table.

    Raises:
        ValueError: If the architecture is not understood or does not fit the images.
    """
    genome = parse(architecture) if isinstance(architecture, str) else architecture
    rows = layer_rows(genome, image_shape, classes)
    table = f"<details><summary>{len(rows)} layers</summary>{_table(LAYER_HEAD, rows)}</details>"
    text = "\n".join(f"{a:<20}{b:>14}{c:>14}{d:>16}" for a, b, c, d in (LAYER_HEAD, *rows))
    return Display(_scrolling(draw_svg(genome, image_shape, classes)) + table, text)


def show_space(space: SequenceSpace | CNNSpace) -> Display:
    """Show a space: its lengths, kinds and the range of each attribute, its images."""
    if isinstance(space, CNNSpace):
        return _show_cnn_space(space)
    rows = [
        (
            kind.name,
            "; ".join(f"{n} {_span(range_of(d))}" for n, d in sorted(kind.attributes.items())),
            "yes" if kind.name in (space.first or [kind.name]) else "no",
        )
        for kind in space.kinds
    ]
    head = ("kind", "attributes", "may come first")
    title = f"{space.name}: {space.min_length} to {space.max_length} units"
    text = "\n".join([title, *(" | ".join(row) for row in rows)])
    return Display(f"<p>{escape(title)}</p>{_table(head, rows)}", text)


def _show_cnn_space(space: CNNSpace) -> Display:
    title = f"Networks for images of {times(space.image_shape)} in {space.classes} classes"
    shown, head = [show_space(space.layers)], space.head
    if isinstance(head, SequenceSpace):
        shown.append(show_space(head))
    elif head:
        title += f", their head {render(head)}"
    html, text = "".join(s.html for s in shown), "\n".join(s.text for s in shown)
    return Display(f"<p>{escape(title)}</p>{html}", f"{title}\n{text}")


def _span(span: Range) -> str:
    if isinstance(span, Choices):
        return f"one of {', '.join(map(str, span.values))}"
    step = "" if span.step in (None, 1) else f", step {span.step:g}"
    return f"{span.low:g} to {span.high:g}{' (log)' if span.log else step}"


def show_front(
    study: optuna.Study, image_shape: ImageShape = (3, 32, 32), classes: int = 10
) -> Display:
    """Show the Pareto front of a study of networks: values and pictures, by first value."""
    best = _best(study)
    if not best:
        sentence = "No trial of this study has completed and is feasible."
        return Display(f"<p>{sentence}</p>", sentence)
    names = study.metric_names or [f"Objective {i}" for i in range(len(study.directions))]
    names = [printable(name) for name in names]
    rows = [_trial_row(trial, names) for trial in best]
    pictures = [_picture(row[-1], image_shape, classes) for row in rows]
    head = ("trial", *names, "architecture")
    html = _table(head, [row[:-1] for row in rows], pictures)
    return Display(html, "\n".join(" | ".join(row) for row in (head, *rows)))


def _best(study: optuna.Study) -> Sequence[FrozenTrial]:
    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if not any(all(c <= 0 for c in t.constraints.values()) for t in done):
        return ()
    best = [study.best_trial] if len(study.directions) == 1 else study.best_trials
    return sorted(best, key=lambda t: (t.values, t.number))


def _trial_row(trial: FrozenTrial, names: Sequence[str]) -> tuple[str, ...]:
    values = (value_text(name, v) for name, v in zip(names, trial.values, strict=True))
    return (str(trial.number), *values, read_attributes(trial).text("architecture"))


def _picture(text: str, image_shape: ImageShape, classes: int) -> str:
    """Return the picture of an architecture, or its text if it cannot be drawn."""
    try:
        return _scrolling(draw_svg(text, image_shape, classes))
    except ValueError:
        return escape(text)


def _scrolling(html: str) -> str:
    return f'<div style="overflow-x:auto">{html}</div>'


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], last: Sequence[str] | None = None
) -> str:
    """Return a table of escaped cells; ``last`` holds one cell of HTML per row."""
    cells = ["".join(f"{_CELL}{escape(cell)}</td>" for cell in row) for row in rows]
    if last is not None:
        cells = [f"{row}{_CELL}{html}</td>" for row, html in zip(cells, last, strict=True)]
    title = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"{_TABLE}<thead><tr>{title}</tr></thead><tbody>{body}</tbody></table>"


def load_ipython_extension(shell: Any) -> None:
    """Register the displays with IPython, whose ``%load_ext`` calls this."""
    html = shell.display_formatter.formatters["text/html"]
    for kind in (SequenceSpace, CNNSpace):
        html.for_type(kind, lambda space: show_space(space).html)
    html.for_type(tuple, _tuple_html)


def _tuple_html(value: tuple[object, ...]) -> str | None:
    """Return the picture of a network; ``None`` leaves other tuples as they are."""
    if not value or not all(isinstance(unit, Unit) for unit in value):
        return None
    try:
        return show_network(value).html  # type: ignore[arg-type]  # units, as just seen
    except ValueError:  # a part of a network
        return None
