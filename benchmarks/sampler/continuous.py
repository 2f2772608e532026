"""Numeric spaces: COCO's bbob-biobj, and four classic functions of one objective.

Run ``python -m benchmarks.sampler.continuous biobj`` and ``python -m benchmarks.sampler.continuous
single``. bbob-biobj (Brockhoff et al., 2022): all 55 functions, box [-5, 5], the hypervolume of
all evaluated points between the ideal and the nadir point of the problem, in [0, 1]. Single: the
least loss found above the optimum, which lies at a place drawn for each seed.
"""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import Pool
from typing import Any

import cocoex
import moocore
import numpy as np
import optuna
from optuna.distributions import FloatDistribution
from optuna.samplers import CmaEsSampler
from optuna.study import StudyDirection

from benchmarks.common.peers import MakeSampler, maker, quiet
from benchmarks.common.results import Array, Row, cell, header, markdown, results_of, write

RESULTS = results_of(__file__)

BIOBJ = "random,nsga2,nsga2-50,gde3"
SINGLE = "random,nsga2,cma,scipy-de,scipy-de-20"
CHECKPOINTS = (100, 200, 500, 1000, 3000)
LEAST = 500  # evaluations from which on fronts are compared


@dataclass(frozen=True)
class Problem:
    """A function of points (dimension,) in a box, and what turns its losses into a quality.

    ``quality`` maps losses (n, objectives) to one number.
    """

    name: str
    dimension: int
    bound: float
    objectives: int
    evaluate: Callable[[Array], Array]
    quality: Callable[[Array], float]


class _SpentError(Exception):
    """The budget is spent."""


class _Recorder:
    """Counts and keeps the losses of a problem; raises ``_SpentError`` beyond the budget."""

    def __init__(self, problem: Problem, budget: int) -> None:
        self._problem, self._budget = problem, budget
        self.losses: list[Array] = []

    def __call__(self, point: Array) -> Array:
        if len(self.losses) == self._budget:
            raise _SpentError
        self.losses.append(self._problem.evaluate(np.asarray(point, dtype=float)))
        return self.losses[-1]


Solver = Callable[[Problem, _Recorder, int, int], None]  # problem, recorder, seed, budget


def with_optuna(make_sampler: MakeSampler) -> Solver:
    """Return a solver that asks a sampler and tells it the losses."""

    def solve(problem: Problem, record: _Recorder, seed: int, budget: int) -> None:
        box = FloatDistribution(-problem.bound, problem.bound)
        study = optuna.create_study(
            directions=[StudyDirection.MINIMIZE] * problem.objectives,
            sampler=make_sampler(seed),
            study_name=f"{problem.name}-{seed}",
        )
        for _ in range(budget):
            trial = study.ask({f"x{i}": box for i in range(problem.dimension)})
            point = np.array([trial.params[f"x{i}"] for i in range(problem.dimension)])
            study.tell(trial, list(map(float, record(point))))

    return solve


def with_scipy(population: int | None) -> Solver:
    """Return SciPy's DE, its own defaults or about that population size, never polished."""

    def solve(problem: Problem, record: _Recorder, seed: int, budget: int) -> None:
        from scipy.optimize import differential_evolution

        members = 15 if population is None else population // problem.dimension
        differential_evolution(
            lambda x: record(x)[0],
            [(-problem.bound, problem.bound)] * problem.dimension,
            popsize=members,
            maxiter=budget,
            tol=0,
            polish=False,
            rng=seed,
        )

    return solve


