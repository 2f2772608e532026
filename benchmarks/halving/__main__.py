"""Write the page of this folder: ``python -m benchmarks.halving``."""

from __future__ import annotations

from benchmarks.common import page
from benchmarks.halving import hub_pruner, search

SECTIONS: page.Sections = {
    "halving_search": (
        "Early stopping in real searches",
        lambda head, rows: search.table(rows, head["budget"]),
    ),
    "hub_pruner": (
        "Halving beside the hub's multi_metric_pruner, at equal epochs",
        lambda head, rows: hub_pruner.table(rows),
    ),
}

if __name__ == "__main__":
    page.main(__file__, SECTIONS)
