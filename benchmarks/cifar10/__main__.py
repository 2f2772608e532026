"""Write the page of this folder: ``python -m benchmarks.cifar10``."""

from __future__ import annotations

from benchmarks.cifar10 import (
    equal_cost_tables,
    fidelity,
    finals,
    heirs,
    inheritance,
    search_table,
)
from benchmarks.common import page

SECTIONS: page.Sections = {
    "cifar10": ("CIFAR-10: a search and what became of its front", search_table.table),
    "finals": ("Final trainings of small networks", finals.table),
    "equal_cost": ("Searches at equal cost on CIFAR-10", equal_cost_tables.tables),
    "inheritance": ("Inherited weights at equal cost on CIFAR-10", inheritance.table),
    "heirs": ("One epoch of inherited weights, on digits", heirs.table),
    "fidelity": ("Cheap trainings against a long one on CIFAR-10", fidelity.table),
}

if __name__ == "__main__":
    page.main(__file__, SECTIONS)
