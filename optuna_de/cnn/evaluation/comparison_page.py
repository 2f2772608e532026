"""Markdown page of a comparison. Depends on its figures only; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna_de._markdown import escape, table

LEAST_PICKS = 3
"""Picks that a rank correlation needs."""


def comparison_page(result: dict[str, Any]) -> str:
    """Return a comparison as a Markdown page."""
    setup, seeds = result["setup"], result["setup"]["seeds"]
    images = setup["train images"] + setup["validation images"]
    recipe = f"{escape(setup['recipe']['name'])} version {setup['recipe']['version']}"
    parts = [
        f"# {len(result['rows'])} networks on {escape(setup['data'])}",
        f"Every network was trained from {len(seeds)} seeds ({', '.join(map(str, seeds))}) on "
        f"{images:,} images (training and validation splits together) for {setup['epochs']} "
        f"epochs of recipe {recipe}, batches of {setup['batch size']}. The test split was opened "
        "after the last training; figures are those of the last epoch, mean ± standard deviation "
        "over the seeds.",
        _table(result["rows"]),
        _correlation(result["rank correlation"]),
        *(
            f"{escape(row['network'])}: {len(row['failed'])} of {len(seeds)} trainings failed: "
            f"{escape(row['failed'][0])}"
            for row in result["rows"]
            if row["failed"]
        ),
        f"Machine: {escape(result['machine'])}. Versions: {escape(result['versions'])}.",
    ]
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[dict[str, Any]]) -> str:
    head = ("network", "parameters", "MACs", "search error", "test accuracy", "n", "each")
    text = ("network", "each", "architecture")
    return table((*head, "seconds", "architecture"), map(_cells, rows), left=text)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    spread, error = row["standard deviation"], row["search error"]
    mean = "failed" if row["mean"] is None else f"{row['mean']:.2%}"
    return (
        row["network"],
        f"{row['parameters']:,}",
        f"{row['macs']:,}",
        "" if error is None else f"{error:.2%}",
        mean if spread is None else f"{mean} ± {100 * spread:.2f}",
        str(len(row["test accuracies"])),
        ", ".join(f"{a:.2%}" for a in row["test accuracies"]),
        "" if row["seconds"] is None else f"{row['seconds']:,.1f}",
        row["architecture"],
    )


def _correlation(correlation: dict[str, Any]) -> str:
    what = "Spearman's rank correlation of the search's validation error and the final test error"
    value, picks = correlation["spearman"], correlation["picks"]
    if value is None:
        return f"{what} needs {LEAST_PICKS} picks of a study that differ; there are {picks}."
    return f"{what}: {value:.2f} over {picks} picks."
