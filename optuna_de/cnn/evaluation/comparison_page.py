"""A comparison as a Markdown page. Knows its figures alone, no networks, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

LEAST_PICKS = 3
"""Picks that a rank correlation needs."""


def comparison_page(result: dict[str, Any]) -> str:
    """Return a comparison as a Markdown page."""
    setup, seeds = result["setup"], result["setup"]["seeds"]
    images = setup["train images"] + setup["validation images"]
    parts = [
        f"# {len(result['rows'])} networks on {setup['data']}",
        f"Every network was trained from {len(seeds)} seeds ({', '.join(map(str, seeds))}) on "
        f"{images:,} images (train and validation splits together) for {setup['epochs']} epochs "
        f"of recipe {setup['recipe']['name']} version {setup['recipe']['version']}, batches of "
        f"{setup['batch size']}. The test split was opened after the last training; figures are "
        "those of the last epoch, mean ± standard deviation over the seeds.",
        _table(result["rows"]),
        _correlation(result["rank correlation"]),
        *(
            f"{row['network']}: {len(row['failed'])} of {len(seeds)} trainings failed: "
            f"{row['failed'][0]}"
            for row in result["rows"]
            if row["failed"]
        ),
        f"Machine: {result['machine']}. Versions: {result['versions']}.",
    ]
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[dict[str, Any]]) -> str:
    head = ("network", "parameters", "MACs", "search error", "test accuracy", "n", "each")
    lines = [f"| {' | '.join((*head, 'seconds', 'architecture'))} |"]
    lines.append("| --- | --: | --: | --: | --: | --: | --- | --: | --- |")
    for row in rows:
        spread, error = row["standard deviation"], row["search error"]
        mean = "failed" if row["mean"] is None else f"{row['mean']:.2%}"
        cells = (
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
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _correlation(found: dict[str, Any]) -> str:
    what = "Spearman's rank correlation of the search's validation error and the final test error"
    if found["spearman"] is None:
        return (
            f"{what} needs {LEAST_PICKS} picks of a study that differ; there are {found['picks']}."
        )
    return f"{what}: {found['spearman']:.2f} over {found['picks']} picks."
