"""Pictures of trained networks, from committed results: ``python examples/trained_networks.py``.

It writes ``docs/trained_networks.png`` (test error against parameters on CIFAR-10, for the README)
and ``docs/equal_cost.png`` (four methods at equal cost, for ``docs/results.md``). It trains and
measures nothing. Needs matplotlib.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator, NullLocator

mpl.use("Agg")

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLUE, ORANGE = "#0072b2", "#d55e00"
ARMS = {
    "ours": ("optuna_de", BLUE, "o", 60),
    "seed-exact": ("the seed's algorithm", "#009e73", "s", 160),
    "nsga2": ("NSGA-II", ORANGE, "^", 90),
    "random": ("random search", "#555555", "D", 30),
}
"""Name, colour, marker and size of each method; shared networks show all of their markers."""
SIDES: dict[str, tuple[tuple[int, int], Any, Any]] = {
    "right": ((8, 0), "left", "center"),
    "above": ((0, 9), "center", "bottom"),
    "below": ((0, -9), "center", "top"),
    "left": ((-9, 0), "right", "center"),
}
"""Offset in points and alignment of a label."""

Row = dict[str, Any]

# The seed report's networks as it published them: parameters and test error in per cent.
PUBLISHED = {"Model 1": (16_477_306, 7.86), "Model 2": (7_796_674, 11.47)}
WARM_START = "B24k3-B48k3-MP-R48k3-B128k3-MP-R128k3-MP-B192k3-GAP"
"""The trained network that both searches began with; they did not find it."""
LONGEST = 80
"""Epochs of its longer training."""
GOAL = (1_000_000, 7.86)
"""Model 1's error with fewer than a million parameters."""


def rows(name: str) -> Iterator[Row]:
    """Yield the measurements of a committed result, its header left out."""
    (path,) = (ROOT / "benchmarks").rglob(name)
    lines = path.read_text(encoding="utf-8").splitlines()
    yield from (row for row in map(json.loads, lines) if "test error" in row)


def count_text(value: float, _: object = None) -> str:
    """Return a number of parameters as people read it: 800, 25k, 1M, 7.8M."""
    if value >= 1e6:
        return f"{value / 1e6:.3g}M"
    return f"{value / 1e3:.3g}k" if value >= 1e3 else f"{value:.0f}"


def axes(figure: Figure, low: float, high: float) -> Axes:
    """Return axes with a logarithmic x axis that is labelled 10k, 100k, 1M."""
    drawn = figure.add_subplot()
    drawn.set(xscale="log", xlim=(low, high), xlabel="trainable parameters")
    drawn.xaxis.set_major_formatter(FuncFormatter(count_text))
    drawn.xaxis.set_minor_locator(NullLocator())
    drawn.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    drawn.set_ylabel("test error")
    drawn.grid(color="#dddddd", linewidth=0.8)
    drawn.set_axisbelow(True)
    drawn.spines[["top", "right"]].set_visible(False)
    return drawn


def draw_goal(drawn: Axes) -> None:
    """Shade the region of the goal, which no network reaches."""
    right, top = GOAL
    drawn.axhspan(0, top, xmax=_share(drawn, right), color="#f6e3c5", zorder=0)
    drawn.text(
        9_000,
        top / 2,
        f"goal, not reached: {100 - top:.2f} % accuracy\nbelow {count_text(right)} parameters",
        color="#7a4b00",
        va="center",
    )


def _share(drawn: Axes, x: float) -> float:
    return float(drawn.transAxes.inverted().transform(drawn.transData.transform((x, 1)))[0])


def point(
    drawn: Axes, x: float, y: float, label: str, side: str, colour: str, **look: Any
) -> None:
    """Draw a network of ``x`` parameters and ``y`` per cent test error with its label."""
    drawn.scatter(x, y, s=90, edgecolors=colour, zorder=3, **{"facecolors": colour, **look})
    offset, align, vertical = SIDES[side]
    text = f"{label}{y:.1f} %, {count_text(x)}"
    drawn.annotate(
        text, (x, y), offset, textcoords="offset points", ha=align, va=vertical, color=colour
    )


def draw_published(drawn: Axes) -> None:
    """Draw the seed report's two models."""
    for name, (parameters, error) in PUBLISHED.items():
        side = "above" if name == "Model 2" else "below"
        point(drawn, parameters, error, f"{name}: ", side, ORANGE, marker="D")


def draw_found(drawn: Axes, row: Row) -> None:
    """Draw a network that a search found."""
    sides = {24_794: "below", 39_454: "above"}
    side = sides.get(int(row["parameters"]), "right")
    point(drawn, row["parameters"], 100 * row["test error"], "", side, BLUE)


def draw_given(drawn: Axes, row: Row) -> None:
    """Draw a training of the network that the searches began with."""
    last = row["epochs"] == LONGEST
    label, side = f"{row['epochs']} epochs: ", "left" if last else "above"
    face = BLUE if last else "white"
    x, y = row["parameters"], 100 * row["test error"]
    point(drawn, x, y, label, side, BLUE, marker="s", facecolors=face)


def trained_networks() -> Figure:
    """Return the picture of all networks that were trained fully on CIFAR-10."""
    figure = Figure(figsize=(8.6, 5.0), layout="constrained")
    drawn = axes(figure, 7e3, 5e7)
    drawn.set_ylim(0, 28)
    drawn.set_title("Trained networks on CIFAR-10 (lower left is better)", loc="left")
    draw_goal(drawn)
    draw_published(drawn)
    for row in (*rows("cifar10.jsonl"), *rows("cifar10-first.jsonl")):
        draw = draw_given if row["architecture"] == WARM_START else draw_found
        draw(drawn, row)
    for label, marker in (("found by a search", "o"), ("given to the search as a start", "s")):
        drawn.scatter([], [], s=90, c=BLUE, marker=marker, label=f"optuna_de, {label}")
    drawn.scatter([], [], s=90, c=ORANGE, marker="D", label="seed report, as published")
    drawn.legend(loc="upper right", frameon=False)
    return figure


def equal_cost() -> Figure:
    """Return the picture of the picks of four methods after searches of equal cost."""
    figure = Figure(figsize=(8.6, 4.6), layout="constrained")
    drawn = axes(figure, 2e3, 4e5)
    drawn.yaxis.set_major_locator(MultipleLocator(5))
    drawn.set_title("Picks of four methods at equal cost (3 seeds, 3 sizes)", loc="left")
    finals = list(rows("equal_cost-final.jsonl"))
    for arm, (label, colour, marker, size) in ARMS.items():
        points = [(r["parameters"], 100 * r["test error"]) for r in finals if r["arm"] == arm]
        x, y = zip(*points, strict=True)
        face = colour if arm == "ours" else "none"
        look: dict[str, Any] = {
            "marker": marker,
            "facecolors": face,
            "edgecolors": colour,
            "linewidths": 1.8,
        }
        drawn.scatter(x, y, s=size, label=label, zorder=3, **look)
    drawn.legend(loc="upper right", frameon=False)
    return figure


def main() -> None:
    """Write both pictures."""
    mpl.rcParams["font.size"] = 11
    for name, figure in (("trained_networks", trained_networks()), ("equal_cost", equal_cost())):
        figure.savefig(DOCS / f"{name}.png", dpi=120, facecolor="white", metadata={"Software": ""})


if __name__ == "__main__":
    main()
