"""COCO's bbob: the share of targets that a search of one objective reaches, by its parts.

Run ``python -m benchmarks.sampler.bbob --dimensions 2,5,10``; it goes on where it was stopped. All
24 functions
(Hansen et al., 2009) in the box [-5, 5]; 51 targets from 10^2 to 10^-8 above the optimum, evenly
in their logarithm. Instances 1 to 5 are those that the defaults were tuned on. Workers are
simulated: each evaluation takes between half and one and a half units of time.

An arm is driven without a storage, which takes a tenth of the time. ``de`` is the search that
``DESampler`` does, child for child, as a test shows; ``cma`` is the same without the model.
``differences`` are the children that other studies get.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import product
from typing import Protocol
from zlib import crc32

import cocoex
import numpy as np

from benchmarks.common.results import Array, Row, header, markdown, results_of, resumed
from optuna_de.evolution.cma_fold import (
    CMAFold,
    Evaluation,
    RunRules,
    ball_of,
    model_minimum,
    sample,
)
from optuna_de.evolution.genome import Interval, reflect
from optuna_de.sampler.numeric_offspring import WIDER
from optuna_de.sampler.numeric_space import NumericSpace
from optuna_de.sampler.offspring import ATTEMPTS

RESULTS = results_of(__file__)
TARGETS = 10.0 ** np.linspace(2, -8, 51)
CHECKPOINTS = (100, 300, 1000, 3000)
FUNCTIONS = range(1, 25)
STARTUP = 10
BOUND = 5.0


@dataclass(frozen=True)
class Child:
    """A point of the box, the run it was planned in, whether for that run, and for its start."""

    values: tuple[float, ...]
    run: int | None = None
    own: bool = False
    random: bool = False


class Search(Protocol):
    """Asked for the children of trials by number, told their losses."""

    def ask(self, number: int) -> Child:
        """Return the child of a trial."""

    def tell(self, child: Child, loss: float) -> None:
        """Take in an evaluated child."""


class Differences:
    """The rule of other studies: best + 0.7 (r1 - r2), truncation to 20, half a random edit."""

    def __init__(self, dimension: int, seed: int) -> None:
        self.dimension, self.rng = dimension, np.random.default_rng((seed, dimension))
        self.evaluated: list[tuple[float, int, Array]] = []
        self.taken, self.count = set[tuple[float, ...]](), 0

    def ask(self, number: int) -> Child:
        """Return the child of a trial; one that was asked for before is drawn again."""
        for _ in range(ATTEMPTS):
            child = Child(_in_box(self._draw()))
            if child.values not in self.taken:
                break
        self.taken.add(child.values)
        return child

    def _draw(self) -> Array:
        rng, d = self.rng, self.dimension
        if self.count < STARTUP:
            return rng.random(d)
        best = int(rng.integers(min(5, len(self.evaluated))))
        others = [i for i in range(len(self.evaluated)) if i != best]
        base, a, b = (self.evaluated[i][2] for i in (best, *rng.choice(others, 2, replace=False)))
        moved = np.array([reflect(unit) for unit in base + 0.7 * (a - b)])
        child = np.where(rng.random(d) < 0.5, moved, base)
        return np.where(rng.random(d) * d < 0.5, rng.random(d), child)

    def tell(self, child: Child, loss: float) -> None:
        """Take in an evaluated child."""
        self.count += 1
        self.evaluated.append((loss, self.count, (np.array(child.values) + BOUND) / (2 * BOUND)))
        if self.count >= STARTUP:
            self.evaluated = sorted(self.evaluated, key=lambda entry: entry[:2])[:20]


def _in_box(point: Array) -> tuple[float, ...]:
    return tuple((2 * BOUND * point - BOUND).tolist())


class Adaptive:
    """The search of DESampler(seed=seed) on floats, trial for trial, without a storage.

    Args:
        dimension: Parameters ``x00``, ``x01`` and so on, in [-5, 5].
        seed: The sampler's seed.
        models: Whether every fourth child is the minimum of a model.
    """

    def __init__(self, dimension: int, seed: int, *, models: bool = True) -> None:
        self.names = [f"x{i:02d}" for i in range(dimension)]
        self.span = Interval(-BOUND, BOUND)
        spans = dict.fromkeys(self.names, self.span)
        self.space = NumericSpace(spans, np.zeros(dimension))
        self.fold = CMAFold(RunRules(STARTUP, self.space.cells))
        self.seed, self.models = seed, models
        self.taken = set[tuple[float, ...]]()

    def ask(self, number: int) -> Child:
        """Return the child of a trial."""
        under_way = number - len(self.fold.trials)
        for attempt in range(ATTEMPTS):
            child = self._draw((self.seed, 0, number, attempt), under_way)
            if child.values not in self.taken:
                break
        self.taken.add(child.values)
        return child

    def _draw(self, name: tuple[int, ...], under_way: int) -> Child:
        run, (*_, number, attempt) = self.fold.run, name
        if not self.fold.trials:
            codes = [(*name, crc32(text.encode())) for text in self.names]
            units = [np.random.default_rng(code).random() for code in codes]
            return Child(tuple(map(self.span.from_unit, units)))
        rng = np.random.default_rng((*name, 0))
        if run.normal is None:
            units = [rng.random() for _ in self.names]
            return Child(tuple(map(self.span.from_unit, units)), run.number, True, True)
        ball = ball_of(number, under_way) if self.models and not attempt else None
        point = model_minimum(run, self.fold.trials, ball) if ball else None
        point = sample(run, rng, wider=WIDER**attempt) if point is None else point
        sampled = self.space.unrounded(point)
        values = tuple(self.span.clip(sampled[text]) for text in self.names)
        return Child(values, run.number, True)

    def tell(self, child: Child, loss: float) -> None:
        """Take in an evaluated child."""
        point = self.space.point(dict(zip(self.names, child.values, strict=True)))
        evaluation = Evaluation(point, point, loss, 0.0, child.run, child.own, child.random)
        self.fold.insert(len(self.fold.trials), evaluation)


ARMS: dict[str, Callable[[int, int], Search]] = {
    "differences": Differences,
    "cma": partial(Adaptive, models=False),
    "de": Adaptive,
}


def seed_of(function: int, dimension: int, instance: int) -> int:
    """Return the seed of a run, which all arms and solvers share."""
    return 10_000 * dimension + 100 * function + instance


def losses(search: Search, problem: cocoex.BareProblem, budget: int, workers: int) -> Array:
    """Return losses in the order of their evaluation, shape ``(budget,)``."""
    rng, values = np.random.default_rng(workers), list[float]()
    running: list[tuple[float, int, Child]] = []
    asked, now = 0, 0.0
    while len(values) < budget:
        while len(running) < workers:
            heappush(running, (now + rng.uniform(0.5, 1.5), asked, search.ask(asked)))
            asked += 1
        now, _, child = heappop(running)
        values.append(problem(np.array(child.values)))
        search.tell(child, values[-1])
    return np.array(values)


def run(arm: str, dimension: int, workers: int, function: int, instance: int, budget: int) -> Row:
    """Return the shares of one run."""
    problem = cocoex.BareProblem("bbob", function, dimension, instance)
    search = ARMS[arm](dimension, seed_of(function, dimension, instance))
    return {"shares": shares_of(losses(search, problem, budget, workers) - problem.best_value())}


def shares_of(gaps: Array) -> dict[str, float]:
    """Return the share of targets reached at each checkpoint, from losses above the optimum."""
    points = [n for n in CHECKPOINTS if n <= len(gaps)]
    return {str(n): float(np.mean(gaps[:n].min() <= TARGETS)) for n in points}


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
    parser.add_argument("--suffix", default="", help="end of the result file's name")
    args = parser.parse_args()
    dimensions, instances, workers = (
        list(map(int, text.split(","))) for text in (args.dimensions, args.instances, args.workers)
    )
    names = ("dimension", "instance", "workers", "function", "arm")
    values = product(dimensions, instances, workers, FUNCTIONS, args.arms.split(","))
    jobs = [dict(zip(names, value, strict=True)) for value in values]

    def measure(job: Row) -> Row:
        return run(**job, budget=args.budget)

    path = RESULTS / f"bbob{args.suffix}.jsonl"
    print(table(resumed(path, header(len(instances)), jobs, measure)))


if __name__ == "__main__":
    main()
