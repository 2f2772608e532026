"""Markdown page of a comparison. Depends on its figures only; no torch."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from optuna_de._markdown import escape, table
from optuna_de.cnn.evaluation.confusion import (
    MOST_DRAWN,
    class_errors,
    confusion_table,
    draw_confusion,
)
from optuna_de.cnn.study.objectives import value_text

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
        _table(result["rows"], setup.get("metric", "error")),
        _correlation(result["rank correlation"]),
        *(
            f"{escape(row['network'])}: {len(row['failed'])} of {len(seeds)} trainings failed: "
            f"{escape(row['failed'][0])}"
            for row in result["rows"]
            if row["failed"]
        ),
        *_classes(result["rows"], setup["classes"]),
        f"Machine: {escape(result['machine'])}. Versions: {escape(result['versions'])}.",
    ]
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[dict[str, Any]], metric: str) -> str:
    head = ("network", "parameters", "MACs", *_others(rows[0]), f"search {metric}")
    tested = ("test accuracy", *([] if metric == "error" else [f"test {metric}"]))
    text = ("network", "each", "architecture")
    cells = (_cells(row, metric) for row in rows)
    return table((*head, *tested, "n", "each", "seconds", "architecture"), cells, left=text)


def _others(row: dict[str, Any]) -> list[str]:
    """Return the objectives of the study that have no column of their own."""
    return [name for name in row["objectives"] if name not in ("parameters", "macs")]


def _spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation of shares, in per cent."""
    if not values:
        return "failed"
    spread = f" ± {100 * stdev(values):.2f}" if len(values) > 1 else ""
    return f"{fmean(values):.2%}{spread}"


def _cells(row: dict[str, Any], metric: str) -> tuple[str, ...]:
    error, prices = row["search error"], row["objectives"]
    return (
        row["network"],
        f"{row['parameters']:,}",
        f"{row['macs']:,}",
        *("" if prices[n] is None else value_text(n, prices[n]) for n in _others(row)),
        "" if error is None else f"{error:.2%}",
        _spread(row["test accuracies"]),
        *([] if metric == "error" else [_spread(row["test errors"])]),
        str(len(row["test accuracies"])),
        ", ".join(f"{a:.2%}" for a in row["test accuracies"]),
        "" if row["seconds"] is None else f"{row['seconds']:,.1f}",
        row["architecture"],
    )


def confusion_drawings(result: dict[str, Any]) -> dict[str, str]:
    """Return drawings of the confusion matrices of a comparison, by file name."""
    classes = result["setup"]["classes"]
    if len(classes) > MOST_DRAWN:
        return {}
    return {
        _drawing(number): draw_confusion(row["confusion"], classes)
        for number, row in enumerate(result["rows"], 1)
        if row["confusion"]
    }


def _drawing(number: int) -> str:
    return f"confusion-{number:02d}.svg"


def _classes(rows: Sequence[dict[str, Any]], classes: Sequence[str]) -> list[str]:
    """Return test errors by class and confusion matrices, test images of all seeds together."""
    scored = [(i, row) for i, row in enumerate(rows, 1) if row["confusion"]]
    if not scored:
        return []
    errors = [class_errors(row["confusion"], classes) for _, row in scored]
    lines = [
        (name, *(f"{each[name]:.2%}" if name in each else "" for each in errors))
        for name in classes
    ]
    head = ("class", *(row["network"] for _, row in scored))
    parts = ["## Classes", "Test errors by class, over all seeds.", table(head, lines)]
    if len(classes) <= MOST_DRAWN:
        names = [f"[{escape(row['network'])}]({_drawing(i)})" for i, row in scored]
        parts.append(f"Confusion matrices, drawn: {', '.join(names)}.")
    for _, row in scored:
        if text := confusion_table(row["confusion"], classes):
            parts += [f"### {escape(row['network'])}", text]
    return parts


def _correlation(correlation: dict[str, Any]) -> str:
    what = "Spearman's rank correlation of the search's validation error and the final test error"
    value, picks = correlation["spearman"], correlation["picks"]
    if value is None:
        return f"{what} needs {LEAST_PICKS} picks of a study that differ; there are {picks}."
    return f"{what}: {value:.2f} over {picks} picks."
