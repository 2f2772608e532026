"""COCO's bbob: the share of targets that a search of one objective reaches, by its parts.

Run ``python -m benchmarks.sampler.bbob --dimensions 2,5,10 --save``. All 24 functions
(Hansen et al., 2009) in the box [-5, 5]; 51 targets from 10^2 to 10^-8 above the optimum, evenly
in their logarithm. Instances 1 to 5 are those that the defaults were tuned on. Workers are
simulated: each evaluation takes between half and one and a half units of time.

An arm is a set of parts of the search, driven without a storage: ``cma`` alone, with a
``model`` (its minimum is every fourth child) and with a share of ``differences`` (the children
that other studies get); ``differences`` alone is the rule of other studies.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from multiprocessing import Pool
from typing import Protocol

import cocoex
import numpy as np

from benchmarks.common.results import Array, Row, header, markdown, results_of, write
from optuna_de.evolution.cma_fold import CMAFold, Evaluation, RunRules, model_minimum, sample
from optuna_de.evolution.genome import reflect

RESULTS = results_of(__file__)
TARGETS = 10.0 ** np.linspace(2, -8, 51)
CHECKPOINTS = (100, 300, 1000, 3000)
FUNCTIONS = range(1, 25)
STARTUP = 10


@dataclass(frozen=True)
class Child:
    """A point of the unit cube, the run it was planned in, and the trials that were finished."""

    point: Array
    run: int
    own: bool
    known: int


class Search(Protocol):
    """Asked for the children of trials by number, told their losses."""

    def ask(self, number: int) -> Child:
        """Return the child of a trial."""

    def tell(self, child: Child, loss: float) -> None:
        """Take in an evaluated child."""


class Differences:
    """The rule of other studies: best + 0.7 (r1 - r2), truncation to 20, half a random edit."""

    def __init__(self, dimension: int, rng: np.random.Generator) -> None:
        self.dimension, self.rng = dimension, rng
        self.told: list[tuple[float, int, Array]] = []
        self.count = 0

    def ask(self, number: int) -> Child:
        """Return the child of a trial."""
        rng, d = self.rng, self.dimension
        if self.count < STARTUP:
            return Child(rng.random(d), 0, True, self.count)
        best = int(rng.integers(min(5, len(self.told))))
        others = [i for i in range(len(self.told)) if i != best]
        base, a, b = (self.told[i][2] for i in (best, *rng.choice(others, 2, replace=False)))
        moved = np.array([reflect(unit) for unit in base + 0.7 * (a - b)])
        child = np.where(rng.random(d) < 0.5, moved, base)
        edited = np.where(rng.random(d) * d < 0.5, rng.random(d), child)
        return Child(edited, 0, False, self.count)

    def tell(self, child: Child, loss: float) -> None:
        """Take in an evaluated child."""
        self.count += 1
        self.told.append((loss, self.count, child.point))
        if self.count >= STARTUP:
            self.told = sorted(self.told, key=lambda entry: entry[:2])[:20]


class Adaptive:
    """Runs of CMA-ES, with a model's minimum every few trials and a share of differences."""

    def __init__(
        self, dimension: int, rng: np.random.Generator, *, every: int, differences: float = 0.0
    ) -> None:
        self.rng, self.every, self.share = rng, every, differences
        self.fold = CMAFold(RunRules(STARTUP, np.zeros(dimension)))
        self.other = Differences(dimension, rng)

    def ask(self, number: int) -> Child:
        """Return the child of a trial."""
        run, known = self.fold.run, len(self.fold.trials)
        if run.normal is None:
            return Child(self.rng.random(self.other.dimension), run.number, True, known)
        if self.share and self.rng.random() < self.share:
            return Child(self.other.ask(number).point, run.number, False, known)
        turn = self.every and number % self.every == 0
        point = model_minimum(run, self.fold.trials) if turn else None
        point = sample(run, self.rng) if point is None else point
        return Child(point, run.number, True, known)

    def tell(self, child: Child, loss: float) -> None:
        """Take in an evaluated child."""
        point, trials = child.point, self.fold.trials
        told = Evaluation(point, point, loss, 0.0, child.run, child.own, child.known)
        self.fold.insert(len(trials), told)
        self.other.tell(child, loss)


