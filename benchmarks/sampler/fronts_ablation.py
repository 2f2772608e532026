"""Several objectives: what each part of the search is worth, on the problems of ``fronts``.

Run ``python -m benchmarks.sampler.fronts_ablation``. An arm is driven without a storage, which
takes a tenth of the time. Half of the problems tune, the others confirm. Runs are appended to the
result file, and those that are there are left out.
"""

# Stated before the first run. ``today`` is the rule of version 0.2: the child of one of the five
# best; a number that takes part comes from rand/1 with F in (0, .9); CR .5; half a random edit.
# One change at a time: fewer edits (0, .1), edits by polynomial mutation, any member as the one
# that is crossed, CR .9 or drawn, bounds that bounce, GDE3's survival in slots, current-to-rand,
# a population that grows to 40 by 400 trials, a pool of children of which a local model of the
# finished trials chooses (every second or fourth child).
# Stated after seven: the model for every third child with fewer trials, edits as before; one
# polynomial edit a child that stops at the bounds; half of these uniform.
# Stated after four problems: the five best stay, any member was behind at 250; polynomial edits
# (one a child, a third of them uniform), with bounds that bounce, and with the model.

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import moocore
import numpy as np
from numpy.typing import NDArray

from benchmarks.common.results import Array, Row, header, markdown, read, results_of, resumed
from benchmarks.sampler import fronts
from benchmarks.sampler.fronts import TUNING, Problem, problem
from optuna_de.evolution.front_model import POOL, RECENT, Known, prefer
from optuna_de.evolution.selection import order
from optuna_de.evolution.variation import SCALE_LIMIT

RESULTS = results_of(__file__)
STARTUP, SIZE = 10, 20
CHECKPOINTS = (250, 1000)


@dataclass(frozen=True)
class Arm:
    """One rule of search.

    Args:
        edits: Expected number of genes edited at random.
        polynomial: Whether an edit is a polynomial mutation (index 20), not a uniform draw.
        n_best: Members from which the crossed one is drawn.
        crossover: CR; ``None`` is drawn for each child.
        bounce: Whether a number beyond a bound lands between the bound and the crossed member.
        slots: Whether a child that its crossed member dominates is no survivor (GDE3).
        toward: Whether the donor starts at the crossed member and moves towards another one.
        grows: Whether the population grows to 40.
        model: Every so many children one is chosen by a local model; 0 is never.
        index: Distribution index of a polynomial mutation.
        uniform: Share of uniform draws among the polynomial edits.
        clip: Whether a polynomial edit stops at the bounds.
    """

    edits: float = 0.5
    polynomial: bool = False
    n_best: int = 5
    crossover: float | None = 0.5
    bounce: bool = False
    slots: bool = False
    toward: bool = False
    grows: bool = False
    model: int = 0
    index: float = 20.0
    uniform: float = 0.0
    clip: bool = False


ARMS = {
    "today": Arm(),
    "edits 0": Arm(edits=0.0),
    "edits .1": Arm(edits=0.1),
    "polynomial": Arm(polynomial=True),
    "any": Arm(n_best=99),
    "any, edits 0": Arm(n_best=99, edits=0.0),
    "any, edits .1": Arm(n_best=99, edits=0.1),
    "any, edits 0, CR .9": Arm(n_best=99, edits=0.0, crossover=0.9),
    "any, edits 0, CR drawn": Arm(n_best=99, edits=0.0, crossover=None),
    "any, edits 0, bounce": Arm(n_best=99, edits=0.0, bounce=True),
    "any, edits 0, slots": Arm(n_best=99, edits=0.0, slots=True),
    "any, edits 0, toward": Arm(n_best=99, edits=0.0, toward=True),
    "any, edits 0, grows": Arm(n_best=99, edits=0.0, grows=True),
    "any, edits 0, model 4": Arm(n_best=99, edits=0.0, model=4),
    "any, edits 0, model 2": Arm(n_best=99, edits=0.0, model=2),
    "edits .1, model 4": Arm(edits=0.1, model=4),
    "polynomial 1": Arm(edits=1.0, polynomial=True),
    "polynomial 1, a third uniform": Arm(edits=1.0, polynomial=True, uniform=0.33),
    "polynomial, bounce": Arm(polynomial=True, bounce=True),
    "model 3": Arm(model=3),
    "edits .1, model 3": Arm(edits=0.1, model=3),
    "polynomial 1, model 3": Arm(edits=1.0, polynomial=True, model=3),
    "clipped polynomial 1, model 3": Arm(edits=1.0, polynomial=True, clip=True, model=3),
    "both edits, model 3": Arm(edits=1.0, polynomial=True, clip=True, uniform=0.5, model=3),
}