def with_gde3(problem: Problem, record: _Recorder, seed: int, budget: int) -> None:
    """GDE3 (Kukkonen and Lampinen, 2005) of pymoode on pymoo, population 20, its defaults."""
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.optimize import minimize
    from pymoode.algorithms import GDE3

    class _Elementwise(ElementwiseProblem):  # type: ignore[misc,unused-ignore]
        def _evaluate(self, x: Array, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            out["F"] = record(x)

    wrapped = _Elementwise(
        n_var=problem.dimension,
        n_obj=problem.objectives,
        xl=-problem.bound,
        xu=problem.bound,
    )
    minimize(wrapped, GDE3(pop_size=20), ("n_evals", budget), seed=seed)


def solver(name: str) -> Solver:
    """Return a solver by name: those below, else a sampler of :mod:`benchmarks.common.peers`."""
    solvers: dict[str, Solver] = {
        "gde3": with_gde3,
        "scipy-de": with_scipy(None),
        "scipy-de-20": with_scipy(20),
        "cma": with_optuna(lambda seed: CmaEsSampler(seed=seed)),
    }
    return solvers[name] if name in solvers else with_optuna(maker(name))


@lru_cache(maxsize=1)
def _suite(dimension: int) -> Any:
    return cocoex.Suite("bbob-biobj", "", f"dimensions: {dimension} instance_indices: 1")


def biobjective(number: int, dimension: int, seed: int) -> Problem:
    """Return function ``number`` (0 to 54) of bbob-biobj, first instance; no seed is needed."""
    problem = _suite(dimension)[number]
    parts = re.findall(r"bbob_f(\d+)_i(\d+)_d(\d+)", problem.name)
    bare = [cocoex.BareProblem("bbob", int(f), int(d), int(i)) for f, i, d in parts]
    ideal = np.array([part.best_value() for part in bare])
    nadir = np.asarray(problem.largest_fvalues_of_interest)

    def quality(losses: Array) -> float:
        return float(moocore.hypervolume((losses - ideal) / (nadir - ideal), ref=np.ones(2)))

    return Problem(f"f{number + 1:02d}", dimension, 5.0, 2, problem, quality)


def _sphere(x: Array) -> float:
    return float(np.sum(x**2))


def _rosenbrock(x: Array) -> float:
    y = x + 1
    return float(np.sum(100 * (y[1:] - y[:-1] ** 2) ** 2 + (1 - y[:-1]) ** 2))


def _rastrigin(x: Array) -> float:
    return float(np.sum(x**2 - 10 * np.cos(2 * np.pi * x) + 10))


def _ackley(x: Array) -> float:
    root, wave = np.sqrt(np.mean(x**2)), np.mean(np.cos(2 * np.pi * x))
    return float(-20 * np.exp(-0.2 * root) - np.exp(wave) + 20 + np.e)


CLASSIC = (_sphere, _rosenbrock, _rastrigin, _ackley)  # all have their optimum 0 at 0


def classic(number: int, dimension: int, seed: int) -> Problem:
    """Return a classic function in [-5, 5], moved by an offset in [-3, 3] drawn for the seed."""
    function = CLASSIC[number]
    offset = np.random.default_rng((seed, number)).uniform(-3, 3, dimension)
    return Problem(
        function.__name__.strip("_"),
        dimension,
        5.0,
        1,
        lambda x: np.array([function(x - offset)]),
        lambda losses: float(losses.min()),
    )


def _job(job: tuple[str, str, int, int, int, int]) -> Row:
    quiet()
    warnings.simplefilter("ignore")  # Optuna's experimental features
    kind, name, number, dimension, seed, budget = job
    make = biobjective if kind == "biobj" else classic
    problem = make(number, dimension, seed)
    record = _Recorder(problem, budget)
    with suppress(_SpentError):  # SciPy and pymoo are cut at the budget
        solver(name)(problem, record, seed, budget)
    losses = np.array(record.losses)
    quality = {str(n): problem.quality(losses[:n]) for n in CHECKPOINTS if n <= budget}
    return {"problem": problem.name, "solver": name, "seed": seed, "quality": quality}


def table(rows: Sequence[Row], budget: int) -> str:
    """Return the results as Markdown: per problem for one objective, over all for two."""
    solvers = list(dict.fromkeys(row["solver"] for row in rows))
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    if len(problems) <= len(CLASSIC):
        values = _by_problem(rows, budget)
        lines = [[p, *(_short(values[p, s]) for s in solvers)] for p in problems]
        return markdown(["function", *solvers], lines)
    lines = []
    for n in (n for n in CHECKPOINTS if LEAST <= n <= budget):
        values = _by_problem(rows, n)
        volumes = np.array([[values[p, s] for s in solvers] for p in problems])
        lines += [[n, *line] for line in _volumes(volumes, solvers)]
    base = solvers[_base(solvers)]
    columns = ["evaluations", "solver", "hypervolume", "mean rank", f"above {base}"]
    return markdown(columns, lines)


def _by_problem(rows: Sequence[Row], evaluations: int) -> dict[tuple[str, str], list[float]]:
    values: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        quality = row["quality"][str(evaluations)]
        values.setdefault((row["problem"], row["solver"]), []).append(quality)
    return values


def _short(values: Sequence[float]) -> str:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.2g} [{low:.2g}, {high:.2g}]"


def _volumes(volumes: Array, solvers: Sequence[str]) -> list[list[str]]:
    """Return the lines of hypervolumes (problems, solvers, seeds): size, rank, wins."""
    medians = np.median(volumes, axis=2)
    ranks = 1 + np.sum(medians[:, None, :] > medians[:, :, None], axis=2)
    wins = np.mean(medians > medians[:, [_base(solvers)]], axis=0)
    return [
        [name, cell(medians[:, i], 3), f"{ranks[:, i].mean():.2f}", f"{wins[i]:.0%}"]
        for i, name in enumerate(solvers)
    ]


def _base(solvers: Sequence[str]) -> int:
    return solvers.index("nsga2") if "nsga2" in solvers else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["biobj", "single"])
    parser.add_argument("--solvers", help="comma separated")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--dimension", type=int, default=5)
    parser.add_argument("--budget", type=int, default=500, choices=CHECKPOINTS)
    parser.add_argument("--every", type=int, default=1, help="take each so many-th function")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    parser.add_argument("--suffix", default="", help="end of the result file's name")
    args = parser.parse_args()
    biobj = args.kind == "biobj"
    names = (args.solvers or "de," + (BIOBJ if biobj else SINGLE)).split(",")
    seeds = args.seeds or (5 if biobj else 30)
    jobs = [
        (args.kind, name, number, args.dimension, seed, args.budget)
        for name in names
        for number in range(0, 55 if biobj else len(CLASSIC), args.every)
        for seed in range(seeds)
    ]
    with Pool(args.processes) as pool:
        rows = pool.map(_job, jobs, chunksize=1)
    print(f"{args.kind}, dimension {args.dimension}, {args.budget} evaluations, n = {seeds} seeds")
    print(table(rows, args.budget))
    if args.save:
        head = header(seeds, kind=args.kind, dimension=args.dimension, budget=args.budget)
        print(
            write(
                RESULTS / f"continuous-{args.kind}-{args.dimension}d{args.suffix}.jsonl",
                head,
                rows,
            )
        )


if __name__ == "__main__":
    main()