ARMS: dict[str, Callable[[int, np.random.Generator], Search]] = {
    "differences": Differences,
    "cma": partial(Adaptive, every=0),
    "cma+model": partial(Adaptive, every=4),
    "cma+model/2": partial(Adaptive, every=2),
    "cma+model/8": partial(Adaptive, every=8),
    "cma+model+differences": partial(Adaptive, every=4, differences=0.3),
}


def losses(search: Search, problem: cocoex.BareProblem, budget: int, workers: int) -> Array:
    """Return losses in the order of their evaluation, shape ``(budget,)``."""
    rng, found = np.random.default_rng(workers), list[float]()
    running: list[tuple[float, int, Child]] = []
    asked, now = 0, 0.0
    while len(found) < budget:
        while len(running) < workers:
            heappush(running, (now + rng.uniform(0.5, 1.5), asked, search.ask(asked)))
            asked += 1
        now, _, child = heappop(running)
        found.append(problem(10 * child.point - 5))
        search.tell(child, found[-1])
    return np.array(found)


def _job(job: tuple[str, int, int, int, int, int]) -> Row:
    arm, dimension, function, instance, budget, workers = job
    problem = cocoex.BareProblem("bbob", function, dimension, instance)
    search = ARMS[arm](dimension, np.random.default_rng((function, dimension, instance)))
    gaps = losses(search, problem, budget, workers) - problem.best_value()
    shares = {
        str(n): float(np.mean(gaps[:n].min() <= TARGETS)) for n in CHECKPOINTS if n <= budget
    }
    about = {"arm": arm, "dimension": dimension, "workers": workers}
    return {**about, "function": function, "instance": instance, "shares": shares}


def interval(shares: Array) -> str:
    """Return the mean of ``(functions, instances)`` and its 95 % bootstrap over functions."""
    rng, means = np.random.default_rng(0), shares.mean(axis=1)
    draws = means[rng.integers(len(means), size=(2000, len(means)))].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{means.mean():.3f} [{low:.3f}, {high:.3f}]"


def table(rows: Sequence[Row]) -> str:
    """Return the mean share of targets by dimension, workers and arm."""
    groups: dict[tuple[int, int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["dimension"], row["workers"], row["arm"]), []).append(row)
    lines = []
    for (dimension, workers, arm), group in sorted(groups.items()):
        cells = []
        for n in group[0]["shares"]:
            by = {f: [r["shares"][n] for r in group if r["function"] == f] for f in FUNCTIONS}
            cells.append(interval(np.array(list(by.values()))))
        lines.append((dimension, workers, arm, *cells, len(group)))
    columns = ["dimension", "workers", "arm", *rows[0]["shares"], "runs"]
    return markdown(columns, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arms", default=",".join(ARMS), help="comma separated")
    parser.add_argument("--dimensions", default="2,5,10", help="comma separated")
    parser.add_argument("--instances", default="1,2,3,4,5", help="comma separated")
    parser.add_argument("--workers", default="1", help="simulated, comma separated")
    parser.add_argument("--budget", type=int, default=3000, choices=CHECKPOINTS)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--save", action="store_true", help="write benchmarks/sampler/results")
    parser.add_argument("--suffix", default="", help="end of the result file's name")
    args = parser.parse_args()
    jobs = [
        (arm, dimension, function, instance, args.budget, workers)
        for dimension in map(int, args.dimensions.split(","))
        for workers in map(int, args.workers.split(","))
        for arm in args.arms.split(",")
        for function in FUNCTIONS
        for instance in map(int, args.instances.split(","))
    ]
    with Pool(args.processes) as pool:
        rows = pool.map(_job, jobs, chunksize=1)
    print(table(rows))
    if args.save:
        instances = len(args.instances.split(","))
        print(write(RESULTS / f"bbob{args.suffix}.jsonl", header(instances), rows))


if __name__ == "__main__":
    main()
