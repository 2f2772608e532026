"""Write the page of this folder: ``python -m benchmarks.sampler``."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from benchmarks.common import page
from benchmarks.common.results import Row, markdown
from benchmarks.sampler import (
    ablation,
    bbob,
    bbob_peers,
    cold_before,
    cold_start,
    constrained,
    constraints_ablation,
    continuous,
    fronts,
    fronts_ablation,
    mixint,
    overhead,
    rates_ablation,
    workers,
)
from benchmarks.sampler.tables_regret import CHECKPOINTS, summary


def _ablation(head: Row, rows: Sequence[Row]) -> str:
    keyed = {(json.dumps(r["setting"]), r["table"]): np.array(r["regret"]) for r in rows}
    return f"At {head['budget']} evaluations.\n\n{ablation.table(keyed)}"


SECTIONS: page.Sections = {
    "search": (
        "Search quality: regret after so many evaluations",
        page.regret_table(CHECKPOINTS, summary),
    ),
    "continuous": (
        "Numeric spaces",
        lambda head, rows: continuous.table(rows, head["budget"]),
    ),
    "bbob_peers": (
        "One objective: DESampler beside other solvers",
        lambda head, rows: bbob_peers.table(rows),
    ),
    "bbob": ("One objective: share of bbob's targets", lambda head, rows: bbob.table(rows)),
    "mixint": (
        "One objective of integers and floats: mean rank",
        lambda head, rows: mixint.table(rows),
    ),
    "fronts": (
        "Several objectives: mean rank by hypervolume",
        lambda head, rows: fronts.table(rows),
    ),
    "fronts_ablation": (
        "Several objectives: parts of the search, on the problems that tuned it",
        lambda head, rows: fronts_ablation.table(rows, fronts_ablation.peers()),
    ),
    "constrained": (
        "One objective with constraints: least feasible loss above the optimum",
        lambda head, rows: constrained.table(rows),
    ),
    "constraints_ablation": (
        "One objective with constraints: other orders of the population",
        lambda head, rows: constraints_ablation.table(rows),
    ),
    "rates_ablation": (
        "Learned rates: of all genes, of categories only, of none",
        lambda head, rows: rates_ablation.table(rows),
    ),
    "workers": ("Many workers", lambda head, rows: markdown(*workers.lines(rows))),
    "ablation": ("Defaults of DESampler: one option changed at a time", _ablation),
    "overhead": (
        "Overhead of one trial of ten numbers",
        lambda head, rows: overhead.table(rows),
    ),
    "cold_before": (
        "First ask of a new process, before and after",
        lambda head, rows: cold_before.table(rows),
    ),
    "cold_start": ("First ask of a new process", lambda head, rows: cold_start.table(rows)),
}

if __name__ == "__main__":
    page.main(__file__, SECTIONS, plotted="search")
