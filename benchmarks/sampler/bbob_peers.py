"""COCO's bbob: DESampler judged beside other solvers, on instances that did not tune it.

Run ``python -m benchmarks.sampler.bbob_peers``. All 24 functions, instances 51 to 55, dimensions
5, 2, 3, 10, 12 and 20 in this order; targets and shares are those of
:mod:`benchmarks.sampler.bbob`. Each run is appended to the result file, and a run that is there
already is left out, so the command goes on where it was stopped.

Solvers: ``de`` is DESampler (its search without a storage, child for child); ``pycma`` is pycma's
BIPOP-CMA-ES (sigma 2, starts in [-4, 4], no bounds, as its authors run it on bbob); ``optuna-cma``
is Optuna's CmaEsSampler, to 1,000 evaluations; ``scipy-de`` has 20 members and no polish; ``jade``
is minionpy's JADE with 20 members, which do not stop before the budget is spent.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import product

import cocoex
import numpy as np

from benchmarks.common.peers import quiet
from benchmarks.common.results import Array, Row, header, markdown, results_of, resumed
from benchmarks.sampler.bbob import (
    BOUND,
    CHECKPOINTS,
    FUNCTIONS,
    Adaptive,
    interval,
    losses,
    seed_of,
    shares_of,
)

RESULTS = results_of(__file__)
Function = Callable[[Array], float]
SLOW = 1000  # evaluations of a solver whose ask takes milliseconds


class _SpentError(Exception):
    """The budget is spent."""


class Counted:
    """A problem that keeps its losses, and raises beyond the budget."""

    def __init__(self, problem: Function, budget: int) -> None:
        self.problem, self.budget = problem, budget
        self.losses: list[float] = []

    def __call__(self, point: Sequence[float]) -> float:
        """Return the loss of a point, and keep it."""
        if len(self.losses) == self.budget:
            raise _SpentError
        self.losses.append(float(self.problem(np.asarray(point, dtype=float))))
        return self.losses[-1]


def with_pycma(loss: Counted, dimension: int, seed: int) -> None:
    """BIPOP-CMA-ES (Hansen, 2009) of pycma."""
    import cma

    rng = np.random.default_rng(seed)
    options = {"verbose": -9, "seed": seed, "maxfevals": loss.budget}
    while len(loss.losses) < loss.budget:
        cma.fmin2(
            loss, lambda: rng.uniform(-4, 4, dimension), 2.0, options, restarts=9, bipop=True
        )


def with_optuna_cma(loss: Counted, dimension: int, seed: int) -> None:
    """Optuna's CmaEsSampler with its defaults."""
    import optuna

    box = {
        f"x{i:02d}": optuna.distributions.FloatDistribution(-BOUND, BOUND)
        for i in range(dimension)
    }
    study = optuna.create_study(sampler=optuna.samplers.CmaEsSampler(seed=seed))
    for _ in range(min(SLOW, loss.budget)):
        trial = study.ask(dict(box))
        study.tell(trial, loss([trial.params[name] for name in box]))


def with_scipy(loss: Counted, dimension: int, seed: int) -> None:
    """SciPy's differential evolution of 20 members."""
    from scipy.optimize import differential_evolution
    from scipy.stats.qmc import LatinHypercube

    members = BOUND * (2 * LatinHypercube(dimension, rng=seed).random(20) - 1)
    differential_evolution(
        loss,
        [(-BOUND, BOUND)] * dimension,
        init=members,
        maxiter=loss.budget,
        tol=0,
        polish=False,
        rng=seed,
    )


def with_jade(loss: Counted, dimension: int, seed: int) -> None:
    """JADE (Zhang and Sanderson, 2009) of minionpy."""
    import minionpy

    box = [(-BOUND, BOUND)] * dimension

    def many(points: Sequence[Sequence[float]]) -> list[float]:
        left = max(0, loss.budget - len(loss.losses))
        values = [loss(point) for point in points[:left]]
        return values + [np.inf] * (len(points) - len(values))

    options = {"population_size": 20, "minimum_population_size": 20, "x_tol": 0.0}
    minionpy.Minimizer(
        many, box, algo="JADE", maxevals=loss.budget, seed=seed, options=options
    ).optimize()


PEERS: dict[str, Callable[[Counted, int, int], None]] = {
    "jade": with_jade,
    "scipy-de": with_scipy,
    "pycma": with_pycma,
    "optuna-cma": with_optuna_cma,
}
SOLVERS = ("de", *PEERS)


def run(
    solver: str, dimension: int, function: int, instance: int, budget: int
) -> dict[str, float]:
    """Return the shares of one run."""
    problem = cocoex.BareProblem("bbob", function, dimension, instance)
    seed = seed_of(function, dimension, instance)
    if solver == "de":
        values = losses(Adaptive(dimension, seed), problem, budget, workers=1)
    else:
        loss = Counted(problem, budget)
        with suppress(_SpentError):
            PEERS[solver](loss, dimension, seed)
        left = 0 if solver == "optuna-cma" else budget - len(loss.losses)
        values = np.array(loss.losses + [np.inf] * left)  # a population of one point has ended
    return shares_of(values - problem.best_value())


def table(rows: Sequence[Row]) -> str:
    """Return the mean share of targets by dimension and solver, with intervals over functions."""
    groups: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        key = row["dimension"], SOLVERS.index(row["solver"])
        groups.setdefault(key, []).append(row)
    lines = []
    for (dimension, place), group in sorted(groups.items()):
        cells = [_cell(group, str(n)) for n in CHECKPOINTS]
        lines.append((dimension, SOLVERS[place], *cells, len(group)))
    return markdown(["dimension", "solver", *map(str, CHECKPOINTS), "runs"], lines)


def _cell(group: Sequence[Row], evaluations: str) -> str:
    held = [row for row in group if evaluations in row["shares"]]
    by: dict[int, list[float]] = {}
    for row in held:
        by.setdefault(row["function"], []).append(row["shares"][evaluations])
    whole = len({len(shares) for shares in by.values()}) == 1
    return interval(np.array(list(by.values()))) if whole else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--solvers", default=",".join(SOLVERS), help="comma separated")
    parser.add_argument("--dimensions", default="5,2,3,10,12,20", help="comma separated")
    parser.add_argument("--instances", default="51,52,53,54,55", help="comma separated")
    parser.add_argument("--budget", type=int, default=3000, choices=CHECKPOINTS)
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")  # Optuna's experimental features
    instances = list(map(int, args.instances.split(",")))
    dimensions = list(map(int, args.dimensions.split(",")))
    jobs = [
        {"solver": solver, "dimension": dimension, "function": function, "instance": instance}
        for dimension, instance, function, solver in product(
            dimensions, instances, FUNCTIONS, args.solvers.split(",")
        )
    ]

    def measure(job: Row) -> Row:
        return {"shares": run(**job, budget=args.budget)}

    print(table(resumed(RESULTS / "bbob_peers.jsonl", header(len(instances)), jobs, measure)))


if __name__ == "__main__":
    main()
