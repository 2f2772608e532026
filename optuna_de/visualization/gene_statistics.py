"""Gene statistics plot: shares of unit kinds and medians of their attributes, by position."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import optuna
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from optuna_de._colours import CLASSES, INK
from optuna_de.evolution.genome import Gene
from optuna_de.search_space.encoding import read
from optuna_de.visualization import style
from optuna_de.visualization.trials import finished_trials
from optuna_de.visualization.trials.generation_periods import Period, periods

TITLE = "Genes by position and generation"


@dataclass(frozen=True, slots=True)
class Row:
    """A period of a sequence.

    Args:
        period: The generations.
        shares: Of each kind of :attr:`Info.kinds`, its share of the trials at each position;
            where a sequence has ended, no kind has the share.
        medians: Of each attribute of :attr:`Info.attributes`, its median at each position over
            all kinds that have it; NaN where none does.
    """

    period: Period
    shares: tuple[tuple[float, ...], ...]
    medians: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Info:
    """Data of the figure; ``excuse`` is the sentence shown if there is nothing to plot."""

    sequence: str
    kinds: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    excuse: str = ""


def plot_gene_statistics(
    study: optuna.Study, *, sequence: str | None = None, limit: int = 5
) -> go.Figure:
    """Plot the shares of kinds and the medians of numeric attributes at each position.

    Args:
        study: A study with a sequence; other genes are those of Optuna's own plots.
        sequence: Name of the sequence; default: the first by name.
        limit: Most periods of generations, at least 1.

    Raises:
        ValueError: If the study has no such sequence or ``limit`` is below 1.
    """
    return figure(info(study, sequence, limit))


def info(study: optuna.Study, sequence: str | None = None, limit: int = 5) -> Info:
    """Read the data of the figure."""
    if limit < 1:
        raise ValueError(f"limit must be at least 1, but is {limit}.")
    finished = finished_trials.entries(study)
    scored = finished_trials.scored(finished)
    genomes = {t.number: read(t.params).sequences for t in finished_trials.finished_trials(study)}
    known = sorted({name for e in scored for name in genomes[e.number]})
    if not scored or not known:
        missing = finished_trials.excuse(finished) or "No trial of this study has a sequence."
        return Info(sequence or "", excuse=missing)
    if sequence is not None and sequence not in known:
        raise ValueError(f"Sequence {sequence!r} is not among the study's, {known}.")
    name = sequence or known[0]
    held = {e.number: genomes[e.number].get(name, ()) for e in scored}
    kinds, attributes = _kinds(held.values()), _attributes(held.values())
    spans = periods(scored, limit)
    rows = (_row(p, [held[n] for n in p.numbers], kinds, attributes) for p in spans)
    return Info(name, kinds, attributes, tuple(rows))


def _kinds(sequences: Any) -> tuple[str, ...]:
    counts = Counter(gene.kind for genes in sequences for gene in genes)
    return tuple(kind for kind, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _attributes(sequences: Any) -> tuple[str, ...]:
    genes = (gene for genes in sequences for gene in genes)
    return tuple(sorted({name for gene in genes for name, v in gene.attributes if _is_number(v)}))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _row(
    period: Period,
    sequences: Sequence[tuple[Gene, ...]],
    kinds: Sequence[str],
    attributes: Sequence[str],
) -> Row:
    length = max(map(len, sequences))
    at = [[genes[i] for genes in sequences if i < len(genes)] for i in range(length)]
    counts = [Counter(gene.kind for gene in genes) for genes in at]
    values = [_values(genes) for genes in at]
    return Row(
        period,
        tuple(tuple(c[kind] / len(sequences) for c in counts) for kind in kinds),
        tuple(
            tuple(float(median(v[name] or [float("nan")])) for v in values) for name in attributes
        ),
    )


def _values(genes: Sequence[Gene]) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = defaultdict(list)
    for gene in genes:
        for name, value in gene.attributes:
            if _is_number(value):
                values[name].append(value)
    return values


def figure(info: Info) -> go.Figure:
    """Draw what was read: a panel of shares per period, then a panel per attribute."""
    if info.excuse:
        return style.sentence_figure(info.excuse, TITLE)
    names = [style.shown(row.period.name) for row in info.rows]
    names = [f"{n} ({len(r.period.numbers)})" for n, r in zip(names, info.rows, strict=True)]
    titles = [*names, *(f"median of {style.shown(a)}" for a in info.attributes)]
    result = make_subplots(
        rows=len(titles),
        subplot_titles=titles,
        shared_xaxes=True,
        vertical_spacing=min(0.07, 0.25 / len(titles)),
    )
    for i, row in enumerate(info.rows, 1):
        for trace in _bars(info, row, showlegend=i == 1):
            result.add_trace(trace, row=i, col=1)
        result.update_yaxes(range=[0, 1], tickformat=".0%", row=i, col=1)
    for j in range(len(info.attributes)):
        for trace in _lines(info, j):
            result.add_trace(trace, row=len(info.rows) + 1 + j, col=1)
        values = [v for row in info.rows for v in row.medians[j] if v == v]
        if finished_trials.is_wide(values):
            result.update_yaxes(row=len(info.rows) + 1 + j, col=1, **style.log_axis(values))
    style.style(result, f"{TITLE}: {style.shown(info.sequence)}")
    longest = max(len(share) for row in info.rows for share in row.shares)
    result.update_xaxes(dtick=1, range=[-0.5, longest - 0.5], title_standoff=4)
    result.update_xaxes(title="Position", row=len(titles), col=1)
    result.update_annotations(font={"size": 13, "color": INK}, x=0, xanchor="left")
    second = {"bgcolor": "rgba(0,0,0,0)", "x": 1.02, "y": 0, "yanchor": "bottom"}
    result.update_layout(legend={"traceorder": "normal"}, legend2=second)
    return result.update_layout(barmode="stack", bargap=0.12, height=130 + 120 * len(titles))


def _bars(info: Info, row: Row, *, showlegend: bool) -> list[go.Bar]:
    return [
        go.Bar(
            x=list(range(len(share))),
            y=share,
            name=style.shown(kind),
            legendgroup=style.shown(kind),
            showlegend=showlegend,
            marker={"color": style.class_colour(i), "pattern": _pattern(i)},
            hovertemplate="position %{x}: %{y:.0%}",
        )
        for i, (kind, share) in enumerate(zip(info.kinds, row.shares, strict=True))
    ]


def _pattern(index: int) -> dict[str, Any]:
    """Tell classes apart that share a colour."""
    return {"shape": ("", "/", ".", "x")[index // len(CLASSES) % 4], "fgcolor": "#ffffff"}


def _lines(info: Info, attribute: int) -> list[go.Scatter]:
    last = max(len(info.rows) - 1, 1)
    return [
        go.Scatter(
            x=list(range(len(row.medians[attribute]))),
            y=row.medians[attribute],
            mode="lines+markers",
            name=row.period.name,
            legendgroup=row.period.name,
            legend="legend2",
            showlegend=attribute == 0,
            line={"color": style.shade(i / last), "width": 1 + 1.5 * i / last},
            marker={"symbol": i, "size": 7, "line": style.OUTLINE},
        )
        for i, row in enumerate(info.rows)
    ]