class Search:
    """Asked for points of the unit cube, told their losses and constraints.

    Args:
        arm: The rule.
        target: The problem.
        seed: Of its generator.
    """

    def __init__(self, arm: Arm, target: Problem, seed: int) -> None:
        self.arm, self.rng = arm, np.random.default_rng(seed)
        self.low, self.high = map(np.asarray, (target.inner.xl, target.inner.xu))
        self.integers, self.d = target.integers, target.inner.n_var
        self.points = list[Array]()
        self.losses, self.limits = list[Array](), list[Array]()
        self.members = list[int]()
        self.targets = dict[int, int]()

    def ask(self) -> Array:
        """Return a point of the problem's box."""
        number = len(self.points)
        if number < STARTUP:
            return self.placed(self.rng.random(self.d))
        if self.arm.model and number % self.arm.model == 0:
            return self.placed(self._by_model())
        units, crossed = self._children(1)
        self.targets[number] = int(crossed[0])
        return self.placed(units[0])

    def placed(self, unit: Array) -> Array:
        """Return a point of the box, on the grid of its integers."""
        wide = np.where(self.integers, 0.5, 0.0)
        low, high = self.low - wide, self.high + wide
        point = np.clip(low + unit * (high - low), self.low, self.high)
        return np.asarray(np.where(self.integers, np.round(point), point))

    def unit(self, point: Array) -> Array:
        """Return a point of the box as one of the unit cube."""
        wide = np.where(self.integers, 0.5, 0.0)
        low, high = self.low - wide, self.high + wide
        return np.asarray((point - low) / (high - low))

    def _children(self, count: int) -> tuple[Array, NDArray[np.intp]]:
        """Return points of the unit cube (count, d), and the members (count,) that they cross."""
        arm, rng, d = self.arm, self.rng, self.d
        size = len(self.members)
        crossed = rng.integers(min(arm.n_best, size), size=count)
        keys = rng.random((count, size))
        keys[np.arange(count), crossed] = 2.0
        others = np.argsort(keys, axis=1)[:, :3]
        units = np.array([self.points[i] for i in self.members])
        best = units[crossed]
        a, b, base = (units[others[:, i]] for i in range(3))
        scale = SCALE_LIMIT * rng.random((count, 1))
        donor = base + scale * (a - b)
        if arm.toward:
            donor = best + scale * (base - best) + scale * (a - b)
        donor = self._bounded(donor, best)
        share = rng.random((count, 1)) if arm.crossover is None else arm.crossover
        child = np.where(rng.random((count, d)) < share, donor, best)
        edited = rng.random((count, d)) * d < arm.edits
        return np.where(edited, self._edited(child), child), np.array(self.members)[crossed]

    def _bounded(self, donor: Array, best: Array) -> Array:
        if not self.arm.bounce:
            return _fold(donor)
        bound = np.clip(donor, 0, 1)
        between = bound + self.rng.random(donor.shape) * (best - bound)
        return np.where(donor == bound, donor, between)

    def _edited(self, child: Array) -> Array:
        u = self.rng.random(child.shape)
        if not self.arm.polynomial:
            return u
        v = self.rng.random(child.shape)
        eta = self.arm.index
        power = 1 / (eta + 1)
        step = np.where(v < 0.5, (2 * v) ** power - 1, 1 - (2 - 2 * v) ** power)
        return np.where(
            u < self.arm.uniform, self.rng.random(child.shape), self._kept(child + step)
        )

    def _kept(self, moved: Array) -> Array:
        return np.clip(moved, 0, 1) if self.arm.clip else _fold(moved)

    def _by_model(self) -> Array:
        """Return the child of a pool that a local model expects to add the most volume."""
        pool = self.unit(self.placed(self._children(POOL)[0]))
        recent = range(max(0, len(self.points) - RECENT), len(self.points))
        known, members = map(self._known, (recent, self.members))
        return np.asarray(pool[prefer(pool, known, members, pool[:0], self.rng)[0]])

    def _known(self, numbers: Sequence[int]) -> Known:
        values = [np.append(self.losses[i], self.limits[i]) for i in numbers]
        points = [self.points[i] for i in numbers]
        return Known(np.array(points), np.array(values), len(self.losses[0]))

    def tell(self, point: Array, losses: Array, limits: Array) -> None:
        """Take in an evaluated point."""
        number = len(self.points)
        self.points.append(self.unit(point))
        self.losses.append(losses)
        self.limits.append(limits)
        if number + 1 < STARTUP:
            return
        members = [*self.members, number] if self.members else list(range(number + 1))
        crossed = self.targets.get(number)
        if self.arm.slots and crossed is not None and self._beats(crossed, number):
            return
        size = SIZE if not self.arm.grows else int(np.clip(SIZE * number / 200, SIZE, 2 * SIZE))
        violations = [float(np.maximum(self.limits[i], 0).sum()) for i in members]
        ranking = order([tuple(self.losses[i].tolist()) for i in members], violations=violations)
        self.members = [members[i] for i in ranking[:size]]

    def _beats(self, one: int, other: int) -> bool:
        ones, others = (float(np.maximum(self.limits[i], 0).sum()) for i in (one, other))
        if ones or others:
            return ones < others
        return bool((self.losses[one] <= self.losses[other]).all())


