"""Runs of CMA-ES as a fold of finished trials, in the order of their completion. No Optuna.

A run starts at the best of its first trials, is adapted by each full block of its own children,
and ends where its distribution has shrunk to a point; the next one starts from new random trials.
Every second run has larger blocks, twice those of the last large one (BIPOP: Hansen, 2009,
*Benchmarking a BI-Population CMA-ES on the BBOB-2009 Function Testbed*, GECCO).
Every state is a function of the trials before it, so that any process folds the same one. A trial
that arrives late is put in its place, and what lies behind it is folded anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optuna_de.evolution import quadratic_model
from optuna_de.evolution.cma import Normal, adapt, block_size, isotropic
from optuna_de.evolution.quadratic_model import Quadratic

Array = NDArray[np.float64]

STEP_SIZE = 0.3  # of a run's first distribution, in the unit cube
WIDEST = 0.5  # no coordinate's standard deviation is larger
NARROWEST = 1e-7  # a run ends where all are smaller
GRID_FLOOR = 0.3  # least standard deviation on a grid, in cells
LARGEST = 64  # factor on the size of a block
RADII = (1.0, 0.5, 2.0, 4.0)  # of the model's ball, in sqrt(d) standard deviations
MODEL_EVERY = 4  # trials: one is the minimum of a model
RECENT = 50  # blocks whose states are all kept; of older ones every RECENT-th is


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A finished trial as a point of the unit cube.

    Args:
        point: Shape ``(d,)``; of a gene on a grid, where it was sampled before it was rounded.
        place: Shape ``(d,)``; where the rounded values are.
        loss: Minimised.
        violation: 0 where feasible.
        run: The run that was under way when it was planned; ``None`` where that is unknown, as
            of one that was enqueued.
        own: Whether it was drawn for that run: at random for its start, from its distribution,
            or as the minimum of a model.
        random: Whether it was drawn for the run's start.
    """

    point: Array
    place: Array
    loss: float
    violation: float
    run: int | None
    own: bool
    random: bool = False

    @property
    def rank(self) -> tuple[float, float]:
        """The key to sort by: feasible first (Deb, 2000), then the loss."""
        return self.violation, self.loss


@dataclass(frozen=True, slots=True)
class Run:
    """A run of CMA-ES after some of the trials.

    Args:
        number: Runs that ended before it.
        start: Position of its first trial in the order of completion.
        normal: Its distribution; ``None`` until its random trials are evaluated.
        block: Trials that the distribution has not been adapted to yet.
        best: The best trial of the run.
    """

    number: int = 0
    start: int = 0
    normal: Normal | None = None
    block: tuple[Evaluation, ...] = ()
    best: Evaluation | None = None


@dataclass(frozen=True, slots=True)
class RunRules:
    """How trials become runs.

    Args:
        startup: Random trials at the start of a run.
        cells: Width of a grid's cell in each coordinate, shape ``(d,)``; 0 where there is none.
    """

    startup: int
    cells: Array


def advance(run: Run, trial: Evaluation | None, position: int, rules: RunRules) -> Run:
    """Return a run after one more trial; ``None`` stands for one without a loss."""
    if trial is None:
        return run
    improves = run.best is None or trial.rank < run.best.rank
    starts = run.normal is None and trial.run is None
    late = run.normal is not None and trial.random  # asked before the run had its start
    own = trial.own and not late
    if trial.run not in (None, run.number) or not (own or improves or starts):
        return run
    taken = replace(run, block=(*run.block, trial), best=trial if improves else run.best)
    if run.normal is None:
        return _started(taken) if len(taken.block) >= rules.startup else taken
    if len(taken.block) < block_wanted(run.number, len(trial.point)):
        return taken
    return _adapted(taken, position, rules)


def _started(run: Run) -> Run:
    """Start a run's distribution at its best random trial."""
    assert run.best is not None
    return replace(run, normal=isotropic(run.best.place, STEP_SIZE), block=())


