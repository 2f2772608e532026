"""Write the page of this folder: ``python -m benchmarks.imports``."""

from __future__ import annotations

from benchmarks.common import page
from benchmarks.imports import import_time

SECTIONS: page.Sections = {
    "import_time": (
        "Processor time and memory of an import",
        lambda head, rows: import_time.table(rows, head["before"]),
    ),
}

if __name__ == "__main__":
    page.main(__file__, SECTIONS)
