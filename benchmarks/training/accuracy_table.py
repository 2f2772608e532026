"""The table of :mod:`benchmarks.training.accuracy`, from its rows. Knows no torch."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.common.results import Row, cell, markdown
from optuna_de.cnn.architecture.zoo import MODEL_2

MODEL_2_NORMED = MODEL_2.replace("C", "B") + "-GAP"


def errors(rows: Sequence[Row], network: str, arm: str) -> list[float]:
    """Return the errors of an arm by seed."""
    return [r["error"] for r in rows if (r["network"], r["arm"]) == (network, arm)]


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return the table: errors, and what ``fast`` gains on each other arm, seed by seed."""
    lines = []
    for text, arm in dict.fromkeys((r["network"], r["arm"]) for r in rows):
        shares = errors(rows, text, arm)
        base = errors(rows, text, "fast")
        gains = [100 * (theirs - ours) for theirs, ours in zip(shares, base, strict=True)]
        epochs = next(r["epochs"] for r in rows if r["network"] == text)
        gain = "" if arm == "fast" else cell(gains, 1)
        lines.append([text, epochs, arm, len(shares), cell([100 * e for e in shares], 1), gain])
    columns = ["network", "epochs", "training", "seeds", "error, %", "`fast` gains, points"]
    images = f"{head['train']} training and {head['validation']} validation images."
    over = [
        100 * (theirs - ours)
        for theirs, ours in zip(
            errors(rows, MODEL_2, "seed-search"),
            errors(rows, MODEL_2_NORMED, "fast"),
            strict=True,
        )
    ]
    gained = f"Model 2's body, normalised and with a pooled head, gains {median(over):.1f} points"
    return f"{images}\n\n{markdown(columns, lines)}\n\n{gained} with `fast` over `seed-search`."
