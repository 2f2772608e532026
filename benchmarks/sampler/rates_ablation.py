"""Learned rates: what it is worth that numbers beside categories learn theirs, too.

Run ``python -m benchmarks.sampler.rates_ablation``. An arm learns the rates of crossover and of
mutation of all kinds of genes or of categories only, or is ``adaptive=False``. The regret is that
of :mod:`benchmarks.sampler.tables_regret`; arms share their seeds. Runs are appended to the result
file, and those that are there are left out.
"""

# Stated before the first run. HPOLib's tables are the ones with numbers beside categories. Naval
# and protein were looked at when rates were made to be learned; slice and parkinsons were not, so
# they decide, with two objectives and with one, at 200 evaluations. Learned rates of numbers lose
# a table where the Wilcoxon test over seeds, two-sided, gives less than .01 and the mean of the
# differences is above 0; they win it where it is below 0. If they lose more of the four tables
# than they win, numbers keep fixed rates, and the code that learns theirs goes. If they win none
# and lose none, naval decides by the same test: a loss there means fixed rates.

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from itertools import product
from unittest.mock import patch

import numpy as np
from scipy.stats import wilcoxon

from benchmarks.common.peers import maker, quiet
from benchmarks.common.results import Array, Row, cell, header, markdown, results_of, resumed
from benchmarks.common.tabular import load
from benchmarks.sampler.tables_regret import run
from optuna_de.evolution.variation import Catalog
from optuna_de.sampler import learned_rates

RESULTS = results_of(__file__)
TABLES = (
    "hpolib-slice-params",
    "hpolib-parkinsons-params",
    "hpolib-naval-params",
    "hpolib-slice-error",
    "hpolib-parkinsons-error",
)
ARMS = {
    "all learn": ("number", "category", "unit"),
    "numbers fixed": ("category", "unit"),
    "adaptive=False": None,
}
CHECKPOINTS = (60, 110, 200)


def measure(job: Row) -> Row:
    """Return the regrets of one run."""
    kinds, own = ARMS[job["arm"]], learned_rates._kinds_of

    def some(catalog: Catalog) -> list[str]:
        return [kind for kind in own(catalog) if kind in (kinds or ())]

    make = maker("de" if kinds is not None else 'de{"adaptive": false}')
    with patch.object(learned_rates, "_kinds_of", some):
        regret = run(make, load(job["table"]), job["seed"], max(CHECKPOINTS))
    return {"regret": {str(n): round(float(regret[n - 1]), 6) for n in CHECKPOINTS}}


def table(rows: Sequence[Row]) -> str:
    """Return regrets of each table and arm, and how they differ from those where all learn."""
    lines = list[Sequence[object]]()
    for name, arm in product(TABLES, ARMS):
        held = _by_seed(rows, name, arm)
        if not held:
            continue
        learned = _by_seed(rows, name, "all learn")
        shared = sorted(held.keys() & learned.keys())
        gaps = np.array([learned[s] for s in shared]) - np.array([held[s] for s in shared])
        cells = [cell(np.array(list(held.values()))[:, i]) for i in range(len(CHECKPOINTS))]
        lines.append([name, arm, *cells, *_verdict(gaps), len(held)])
    columns = ["table", "rates", *map(str, CHECKPOINTS), "all learn minus these at 200", "p", "n"]
    return markdown(columns, lines)


def _by_seed(rows: Sequence[Row], name: str, arm: str) -> dict[int, list[float]]:
    held = [row for row in rows if (row["table"], row["arm"]) == (name, arm)]
    return {row["seed"]: [row["regret"][str(n)] for n in CHECKPOINTS] for row in held}


def _verdict(gaps: Array) -> tuple[str, str]:
    """Return the mean difference at the last checkpoint, and the p value of Wilcoxon's test."""
    if not len(gaps) or not gaps[:, -1].any():
        return "0", "-"
    return f"{gaps[:, -1].mean():+.5f}", f"{float(wilcoxon(gaps[:, -1]).pvalue):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", default=",".join(TABLES), help="comma separated")
    parser.add_argument("--arms", default=",".join(ARMS), help="comma separated")
    parser.add_argument("--seeds", type=int, default=40)
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")  # Optuna's experimental features
    jobs = [
        {"table": name, "arm": arm, "seed": seed}
        for name, seed, arm in product(
            args.tables.split(","), range(args.seeds), args.arms.split(",")
        )
    ]
    print(table(resumed(RESULTS / "rates_ablation.jsonl", header(args.seeds), jobs, measure)))


if __name__ == "__main__":
    main()