def block_wanted(run: int, dimension: int) -> int:
    """Return the size of the blocks of a run: that of CMA-ES, larger in every second run."""
    factor = 2 ** ((run + 1) // 2) if run % 2 else 1
    return block_size(dimension) * min(factor, LARGEST)


def _adapted(run: Run, position: int, rules: RunRules) -> Run:
    """Adapt a run's distribution to its full block, or end the run."""
    ranked = sorted(run.block, key=lambda trial: trial.rank)
    assert run.normal is not None
    points = np.array([trial.point for trial in ranked])
    normal = adapt(run.normal, points, GRID_FLOOR * rules.cells, WIDEST)
    free = rules.cells == 0
    shrunk = free.any() and normal.deviations[free].max() < NARROWEST
    level = ranked[-1].loss - ranked[0].loss <= 1e-13 * abs(ranked[0].loss)
    if shrunk or level:
        return Run(run.number + 1, position + 1)
    return replace(run, normal=normal, block=())


class CMAFold:
    """The current run as a function of the finished trials; a disposable cache.

    Args:
        rules: How trials become runs.
    """

    def __init__(self, rules: RunRules) -> None:
        self.rules = rules
        self.trials: list[Evaluation | None] = []
        self._kept: list[tuple[int, Run]] = [(0, Run())]  # trials folded, run after them
        self._folded, self._run = 0, Run()

    def insert(self, position: int, trial: Evaluation | None) -> None:
        """Put a trial in its place in the order of completion."""
        self.trials.insert(position, trial)
        if position >= self._folded:
            return
        while self._kept[-1][0] > position:
            self._kept.pop()
        self._folded, self._run = self._kept[-1]

    @property
    def run(self) -> Run:
        """The run after all trials."""
        while self._folded < len(self.trials):
            before = self._run
            self._run = advance(before, self.trials[self._folded], self._folded, self.rules)
            self._folded += 1
            if self._run.normal is not before.normal:
                self._keep()
        return self._run

    def _keep(self) -> None:
        self._kept.append((self._folded, self._run))
        old = len(self._kept) - 1 - RECENT
        if old > 0 and old % 2 == 1 and self._is_between(old):
            del self._kept[old]

    def _is_between(self, old: int) -> bool:
        """Return whether a kept state is close to the one before it."""
        return self._kept[old][0] - self._kept[old - 1][0] < RECENT * 10


def sample(run: Run, rng: np.random.Generator, *, wider: float = 1.0) -> Array:
    """Return a point of the unit cube from a run's distribution, shape ``(d,)``.

    A point outside is drawn again, a few times, and then moved to the nearest bound.

    Args:
        run: One that has a distribution.
        rng: The generator of the trial.
        wider: Factor on the standard deviations.
    """
    assert run.normal is not None
    for _ in range(6):
        point = run.normal.colour(wider * rng.standard_normal(len(run.normal.mean)))
        if point.min() >= 0 and point.max() <= 1:
            break
    return np.clip(point, 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Ball:
    """Where a model is fitted, and its minimum is looked for.

    Args:
        at_best: Whether its middle is the best trial of the run, or the mean.
        radius: In ``sqrt(d)`` standard deviations of the run's distribution.
    """

    at_best: bool
    radius: float


def ball_of(number: int, under_way: int) -> Ball | None:
    """Return the ball of a trial that is to be a model's minimum; ``None`` for the others.

    The middle alternates. Where other minima are being evaluated, radii differ, too: trials that
    are planned before their siblings are told would all be the same point otherwise.

    Args:
        number: The trial's number.
        under_way: Other trials that wait or run.
    """
    turn = number // MODEL_EVERY
    if number % MODEL_EVERY:
        return None
    radii = RADII[: 1 + under_way // MODEL_EVERY]
    return Ball(turn % 2 == 1, radii[turn // 2 % len(radii)])


def model_minimum(run: Run, trials: Sequence[Evaluation | None], ball: Ball) -> Array | None:
    """Return the minimum of a quadratic model in a ball, shape ``(d,)``.

    Args:
        run: One that has a distribution.
        trials: All finished trials, in the order of completion; those of the run count.
        ball: Where to look.

    Returns:
        A point of the unit cube; ``None`` where a model cannot be fitted, or would have to leave
        the feasible trials.
    """
    fitted = _fitted(run, trials, at_best=ball.at_best)
    if fitted is None:
        return None
    normal, model = fitted
    z, multiplier = quadratic_model.minimum(model, ball.radius * len(normal.mean) ** 0.5)
    return _within(normal, model, z, multiplier)


def _fitted(
    run: Run, trials: Sequence[Evaluation | None], *, at_best: bool
) -> tuple[Normal, Quadratic] | None:
    """Fit a model around the best trial or the mean, in white coordinates of a distribution."""
    assert run.normal is not None
    normal, wanted = run.normal, quadratic_model.points_wanted(len(run.normal.mean))
    recent = trials[max(run.start, len(trials) - 4 * wanted) :]
    usable = [t for t in recent if t and t.violation == 0 and math.isfinite(t.loss)]
    if not usable or run.best is None or run.best.violation > 0:
        return None
    if at_best:
        normal = replace(normal, mean=run.best.place)
    places = np.concatenate([trial.place for trial in usable]).reshape(len(usable), -1)
    white = normal.whiten(places)
    losses = np.array([trial.loss for trial in usable])
    if len(usable) > wanted:
        near = np.argpartition((white**2).sum(axis=1), wanted - 1)[:wanted]
        white, losses = white[near], losses[near]
    model = quadratic_model.fit(white, losses)
    return None if model is None else (normal, model)


def _within(normal: Normal, model: Quadratic, z: Array, multiplier: float) -> Array:
    """Return a minimum moved into the unit cube: its bounds become active, one set at a time."""
    point = normal.colour(z)
    unit = np.eye(len(z))
    inverse = normal.whiten(normal.mean + unit)  # (d, d): white coordinates of each unit step
    curved = inverse @ (model.hessian + multiplier * unit) @ inverse.T
    slope = inverse @ model.gradient
    fixed = np.zeros(len(z), dtype=bool)
    for _ in range(4):
        outside = (point < 0) | (point > 1)
        if not outside.any() or (fixed | outside).all():
            break
        fixed |= outside
        step = np.clip(point, 0, 1) - normal.mean
        pull = -slope[~fixed] - curved[np.ix_(~fixed, fixed)] @ step[fixed]
        step[~fixed] = np.linalg.lstsq(curved[np.ix_(~fixed, ~fixed)], pull, rcond=None)[0]
        point = normal.mean + step
    return np.clip(np.nan_to_num(point, nan=0.5), 0.0, 1.0)
