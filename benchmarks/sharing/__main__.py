"""Write the page of this folder: ``python -m benchmarks.sharing``."""

from __future__ import annotations

from benchmarks.common import page
from benchmarks.sharing import chaos, chaos_launchers, many_workers, soak, storage_cost

SECTIONS: page.Sections = {
    "chaos": (
        "Workers under fire",
        lambda head, rows: chaos.table(rows),
    ),
    "chaos_launchers": (
        "Launchers under fire",
        lambda head, rows: chaos_launchers.table(rows),
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
