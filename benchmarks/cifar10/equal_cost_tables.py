"""Tables of searches at equal cost, from their rows. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from benchmarks.common.results import Array, Row, cell, markdown

POINTS = (20, 30, 40, 50, 60, 80, 100)
"""Networks after which the hypervolume is noted."""


def tables(head: Row, rows: Sequence[Row]) -> str:
    """Return the tables of one result file."""
    if "test error" in rows[0]:
        return "\n\n".join([finals(rows), correlation(rows)])
    return volumes(head, rows)


def arms(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each arm, in the order of the file."""
    return {a: [r for r in rows if r["arm"] == a] for a in dict.fromkeys(r["arm"] for r in rows)}


def volumes(head: Row, rows: Sequence[Row]) -> str:
    """Return each arm's hypervolume along the search, and the first arm's lead by seed."""
    points = [str(n) for n in POINTS if n <= head["budget"]]
    by_arm = arms(rows)
    last = {
        arm: np.array([row["volume"][points[-1]] for row in own]) for arm, own in by_arm.items()
    }
    ours = next(iter(last.values()))
    lines = [
        [
            arm,
            *(cell([row["volume"][n] for row in own], 3) for n in points),
            signed(ours - last[arm]),
            f"{np.median([row['training seconds'] for row in own]):.0f}",
        ]
        for arm, own in by_arm.items()
    ]
    columns = ["arm", *points, "lead of the first arm, by seed", "training s"]
    return markdown(columns, lines)


def signed(values: Array) -> str:
    """Return each value with its sign."""
    return " ".join(f"{value:+.3f}" for value in values)


def finals(rows: Sequence[Row]) -> str:
    """Return the test error of each arm's picks by size."""
    sizes = sorted({row["size"] for row in rows})
    lines = []
    for arm, own in arms(rows).items():
        cells = [[row["test error"] for row in own if row["size"] == size] for size in sizes]
        lines.append(
            [
                arm,
                *(f"{cell(errors, 3)} ({len(errors)})" if errors else "none" for errors in cells),
            ]
        )
    columns = ["arm", *(f"at most {size:,} parameters" for size in sizes)]
    return "Test error, number of networks in brackets.\n\n" + markdown(columns, lines)


def correlation(rows: Sequence[Row]) -> str:
    """Return Spearman's correlation of the searches' validation error with the test error."""
    unique = {row["architecture"] + str(row["seed"]): row for row in rows}.values()
    proxy, test = ([row[name] for row in unique] for name in ("error", "test error"))
    rho = spearmanr(proxy, test).statistic
    kept = f"Spearman {rho:.2f}, n = {len(unique)}"
    return f"Validation error in the search against test error: {kept}."