def _fold(donor: Array) -> Array:
    folded = np.abs(donor) % 2.0
    return np.where(folded > 1, 2 - folded, folded)


def run(name: str, arm: Arm, seed: int, budget: int) -> Row:
    """Return the hypervolumes of one run."""
    target = problem(name)
    search, values = Search(arm, target, seed), list[Array]()
    for _ in range(budget):
        point = search.ask()
        losses, limits = target.evaluate(point)
        search.tell(point, losses, limits)
        values.append(losses if (limits <= 0).all() else np.full(len(losses), np.inf))
    low, high = target.box
    scaled = (np.array(values) - low) / (high - low)
    ref = np.ones(len(low))
    return {
        "volumes": {
            str(n): float(moocore.hypervolume(np.minimum(scaled[:n], 1.0), ref=ref))
            for n in CHECKPOINTS
            if n <= budget
        }
    }


def table(rows: Sequence[Row], others: Sequence[Row]) -> str:
    """Return each arm's mean rank beside the peers, and where its median is above today's."""
    lines = []
    known, theirs = medians(rows, "arm"), medians(others, "solver")
    solvers = list(dict.fromkeys(solver for _, solver, _ in theirs))
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    for arm in arms:
        names = [name for name in (*fronts.TWO, *fronts.THREE) if (name, arm, "250") in known]
        cells = list[str]()
        for n in map(str, CHECKPOINTS):
            own = np.array([known[name, arm, n] for name in names])
            base = np.array([known[name, "today", n] for name in names])
            beside = np.array([[theirs[name, s, n] for s in solvers] for name in names])
            rank = 1 + (beside > own[:, None]).sum(axis=1)
            cells += [f"{rank.mean():.2f}", f"{(own > base).sum()}", f"{own.mean():.4f}"]
        lines.append([arm, len(names), *cells])
    columns = [f"{text} at {n}" for n in CHECKPOINTS for text in ("rank", "above today", "volume")]
    return markdown(["arm", "problems", *columns], lines)


def peers() -> list[Row]:
    """Return the runs of GDE3, NSDE and NSGA-II that ``fronts`` has stored."""
    rows = read(RESULTS / "fronts.jsonl")[1]
    return [row for row in rows if row["solver"] in ("gde3", "nsde", "nsga2")]


def medians(rows: Sequence[Row], who: str) -> dict[tuple[str, str, str], float]:
    """Return the median volume by problem, arm or solver, and evaluations."""
    by: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        for n, volume in row["volumes"].items():
            by.setdefault((row["problem"], row[who], n), []).append(volume)
    return {key: float(np.median(volumes)) for key, volumes in by.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arms", default=";".join(ARMS), help="separated by semicolons")
    parser.add_argument("--problems", default=",".join(TUNING), help="comma separated")
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    jobs = [
        {"problem": name, "arm": arm, "seed": seed}
        for name, arm, seed in product(
            args.problems.split(","), args.arms.split(";"), range(args.seeds)
        )
    ]

    def measure(job: Row) -> Row:
        return run(job["problem"], ARMS[job["arm"]], job["seed"], max(CHECKPOINTS))

    rows = resumed(RESULTS / "fronts_ablation.jsonl", header(args.seeds), jobs, measure)
    chosen = [row for row in rows if row["problem"] in args.problems.split(",")]
    print(table(chosen, peers()))


if __name__ == "__main__":
    main()
