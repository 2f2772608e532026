"""Diversity plot: mean distance between recent trials over the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from statistics import fmean

import optuna
import plotly.graph_objects as go
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from plotly.subplots import make_subplots

from optuna_de.evolution.genome import Gene, Genome, Interval, Range, Value
from optuna_de.evolution.variation import Catalog
from optuna_de.search_space.distributions import hull
from optuna_de.search_space.encoding import catalog, read
from optuna_de.visualization import style
from optuna_de.visualization.trials import finished_trials

TITLE = "Diversity"
_MOMENTS = 60


@dataclass(frozen=True, slots=True)
class Moment:
    """A window of completed trials.

    Args:
        completed: Completed trials so far.
        distance: Mean distance of two of its genomes, in ``[0, 1]``; 0 for one trial.
        distinct: Share of distinct genomes.
        lengths: Shortest, mean and longest total length of sequences.
    """

    completed: int
    distance: float
    distinct: float
    lengths: tuple[int, float, int]


@dataclass(frozen=True, slots=True)
class Info:
    """Data of the figure; ``excuse`` is the sentence shown if there is nothing to plot."""

    window: int
    moments: tuple[Moment, ...] = ()
    excuse: str = ""


def plot_diversity(study: optuna.Study, *, window: int = 20) -> go.Figure:
    """Plot the mean distance between the most recent trials over the search.

    The distance of two genomes is the mean over their genes: for numeric genes the difference in
    the unit interval of their (logarithmic) range, for others 0 or 1; a position of a sequence
    counts as one gene, and 1 if the kinds differ or one sequence has ended.

    Args:
        study: Any study.
        window: Number of trials compared, at least 2, e.g. the sampler's population size.

    Raises:
        ValueError: If ``window`` is below 2.
    """
    return figure(info(study, window))


def info(study: optuna.Study, window: int = 20) -> Info:
    """Read the data of the figure, at up to 60 moments, the last trial among them."""
    if window < 2:
        raise ValueError(f"window must be at least 2, but is {window}.")
    scored = {e.number for e in finished_trials.scored(finished_trials.entries(study))}
    trials = [t for t in finished_trials.finished_trials(study) if t.number in scored]
    if not trials:
        return Info(window, excuse=finished_trials.excuse(finished_trials.entries(study)))
    spans = catalog(_distributions(trials))
    genomes = [read(t.params) for t in trials]
    n = len(genomes)
    ends = sorted({-(-n * i // _MOMENTS) for i in range(1, _MOMENTS + 1)} - {0})
    return Info(window, tuple(_moment(end, genomes[:end][-window:], spans) for end in ends))


def _distributions(trials: Sequence[FrozenTrial]) -> Mapping[str, BaseDistribution]:
    merged: dict[str, BaseDistribution] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            merged[name] = hull(merged.get(name), distribution)
    return merged


def _moment(completed: int, genomes: Sequence[Genome], spans: Catalog) -> Moment:
    lengths = [sum(map(len, g.sequences.values())) for g in genomes]
    distances = [distance(a, b, spans) for a, b in combinations(genomes, 2)]
    distinct = reduce(lambda kept, g: kept if g in kept else [*kept, g], genomes, list[Genome]())
    return Moment(
        completed,
        fmean(distances) if distances else 0.0,
        len(distinct) / len(genomes),
        (min(lengths), fmean(lengths), max(lengths)),
    )


def distance(a: Genome, b: Genome, spans: Catalog) -> float:
    """Return the mean distance of the genes of two genomes, in ``[0, 1]``."""
    parts = [
        _apart(a.flat[n], b.flat[n], spans.flat.get(n)) if n in a.flat and n in b.flat else 1.0
        for n in {*a.flat, *b.flat}
    ]
    for name in {*a.sequences, *b.sequences}:
        x, y = a.sequences.get(name, ()), b.sequences.get(name, ())
        attributes = spans.sequences[name].attributes if name in spans.sequences else {}
        parts += [_units_apart(p, q, attributes) for p, q in zip(x, y, strict=False)]
        parts += [1.0] * abs(len(x) - len(y))
    return fmean(parts) if parts else 0.0


def _units_apart(a: Gene, b: Gene, spans: Mapping[str, Mapping[str, Range]]) -> float:
    if a == b:
        return 0.0
    if a.kind != b.kind:
        return 1.0
    ranges, other = spans.get(a.kind, {}), dict(b.attributes)
    return fmean(_apart(v, other.get(n), ranges.get(n)) for n, v in a.attributes)


def _apart(a: Value, b: Value, span: Range | None) -> float:
    if a == b:
        return 0.0
    if isinstance(span, Interval) and isinstance(a, int | float) and isinstance(b, int | float):
        return abs(span.to_unit(a) - span.to_unit(b))
    return 1.0


def figure(info: Info) -> go.Figure:
    """Draw the figure."""
    if info.excuse:
        return style.sentence_figure(info.excuse, TITLE)
    x = [m.completed for m in info.moments]
    has_lengths = any(m.lengths[2] for m in info.moments)
    result = make_subplots(cols=1 + has_lengths, horizontal_spacing=0.1)
    for trace in _shares(x, info.moments):
        result.add_trace(trace, row=1, col=1)
    if has_lengths:
        for trace in _lengths(x, info.moments):
            result.add_trace(trace, row=1, col=2)
        result.update_yaxes(title="Length", rangemode="tozero", col=2)
    result.update_xaxes(title=f"Completed trials (the last {info.window} compared)")
    result.update_yaxes(title="Share", range=[0, 1.03], col=1)
    return style.style(result, TITLE, legend_above=True)


def _shares(x: Sequence[int], moments: Sequence[Moment]) -> list[go.Scatter]:
    curves = [("mean distance", [m.distance for m in moments])]
    curves.append(("distinct genomes", [m.distinct for m in moments]))
    return [_line(x, y, name, i) for i, (name, y) in enumerate(curves)]


def _line(x: Sequence[int], y: Sequence[float], name: str, index: int) -> go.Scatter:
    line = {"color": style.class_colour(index), "width": 2.5, "dash": style.DASHES[index]}
    mode = "lines" if len(x) > 1 else "markers"
    return go.Scatter(x=x, y=y, name=name, mode=mode, line=line)


def _lengths(x: Sequence[int], moments: Sequence[Moment]) -> list[go.Scatter]:
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    low, high = [m.lengths[0] for m in moments], [m.lengths[2] for m in moments]
    return [
        go.Scatter(x=x, y=low, showlegend=False, **edge),
        go.Scatter(
            **{"x": x, "y": high, "name": "shortest to longest", **edge},
            **{"fill": "tonexty", "fillcolor": "rgba(0,158,115,0.25)"},
        ),
        _line(x, [m.lengths[1] for m in moments], "mean length", 2),
    ]
