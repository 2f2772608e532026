"""The table of :mod:`benchmarks.cifar10.search`, from its rows."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.common.results import Row, markdown

SEED = (
    ("the seed's Model 1, as it was published", 16.4e6, 92.14),
    ("the seed's Model 2, as it was published", 7.79e6, 88.53),
)
"""Name, parameters and test accuracy in per cent of the seed report's two networks."""
COLUMNS = (
    *("trial", "architecture", "parameters", "MACs, millions", "search error, %"),
    *("test accuracy, %", "epochs", "training, minutes"),
)


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return the front of the search, with test accuracies, beside the seed's networks."""
    lines = [
        line(row) for row in sorted(rows, key=lambda r: -(r["parameters"] or 0)) if row["front"]
    ]
    seed = [
        ["", name, f"{size:,.0f}", "", "", f"{accuracy:.2f}", 200, ""]
        for name, size, accuracy in SEED
    ]
    return "\n\n".join([markdown(COLUMNS, [*seed, *lines]), cost(rows)])


def line(row: Row) -> list[object]:
    """Return the line of one network of the front."""
    final_cells: list[object] = ["not trained", "", ""]
    if "test error" in row:
        minutes = row["training seconds"] / 60
        final_cells = [f"{100 * (1 - row['test error']):.2f}", row["epochs"], f"{minutes:.0f}"]
    return [
        row["trial"],
        f"`{row['architecture']}`",
        f"{row['parameters']:,.0f}",
        f"{row['macs'] / 1e6:.1f}",
        f"{100 * row['search error']:.1f}",
        *final_cells,
    ]


def cost(rows: Sequence[Row]) -> str:
    """Say what the search and the trainings cost."""
    searched = sum(row["search seconds"] for row in rows) / 60
    trained = sum(row.get("training seconds", 0) for row in rows) / 60
    stopped = sum(row["state"] == "PRUNED" for row in rows)
    return (
        f"The search tried {len(rows)} networks, {stopped} of them stopped early, in "
        f"{searched:.0f} minutes of training on one thread each, two at once; the final trainings "
        f"took {trained:.0f} minutes on two threads."
    )
