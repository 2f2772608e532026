"""Several objectives: DESampler beside GDE3, NSDE, NSGA-II, NSGA-III and TPE on pymoo's problems.

Run ``python -m benchmarks.sampler.fronts``. 24 problems of two objectives: ZDT 1 to 4 and 6
(Zitzler et al., 2000), WFG 1 to 9 with ten variables (Huband et al., 2006), MW 1, 2, 3 and 6 (Ma
and Wang, 2019), BNH, OSY, TNK, a truss and a welded beam with constraints, and ZDT4 with integers;
and DTLZ 1, 2 and 7 with three objectives (Deb et al., 2005). The quality is the hypervolume of all
feasible evaluated points, in the box between the ideal point and the worse of the nadir point and
nine tenths of random points. ``gde3`` and ``nsde`` are pymoode's with 20 members. Runs are
appended to the result file, and those that are there are left out.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import moocore
import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection

from benchmarks.common.peers import maker, quiet
from benchmarks.common.results import Array, Row, header, markdown, results_of, resumed

RESULTS = results_of(__file__)
CHECKPOINTS = (250, 1000, 3000)
SOLVERS = "de,gde3,nsde,nsga2,nsga2-50,nsga3,tpe"
PLAIN = ("zdt1", "zdt2", "zdt3", "zdt4", "zdt6", *(f"wfg{i}" for i in range(1, 10)))
BOUND = ("mw1", "mw2", "mw3", "mw6", "bnh", "osy", "tnk", "truss2d", "welded_beam")
TWO = (*PLAIN, *BOUND, "zdt4-integers")
THREE = ("dtlz1", "dtlz2", "dtlz7")
TUNING = (  # of DESampler, see fronts_ablation
    *("zdt1", "zdt4", "wfg1", "wfg3", "wfg5", "wfg7", "wfg9"),
    *("mw1", "mw3", "osy", "tnk", "truss2d", "dtlz1"),
)
GROUPS = {
    "two": TWO,
    "two, the 12 that tuned DESampler": tuple(name for name in TWO if name in TUNING),
    "two, the other 12": tuple(name for name in TWO if name not in TUNING),
    "three (dtlz1 tuned DESampler)": THREE,
}
FRONTS = {  # ideal and nadir where pymoo has to download its front
    "osy": ((-274.0, 4.0), (-42.0, 76.0)),
    "tnk": ((0.04, 0.04), (1.04, 1.04)),
    "welded_beam": ((2.38, 0.0004), (36.4, 0.0157)),
    "dtlz7": ((0.0, 0.0, 2.61), (0.86, 0.86, 6.0)),
}


@dataclass(frozen=True)
class Problem:
    """A pymoo problem, the box of its hypervolume (2, objectives), and which variables round."""

    inner: Any
    box: Array
    integers: NDArray[np.bool_]

    def evaluate(self, point: Array) -> tuple[Array, Array]:
        """Return the objectives and the constraints (feasible at 0 or below) of a point."""
        x = np.where(self.integers, np.round(point), point)
        evaluated = self.inner.evaluate(x[None], return_as_dictionary=True)
        return evaluated["F"][0], evaluated["G"][0] if self.inner.n_ieq_constr else np.zeros(0)


@lru_cache(maxsize=1)
def problem(name: str) -> Problem:
    """Return a problem by name."""
    from pymoo.problems import get_problem

    base, size = name.removesuffix("-integers"), dict[str, int]()
    if base.startswith("wfg"):
        size = {"n_var": 10, "n_obj": 2, "k": 4}
    elif base.startswith("dtlz"):
        size = {"n_var": 7, "n_obj": 3}
    inner = get_problem(base, **size)
    integers = np.full(inner.n_var, name != base) & (np.arange(inner.n_var) > 0)
    if base in FRONTS:
        ideal, nadir = map(np.array, FRONTS[base])
    else:
        front = inner.pareto_front()
        ideal, nadir = front.min(axis=0), front.max(axis=0)
    points = np.random.default_rng(0).uniform(inner.xl, inner.xu, (1000, inner.n_var))
    random = np.quantile(inner.evaluate(points, return_as_dictionary=True)["F"], 0.9, axis=0)
    return Problem(inner, np.array([ideal, np.maximum(nadir, random)]), integers)


class _SpentError(Exception):
    """The budget is spent."""


class Recorder:
    """Keeps what was evaluated; raises beyond the budget."""

    def __init__(self, problem: Problem, budget: int) -> None:
        self.problem, self.budget = problem, budget
        self.losses: list[Array] = []

    def __call__(self, point: Array) -> tuple[Array, Array]:
        """Return the objectives and constraints of a point; an infeasible one counts nothing."""
        if len(self.losses) == self.budget:
            raise _SpentError
        losses, constraints = self.problem.evaluate(point)
        feasible = bool((constraints <= 0).all())
        self.losses.append(losses if feasible else np.full(len(losses), np.inf))
        return losses, constraints


def with_optuna(name: str, record: Recorder, seed: int) -> None:
    """Ask a sampler of :mod:`benchmarks.common.peers`."""
    inner, integers = record.problem.inner, record.problem.integers
    box: dict[str, BaseDistribution] = {
        f"x{i:02d}": IntDistribution(int(low), int(high))
        if integers[i]
        else FloatDistribution(float(low), float(high))
        for i, (low, high) in enumerate(zip(inner.xl, inner.xu, strict=True))
    }
    directions = [StudyDirection.MINIMIZE] * inner.n_obj
    study = optuna.create_study(directions=directions, sampler=maker(name)(seed))
    for _ in range(record.budget):
        trial = study.ask(dict(box))
        losses, constraints = record(np.array([trial.params[n] for n in box], dtype=float))
        for i, value in enumerate(constraints):
            trial.set_constraint(f"c{i}", float(value))
        study.tell(trial, list(map(float, losses)))


def with_pymoode(name: str, record: Recorder, seed: int) -> None:
    """Run GDE3 (Kukkonen and Lampinen, 2005) or NSDE of pymoode, 20 members, its defaults."""
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.optimize import minimize
    from pymoode import algorithms

    inner = record.problem.inner

    class _Elementwise(ElementwiseProblem):  # type: ignore[misc,unused-ignore]
        def _evaluate(self, x: Array, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            out["F"], out["G"] = record(x)

    wrapped = _Elementwise(
        n_var=inner.n_var,
        n_obj=inner.n_obj,
        n_ieq_constr=inner.n_ieq_constr,
        xl=inner.xl,
        xu=inner.xu,
    )
    make: Callable[..., Any] = {"gde3": algorithms.GDE3, "nsde": algorithms.NSDE}[name]
    minimize(wrapped, make(pop_size=20), ("n_evals", 2 * record.budget), seed=seed)


def run(name: str, solver: str, seed: int, budget: int) -> Row:
    """Return the hypervolumes of one run."""
    target = problem(name)
    record = Recorder(target, budget)
    with suppress(_SpentError):
        solve = with_pymoode if solver in ("gde3", "nsde") else with_optuna
        solve(solver, record, seed)
    low, high = target.box
    scaled = (np.array(record.losses) - low) / (high - low)
    reference = np.ones(len(low))
    volumes = {
        str(n): float(moocore.hypervolume(np.minimum(scaled[:n], 1.0), ref=reference))
        for n in CHECKPOINTS
        if n <= budget
    }
    return {"volumes": volumes}


def table(rows: Sequence[Row]) -> str:
    """Return mean ranks by the median volume, at each checkpoint, for groups of problems.

    A solver that lacks a problem of a group does not rank there.
    """
    solvers = list(dict.fromkeys(row["solver"] for row in rows))
    lines = []
    for (title, names), n in product(GROUPS.items(), map(str, CHECKPOINTS)):
        by: dict[tuple[str, str], list[float]] = {}
        for row in rows:
            if row["problem"] in names and n in row["volumes"]:
                by.setdefault((row["problem"], row["solver"]), []).append(row["volumes"][n])
        held = [name for name in names if any((name, solver) in by for solver in solvers)]
        whole = {s for s in solvers if all((name, s) in by for name in held)}
        if held:
            medians = [
                [float(np.median(by[name, s])) if s in whole else np.nan for s in solvers]
                for name in held
            ]
            lines.append([title, n, len(held), *_mean_ranks(np.array(medians))])
    titles = [_titled(solver, rows) for solver in solvers]
    return markdown(["objectives", "evaluations", "problems", *titles], lines)


def _titled(solver: str, rows: Sequence[Row]) -> str:
    """Return a solver's name, with its runs of a problem where others have more."""
    runs = Counter((row["solver"], row["problem"]) for row in rows)
    own = min(count for (name, _), count in runs.items() if name == solver)
    return solver if own == max(runs.values()) else f"{solver} (n = {own})"


