"""Write the page of this folder: ``python -m benchmarks.halving``."""

from __future__ import annotations

from benchmarks.common import page
from benchmarks.halving import search

SECTIONS: page.Sections = {
    "halving_search": (
        "Early stopping in real searches",
        lambda head, rows: search.table(rows, head["budget"]),
    ),
}

if __name__ == "__main__":
    page.main(__file__, SECTIONS)
