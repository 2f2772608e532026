"""Write the page of this folder: ``python -m benchmarks.devices``."""

from __future__ import annotations

from benchmarks.common.page import main
from benchmarks.devices import fronts, int8, latency_table, price_errors, three_objectives

SECTIONS = {
    "price-errors": ("Errors of computed prices", price_errors.table),
    "latency-table": ("Latency table on networks that it has not seen", latency_table.table),
    "fronts": ("Searched for latency or for parameters, at equal cost", fronts.table),
    "int8": ("Int8 against float32", int8.table),
    "three-objectives": ("Three objectives, two of them known", three_objectives.table),
}

if __name__ == "__main__":
    main(__file__, SECTIONS)
