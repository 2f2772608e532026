"""Write the page of this folder: ``python -m benchmarks.sharing``."""

from __future__ import annotations

from benchmarks.common import page
from benchmarks.common.results import markdown
from benchmarks.sharing import chaos, many_workers, soak, storage_cost

SECTIONS: page.Sections = {
    "chaos": (
        "Workers under fire",
        lambda head, rows: markdown(
            chaos.COLUMNS, [[row[name] for name in chaos.COLUMNS] for row in rows]
        ),
    ),
    "many_workers": (
        "Two hundred workers on a server",
        lambda head, rows: many_workers.table(rows),
    ),
    "soak": ("Memory of a worker over an hour", lambda head, rows: soak.table(rows)),
    "storage_cost": (
        "A trial of 45 parameters on SQLite",
        lambda head, rows: storage_cost.table(rows),
    ),
}

if __name__ == "__main__":
    page.main(__file__, SECTIONS)
