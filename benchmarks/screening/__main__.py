"""Write the page of this folder: ``python -m benchmarks.screening``."""

from __future__ import annotations

from benchmarks.common import page
from benchmarks.sampler.tables_regret import CHECKPOINTS, summary
from benchmarks.screening import child_before, child_cost, cost, fidelities, library, real_training

_REGRET = page.regret_table(CHECKPOINTS, summary)
SECTIONS: page.Sections = {
    "search": ("Screening on tables: regret after so many evaluations", _REGRET),
    "screening-digits": (
        "Screening on real training",
        lambda head, rows: real_training.table(rows, head["budget"]),
    ),
    "screening-cifar10": (
        "Screening on a CIFAR-10 subset",
        lambda head, rows: real_training.table(rows, head["budget"]),
    ),
    "screening-halved": (
        "Screening with early stopping",
        lambda head, rows: real_training.table(
            [*rows, *real_training.unstopped(rows)], head["budget"]
        ),
    ),
    "screening-ablation": ("One option changed at a time", _REGRET),
    "screening_library": (
        "Which library's model screens",
        lambda head, rows: library.table(rows),
    ),
    "fidelities": ("What the model learns from stopped networks", fidelities.table),
    "child_before": (
        "A screened child before and after",
        lambda head, rows: child_before.table(rows),
    ),
    "screening_cost": ("What screening costs", lambda head, rows: cost.table(rows)),
    "child_cost": ("Time of one screened child", lambda head, rows: child_cost.table(rows)),
}

if __name__ == "__main__":
    page.main(__file__, SECTIONS, plotted="search")
