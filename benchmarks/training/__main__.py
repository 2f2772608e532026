"""Write the page of this folder: ``python -m benchmarks.training``."""

from __future__ import annotations

from benchmarks.common import page
from benchmarks.training import accuracy_table, precision, throughput_tables

SECTIONS: page.Sections = {
    "throughput": ("Images per second of training", throughput_tables.tables),
    "precision": (
        "bfloat16 against float32 on the CPU",
        lambda head, rows: precision.tables(list(rows)),
    ),
    "accuracy": ("Validation error of `fast` at equal epochs", accuracy_table.table),
    "gpu": ("Training on a graphics card", throughput_tables.card_tables),
}

if __name__ == "__main__":
    page.main(__file__, SECTIONS)
