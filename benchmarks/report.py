"""Collect the results of this folder: tables into ``benchmarks/README.md``, plots beside them.

Run ``python -m benchmarks.report``. The text above the marker line is kept, the rest is rewritten.
Plots need matplotlib; a machine without it, or ``--no-plots``, writes the tables alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import (
    ablation,
    accuracy_table,
    chaos,
    cifar10_table,
    continuous,
    equal_cost_tables,
    halving_search,
    overhead,
    precision,
    report_page,
    screening,
    screening_cost,
    screening_library,
    soak,
    storage_cost,
    throughput_tables,
    workers,
)
from benchmarks import many_workers as crowd
from benchmarks.common import RESULTS, Array, Row, markdown, read
from benchmarks.search_quality import CHECKPOINTS, summary

README = Path(__file__).parent / "README.md"
MARK = "<!-- Below this line: written by python -m benchmarks.report -->"


def regrets(rows: Sequence[Row]) -> dict[str, Array]:
    """Return sampler -> regret (seeds, points) at every tenth evaluation."""
    groups: dict[str, list[list[float]]] = {}
    for row in rows:
        groups.setdefault(row["sampler"], []).append(row["regret"])
    return {name: np.array(values) for name, values in groups.items()}


def search(head: Row, rows: Sequence[Row]) -> str:
    """Return the table of one file of :mod:`benchmarks.search_quality`."""
    points = [n // 10 for n in CHECKPOINTS if n <= head["budget"]]
    lines = [[name, *summary(regret, points)] for name, regret in regrets(rows).items()]
    return markdown(["sampler", *(f"{10 * n}" for n in points)], lines)


def many_workers(head: Row, rows: Sequence[Row]) -> str:
    """Return the table of :mod:`benchmarks.workers`."""
    return markdown(*workers.lines(rows))


def numeric(head: Row, rows: Sequence[Row]) -> str:
    """Return the tables of one file of :mod:`benchmarks.continuous`."""
    return continuous.table(rows, head["budget"])


def cost(head: Row, rows: Sequence[Row]) -> str:
    """Return the table of :mod:`benchmarks.overhead`."""
    return overhead.table(rows)


def defaults(head: Row, rows: Sequence[Row]) -> str:
    """Return the table of :mod:`benchmarks.ablation`."""
    keyed = {(json.dumps(r["setting"]), r["table"]): np.array(r["regret"]) for r in rows}
    return f"At {head['budget']} evaluations.\n\n{ablation.table(keyed)}"


def fire(head: Row, rows: Sequence[Row]) -> str:
    """Return the table of one file of :mod:`benchmarks.chaos`."""
    return markdown(chaos.COLUMNS, [[row[name] for name in chaos.COLUMNS] for row in rows])


SECTIONS: dict[str, tuple[str, Callable[[Row, Sequence[Row]], str]]] = {
    "ablation": ("Defaults of DESampler: one option changed at a time", defaults),
    "search": ("Search quality: regret after so many evaluations", search),
    "continuous": ("Numeric spaces", numeric),
    "workers": ("Many workers", many_workers),
    "many_workers": ("Two hundred workers on a server", lambda head, rows: crowd.table(rows)),
    "chaos": ("Workers under fire", fire),
    "soak": ("Memory of a worker over an hour", lambda head, rows: soak.table(rows)),
    "storage_cost": (
        "A trial of 45 parameters on SQLite",
        lambda head, rows: storage_cost.table(rows),
    ),
    "report_page": ("The report in a browser", lambda head, rows: report_page.table(rows)),
    "halving_search": (
        "Early stopping in real searches",
        lambda head, rows: halving_search.table(rows, head["budget"]),
    ),
    "cifar10": ("CIFAR-10: a search and what became of its front", cifar10_table.table),
    "equal_cost": ("Searches at equal cost on CIFAR-10", equal_cost_tables.tables),
    "screening-ablation": ("Screening: one option changed at a time", search),
    "screening-digits": (
        "Screening on real training",
        lambda head, rows: screening.table(rows, head["budget"]),
    ),
    "screening-halved": (
        "Screening with early stopping",
        lambda head, rows: screening.table(rows, head["budget"]),
    ),
    "screening-cifar10": (
        "Screening on a CIFAR-10 subset",
        lambda head, rows: screening.table(rows, head["budget"]),
    ),
    "screening_library": (
        "Which library's model screens",
        lambda head, rows: screening_library.table(rows),
    ),
    "screening_cost": ("What screening costs", lambda head, rows: screening_cost.table(rows)),
    "overhead": ("Overhead of one trial of ten numbers", cost),
    "throughput": ("Images per second of training", throughput_tables.tables),
    "precision": (
        "bfloat16 against float32 on the CPU",
        lambda head, rows: precision.tables(list(rows)),
    ),
    "accuracy": ("Validation error of `fast` at equal epochs", accuracy_table.table),
    "gpu": ("Training on a graphics card", throughput_tables.card_tables),
}


def describe(head: Row) -> str:
    """Return where a table comes from, as a sentence."""
    packages = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    text = f"`{head['command']}`, n = {head['n']}, median [quartiles], {head['machine']}"
    return f"{text}; {packages}."


def section(kind: str, plots: bool) -> str:
    """Return one section of the page, empty if nothing was measured."""
    title, build = SECTIONS[kind]
    parts = []
    for path in sorted(RESULTS.glob(f"{kind}*.jsonl")):
        head, rows = read(path)
        parts += [f"### {path.stem}", build(head, rows), describe(head)]
        if plots and kind == "search":
            draw(regrets(rows), path.with_suffix(".png"), path.stem)
            parts.append(f"![Regret of {path.stem}](results/{path.stem}.png)")
    return "\n\n".join([f"## {title}", *parts]) if parts else ""


def draw(found: dict[str, Array], path: Path, title: str) -> None:
    """Draw the median regret with its quartiles against the evaluations."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, regret in found.items():
        low, middle, high = np.quantile(regret, [0.25, 0.5, 0.75], axis=0)
        evaluations = 10 * np.arange(1, regret.shape[1] + 1)
        (line,) = axes.plot(evaluations, middle, label=name, linewidth=2 if name == "de" else 1)
        axes.fill_between(evaluations, low, high, color=line.get_color(), alpha=0.12)
    axes.set(yscale="log", xlabel="evaluations", ylabel="regret", title=title)
    axes.legend(ncols=2, fontsize="small")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-plots", action="store_true")
    args = parser.parse_args()
    kept = README.read_text().split(MARK)[0].rstrip() if README.exists() else "# Benchmarks"
    sections = filter(None, (section(kind, not args.no_plots) for kind in SECTIONS))
    README.write_text("\n\n".join([kept, MARK, *sections]) + "\n")
    print(README)


if __name__ == "__main__":
    main()
