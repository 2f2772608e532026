"""Confusion of classes: errors by class, a table and a drawing of the matrix. No torch."""

from __future__ import annotations

import html
from collections.abc import Sequence

from optuna_de._colours import CLASSES
from optuna_de._markdown import table
from optuna_de._text import printable

MOST_DRAWN = 30
"""Classes of the largest confusion matrix that is drawn."""
MOST_KEPT = 100
"""Classes of the largest confusion matrix that a result keeps."""
_MOST_LISTED = 10
_CELL, _MARGIN, _NAME = 34, 110, 14  # pixels; pixels; characters
Counts = Sequence[Sequence[int]]


def class_errors(confusion: Counts, classes: Sequence[str]) -> dict[str, float]:
    """Return the error rate of each class of a confusion matrix; absent classes miss.

    Args:
        confusion: Images of each class (row) by answer (column).
        classes: Names of the classes.
    """
    rows = zip(classes, enumerate(confusion), strict=True)
    return {name: round(1 - row[i] / sum(row), 6) for name, (i, row) in rows if sum(row)}


def confusion_table(confusion: Counts, classes: Sequence[str]) -> str:
    """Return the confusion matrix of up to ten classes in Markdown; empty for more."""
    if not confusion or len(classes) > _MOST_LISTED:
        return ""
    rows = ((f"is {name}", *row) for name, row in zip(classes, confusion, strict=True))
    return table(("images", *classes), rows, left=("images",))


def draw_confusion(confusion: Counts, classes: Sequence[str]) -> str:
    """Draw a confusion matrix as SVG: rows are classes, columns answers, shades shares."""
    side = _MARGIN + _CELL * len(classes) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" width="{side}" '
        f'height="{side}" font-family="sans-serif" font-size="12">'
        f"<title>Confusion matrix: rows are classes, columns are answers</title>"
        f'<rect width="{side}" height="{side}" fill="white"/>'
        '<text x="12" y="20" fill="#666666">rows: classes</text>'
        '<text x="12" y="36" fill="#666666">columns: answers</text>'
    ]
    for i, (name, row) in enumerate(zip(classes, confusion, strict=True)):
        at = _MARGIN + _CELL * i
        middle = at + _CELL // 2
        shown = html.escape(_short(name))
        parts.append(
            f'<text x="{_MARGIN - 6}" y="{middle + 4}" text-anchor="end">{shown}</text>'
            f'<text transform="translate({middle + 4} {_MARGIN - 6}) rotate(-90)">{shown}</text>'
        )
        parts += [
            _cell(n, n / max(1, sum(row)), _MARGIN + _CELL * j, at) for j, n in enumerate(row)
        ]
    return "".join(parts) + "</svg>\n"


def _short(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _NAME else f"{text[: _NAME - 3]}..."


def _cell(count: int, share: float, x: int, y: int) -> str:
    ink = "white" if share > 0.5 else "#222222"
    number = f'<text x="{x + _CELL // 2}" y="{y + _CELL // 2 + 4}" text-anchor="middle" '
    return (
        f'<rect x="{x}" y="{y}" width="{_CELL - 1}" height="{_CELL - 1}" fill="{CLASSES[0]}" '
        f'fill-opacity="{0.04 + 0.96 * share:.3f}"/>'
        + (f'{number}fill="{ink}">{count}</text>' if count else "")
    )
