"""Lineage plot: ancestors of a trial and the operators that produced them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import optuna
import plotly.graph_objects as go

from optuna_de._colours import CLASSES, INK
from optuna_de.visualization import style
from optuna_de.visualization.trials import finished_trials
from optuna_de.visualization.trials.ancestry import ancestors, parents, trunk
from optuna_de.visualization.trials.finished_trials import Entry

TITLE = "Lineage"
_NAMED = 15  # trials on the bold line up to which each bears its number
_OPERATORS = {
    "initial": (CLASSES[0], "circle"),
    "difference": (CLASSES[1], "diamond"),
    "edit": (CLASSES[2], "triangle-up"),
    "added": (CLASSES[3], "square"),
}


@dataclass(frozen=True, slots=True)
class Node:
    """Node of the lineage plot: a trial; ``value`` is that of the objective on the y axis."""

    number: int
    value: float
    operator: str
    generation: int | None
    label: str = ""


@dataclass(frozen=True, slots=True)
class Info:
    """Data of the lineage plot.

    Args:
        name: The objective on the y axis.
        nodes: The trials of the lineage, by number.
        edges: Pairs (parent, child) of numbers.
        trunk: The edges from a child's ``best`` to it, back from the trials asked for.
        asked: Numbers of the trials asked for.
        others: Trials outside the lineage, as (number, value).
        excuse: The sentence shown if there is nothing to plot, else empty.
    """

    name: str
    nodes: tuple[Node, ...] = ()
    edges: tuple[tuple[int, int], ...] = ()
    trunk: tuple[tuple[int, int], ...] = ()
    asked: tuple[int, ...] = ()
    others: tuple[tuple[int, float], ...] = ()
    excuse: str = ""


def plot_lineage(
    study: optuna.Study,
    *,
    target_names: Sequence[str] | None = None,
    trials: Sequence[int] | None = None,
    objective: int = 0,
    all_ancestors: bool = False,
) -> go.Figure:
    """Plot the ancestors of trials: the bold line follows each child's ``best`` parent.

    Thin lines lead from the two parents whose difference was added.

    Args:
        study: Any study; trials that no sampler planned have no parents.
        target_names: One name per objective; default: the study's metric names.
        trials: Numbers of the trials asked for; default: the best feasible one that has parents,
            or the best of all where none has.
        objective: The objective on the y axis, by which the best is chosen.
        all_ancestors: Whether all ancestors of those two parents are drawn as well.

    Raises:
        ValueError: If one of ``trials`` is no trial with values, or an argument does not fit.
    """
    return figure(info(study, target_names, trials, objective, all_ancestors))


def info(
    study: optuna.Study,
    target_names: Sequence[str] | None = None,
    trials: Sequence[int] | None = None,
    objective: int = 0,
    all_ancestors: bool = False,
) -> Info:
    """Read the data of the lineage plot."""
    names = finished_trials.names_of(study, target_names)
    if not 0 <= objective < len(names):
        raise ValueError(f"objective must be 0 to {len(names) - 1}, but is {objective}.")
    finished = finished_trials.entries(study)
    known = {e.number: e for e in finished_trials.scored(finished)}
    if unknown := sorted(set(trials or ()) - set(known)):
        raise ValueError(f"Trial {unknown[0]} is no completed trial of this study.")
    if not known:
        return Info(names[objective], excuse=finished_trials.excuse(finished))
    bred = [entry for entry in known.values() if entry.feasible and parents(entry, known)]
    best = _best(bred or known.values(), objective)
    asked = [best] if trials is None else list(dict.fromkeys(trials))
    line = trunk(asked, known)
    children = {*asked, *(n for edge in line for n in edge)}
    if all_ancestors:
        children = set(ancestors(asked, known))
    edges = tuple((p, n) for n in sorted(children) for p in parents(known[n], known))
    family = sorted(children | {p for p, _ in edges})
    return Info(
        name=names[objective],
        nodes=tuple(_node(known[n], objective) for n in family),
        edges=edges,
        trunk=line,
        asked=tuple(asked),
        others=tuple((n, known[n].values[objective]) for n in sorted(set(known) - set(family))),
    )


def _best(scored: Iterable[Entry], objective: int) -> int:
    return min(scored, key=lambda e: (not e.feasible, e.losses[objective], e.number)).number


def _node(entry: Entry, objective: int) -> Node:
    operator, value = entry.operator, entry.values[objective]
    return Node(entry.number, value, operator, entry.generation, entry.label)


def figure(info: Info) -> go.Figure:
    """Draw the lineage plot."""
    if info.excuse:
        return style.sentence_figure(info.excuse, TITLE)
    place = {node.number: node.value for node in info.nodes}
    asked = set(info.asked)
    twigs = sorted(set(info.edges) - set(info.trunk))
    marked = asked | {n for edge in info.trunk for n in edge}
    result = go.Figure(
        [
            _others(info),
            _edges("difference of", twigs, place, {"color": style.FAINT, "width": 0.6}),
            _edges("best parent", info.trunk, place, {"color": INK, "width": 3}),
            *_nodes(info.nodes, marked),
        ]
    )
    named = marked if len(marked) <= _NAMED else asked
    for node in info.nodes:
        if node.number in named:
            result.add_annotation(_name_tag(node, bold=node.number in asked))
    result.update_xaxes(title="Trial")
    result.update_yaxes(title=style.label(info.name))
    return style.style(result, TITLE, legend_above=True)


def _name_tag(node: Node, *, bold: bool) -> dict[str, object]:
    place = {"x": node.number, "y": node.value, "yshift": -18}
    text = f"<b>{node.number}</b>" if bold else str(node.number)
    return {**place, "text": text, "showarrow": False}


def _others(info: Info) -> go.Scatter:
    return go.Scatter(
        x=[number for number, _ in info.others],
        y=[value for _, value in info.others],
        mode="markers",
        name="other trials",
        marker={"size": 4, "color": style.FAINT},
        hovertemplate="Trial %{x}: %{y:.6g}<extra></extra>",
    )


def _edges(
    name: str,
    edges: Sequence[tuple[int, int]],
    place: Mapping[int, float],
    line: Mapping[str, object],
) -> go.Scatter:
    return go.Scatter(
        x=[x for edge in edges for x in (*edge, None)],
        y=[y for parent, child in edges for y in (place[parent], place[child], None)],
        mode="lines",
        name=name,
        line=line,
        hoverinfo="skip",
    )


def _nodes(nodes: Sequence[Node], marked: set[int]) -> list[go.Scatter]:
    groups: dict[str, list[Node]] = {name: [] for name in _OPERATORS}
    for node in nodes:
        groups.setdefault(node.operator, []).append(node)
    return [_group(name, group, marked) for name, group in groups.items() if group]


def _group(operator: str, nodes: Sequence[Node], marked: set[int]) -> go.Scatter:
    colour, symbol = _OPERATORS.get(operator, (CLASSES[5], "pentagon"))
    return go.Scatter(
        x=[node.number for node in nodes],
        y=[node.value for node in nodes],
        mode="markers",
        name=style.shown(operator),
        marker={
            **{"color": colour, "symbol": symbol, "line": style.OUTLINE, "opacity": 1},
            "size": [13 if node.number in marked else 7 for node in nodes],
        },
        text=[_hover(node) for node in nodes],
        hovertemplate="%{text}<extra></extra>",
        customdata=[node.number for node in nodes],
    )


def _hover(node: Node) -> str:
    origin = finished_trials.generation_text(node.generation)
    made = f", {style.shown(node.operator)}" if node.generation else ""
    head = f"<b>Trial {node.number}</b>, {origin}{made}"
    return "<br>".join(
        [head, f"{node.value:.6g}", *([style.shown(node.label)] * bool(node.label))]
    )
