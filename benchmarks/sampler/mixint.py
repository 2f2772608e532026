"""COCO's bbob-mixint: one objective of integers and floats, DESampler beside Optuna's samplers.

Run ``python -m benchmarks.sampler.mixint``. All 24 functions (Tusar et al., 2019) in five and ten
dimensions, of which four fifths are integers; instances 1 to 3, no part of DESampler was tuned on
them. Samplers rank by the mean over instances of the least loss found. ``cma`` is CmaEsSampler
with margin (Hamano et al., 2022), ``nsga2`` has 20 members. Runs are appended to the result file,
and those that are there are left out.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import cocoex
import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler

from benchmarks.common.peers import maker, quiet
from benchmarks.common.results import Row, header, markdown, results_of, resumed

RESULTS = results_of(__file__)
CHECKPOINTS = (100, 300, 1000)
FUNCTIONS = range(1, 25)


@lru_cache(maxsize=4)
def _suite(dimension: int, instance: int) -> Any:
    options = f"dimensions: {dimension} instance_indices: {instance}"
    return cocoex.Suite("bbob-mixint", "", options)


def sampler_of(solver: str, seed: int) -> BaseSampler:
    """Return a sampler by name: ``cma``, or one of :mod:`benchmarks.common.peers`."""
    return CmaEsSampler(seed=seed, with_margin=True) if solver == "cma" else maker(solver)(seed)


def run(solver: str, dimension: int, function: int, instance: int, budget: int) -> Row:
    """Return the least losses of one run after some numbers of evaluations."""
    problem = _suite(dimension, instance)[function - 1]
    box: dict[str, BaseDistribution] = {
        f"x{i:02d}": IntDistribution(int(low), int(high))
        if i < problem.number_of_integer_variables
        else FloatDistribution(float(low), float(high))
        for i, (low, high) in enumerate(
            zip(problem.lower_bounds, problem.upper_bounds, strict=True)
        )
    }
    study = optuna.create_study(sampler=sampler_of(solver, 100 * function + instance))
    values = list[float]()
    for _ in range(budget):
        trial = study.ask(dict(box))
        values.append(float(problem(np.array([trial.params[name] for name in box], dtype=float))))
        study.tell(trial, values[-1])
    return {"least": {str(n): min(values[:n]) for n in CHECKPOINTS if n <= budget}}


def table(rows: Sequence[Row]) -> str:
    """Return the samplers' mean ranks over the functions, by dimension and evaluations."""
    solvers = list(dict.fromkeys(row["solver"] for row in rows))
    lines = []
    for dimension in sorted({row["dimension"] for row in rows}):
        for n in map(str, CHECKPOINTS):
            held = [r for r in rows if r["dimension"] == dimension and n in r["least"]]
            for some in _groups(held, solvers):
                ranks = _ranks([r for r in held if r["solver"] in some], n, some)
                known = dict(zip(some, ranks.mean(axis=0), strict=True))
                cells = [f"{known[s]:.2f}" if s in known else "-" for s in solvers]
                lines.append([dimension, n, len(ranks), *cells])
    return markdown(["dimension", "evaluations", "functions", *solvers], lines)


def _groups(rows: Sequence[Row], solvers: Sequence[str]) -> list[list[str]]:
    """Return the solvers that ran most, and all that ran, where some ran on fewer functions."""
    runs = Counter(row["solver"] for row in rows)
    most = [s for s in solvers if runs[s] == max(runs.values())]
    some = [s for s in solvers if runs[s]]
    return [most] if most == some else [most, some]


def _ranks(rows: Sequence[Row], n: str, solvers: Sequence[str]) -> Any:
    """Return ranks (functions, solvers), ties share the mean, where all solvers ran."""
    ranks = []
    for function in FUNCTIONS:
        by: dict[str, list[float]] = {}
        for row in rows:
            if row["function"] == function:
                by.setdefault(row["solver"], []).append(row["least"][n])
        if len(by) == len(solvers) and len({len(least) for least in by.values()}) == 1:
            means = np.array([np.mean(by[solver]) for solver in solvers])
            below, level = means[None] < means[:, None], means[None] == means[:, None]
            ranks.append(1 + below.sum(axis=1) + (level.sum(axis=1) - 1) / 2)
    return np.array(ranks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--solvers", default="de,cma,nsga2,tpe", help="comma separated")
    parser.add_argument("--dimensions", default="5,10", help="comma separated")
    parser.add_argument("--functions", default=",".join(map(str, FUNCTIONS)), help="likewise")
    parser.add_argument("--instances", default="1,2,3", help="comma separated")
    parser.add_argument("--budget", type=int, default=1000, choices=CHECKPOINTS)
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")  # Optuna's experimental features
    dimensions, instances, functions = (
        list(map(int, text.split(",")))
        for text in (args.dimensions, args.instances, args.functions)
    )
    jobs = [
        {"solver": solver, "dimension": dimension, "function": function, "instance": instance}
        for dimension, instance, function, solver in product(
            dimensions, instances, functions, args.solvers.split(",")
        )
    ]

    def measure(job: Row) -> Row:
        return run(**job, budget=args.budget)

    print(table(resumed(RESULTS / "mixint.jsonl", header(len(instances)), jobs, measure)))


if __name__ == "__main__":
    main()