def _mean_ranks(medians: Array) -> list[str]:
    """Return mean ranks (ties share the mean); ``-`` for a solver that did not run so long."""
    above = (medians[:, None, :] > medians[:, :, None]).sum(axis=2)
    level = (medians[:, None, :] == medians[:, :, None]).sum(axis=2)
    ranks = np.where(np.isnan(medians), np.nan, 1 + above + (level - 1) / 2).mean(axis=0)
    return ["-" if np.isnan(rank) else f"{rank:.2f}" for rank in ranks]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--solvers", default=SOLVERS, help="comma separated")
    parser.add_argument("--problems", default=",".join((*TWO, *THREE)), help="comma separated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=1000, choices=CHECKPOINTS)
    parser.add_argument("--suffix", default="", help="end of the result file's name")
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")  # Optuna's experimental features
    solvers = args.solvers.split(",")
    jobs = [
        {"problem": name, "solver": solver, "seed": seed}
        for name, seed, solver in product(args.problems.split(","), range(args.seeds), solvers)
    ]

    def measure(job: Row) -> Row:
        return run(job["problem"], job["solver"], job["seed"], args.budget)

    path = RESULTS / f"fronts{args.suffix}.jsonl"
    print(table(resumed(path, header(args.seeds), jobs, measure)))


if __name__ == "__main__":
    main()
