"""Front model: of a pool of children, those that a local model expects to improve a front.

Several objectives of numbers, or one with constraints. The model interpolates each objective and
constraint of the trials near one member by cubic radial basis functions with a linear tail (Regis
and Shoemaker, 2007, *A Stochastic Radial Basis Function Method for the Global Optimization of
Expensive Functions*).
Pure; NumPy only, as SciPy, whose ``RBFInterpolator`` would serve, is not needed by the core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optuna_de.evolution.pareto import added_areas, added_volumes, depths
from optuna_de.evolution.variation import SCALE_LIMIT, Variation, polynomial_steps

Array = NDArray[np.float64]

POOL = 50  # children
NEAR = 60  # trials that the model is fitted to; with more parameters it has no linear tail
RECENT = 400  # trials among which these are looked for
REFERENCE = 1.1  # of the hypervolume; 0 and 1 are the front's ends
NUGGET = 1e-8
LARGEST = 1e150  # losses and constraints are cut there, so that no difference overflows


@dataclass(frozen=True, slots=True)
class Known:
    """Finished trials: points of the unit cube and what was measured there.

    Args:
        places: Shape ``(n, d)``.
        values: Their losses, minimised, then their constraints, feasible where 0 or less; between
            -``LARGEST`` and ``LARGEST``, shape ``(n, m + c)``.
        objectives: The number m of losses.
    """

    places: Array
    values: Array
    objectives: int

    @property
    def front(self) -> Array:
        """The losses of those that violate no constraint, shape ``(f, m)``."""
        m = self.objectives
        losses, constraints = self.values[:, :m], self.values[:, m:]
        return losses[(constraints <= 0).all(axis=1)] if constraints.size else losses


def pool_of_children(
    members: Array, n_best: int, variation: Variation, cells: Array, rng: np.random.Generator
) -> Array:
    """Return a pool of children of a population, shape ``(POOL, d)``.

    They are made as all children of several objectives are
    (:func:`optuna_de.evolution.variation.vary`): a number that takes part comes from
    ``base + F (r1 - r2)``, the others are those of one of the best; then some are drawn anew and
    some moved a little.

    Args:
        members: Shape ``(n, d)``, best first, at least 4.
        n_best: Members that ``best`` is drawn from.
        variation: Control parameters.
        cells: Width of a grid's cell in each coordinate, shape ``(d,)``; 0 where there is none.
        rng: The generator of the trial.
    """
    n, d = members.shape
    best = rng.integers(min(n_best, n), size=POOL)
    keys = rng.random((POOL, n))
    keys[np.arange(POOL), best] = 2.0
    base, one, other = (members[column] for column in np.argsort(keys, axis=1)[:, :3].T)
    donor = base + SCALE_LIMIT * rng.random((POOL, 1)) * (one - other)
    donor = np.abs(donor) % 2.0
    donor = np.where(donor > 1.0, 2.0 - donor, donor)
    child = np.where(rng.random((POOL, d)) < variation.crossover, donor, members[best])
    edited, moved = rng.random((2, POOL, d)) * d < variation.mutation
    child[edited] = rng.random(int(edited.sum()))
    steps = polynomial_steps(rng.random(int(moved.sum())))
    child[moved] = np.clip(child[moved] + steps, 0.0, 1.0)
    return on_grid(child, cells) if cells.any() else child


def on_grid(points: Array, cells: Array) -> Array:
    """Return points ``(n, d)`` moved to the middle of their grid's cells."""
    wide = np.where(cells > 0, cells, 1.0)
    middle = (np.floor(points / wide) + 0.5) * wide
    return np.where(cells > 0, np.clip(middle, wide / 2, 1 - wide / 2), points)


def interpolate(places: Array, values: Array, wanted: Array) -> Array:
    """Return values ``(n, k)`` at places ``(n, d)``, interpolated at ``(p, d)``: shape ``(p, k)``.

    Raises:
        numpy.linalg.LinAlgError: Where the system is singular.
    """
    n, d = places.shape
    linear = d <= NEAR
    k = 1 + d * linear
    low, span = values.min(axis=0), np.ptp(values, axis=0)
    span = np.where(span > 1 / LARGEST, span, 1.0)
    basis = _basis(np.concatenate([places, wanted]), places, linear)
    tail = np.ones((len(basis), k))
    tail[:n, 1:], tail[n:, 1:] = places[:, : k - 1], wanted[:, : k - 1]
    system, right = np.zeros((n + k, n + k)), np.zeros((n + k, len(span)))
    system[:n, :n], system[:n, n:], system[n:, :n] = basis[:n], tail[:n], tail[:n].T
    diagonal = np.einsum("ii->i", system)
    diagonal[:n] += NUGGET
    diagonal[n:] -= NUGGET
    right[:n] = (values - low) / span
    weights = np.linalg.solve(system, right)
    return np.asarray(low + span * (basis[n:] @ weights[:n] + tail[n:] @ weights[n:]))


def _basis(a: Array, b: Array, linear: bool) -> Array:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    distances = np.sqrt(np.maximum(squares, 0.0))
    return np.asarray(distances * distances * distances if linear else distances)


def prefer(
    pool: Array, known: Known, members: Known, running: Array, rng: np.random.Generator
) -> list[int]:
    """Return the indices of a pool, the child that is expected to improve the front most first.

    Trials that run count with their predicted losses, so that workers do not meet at one point.

    Args:
        pool: Shape ``(p, d)``.
        known: Finished trials, the last ones.
        members: The population, one or more.
        running: Trials that are being evaluated, shape ``(r, d)``.
        rng: The generator of the trial.

    Raises:
        numpy.linalg.LinAlgError: Where no model can be fitted.
    """
    middle = members.places[int(rng.integers(len(members.places)))]
    steps = known.places - middle
    near = np.argsort(np.einsum("ij,ij->i", steps, steps), kind="stable")[:NEAR]
    wanted = np.concatenate([pool, running])
    predicted = interpolate(known.places[near], known.values[near], wanted)
    m, p = members.objectives, len(pool)
    losses, violations = predicted[:, :m], np.maximum(predicted[:, m:], 0.0).sum(axis=1)
    front = np.concatenate([members.front, losses[p:][violations[p:] == 0]])
    gains = expected_gains(front, losses[:p]) if len(front) else np.zeros(p)
    order: list[int] = np.lexsort((-gains, violations[:p])).tolist()
    return order


def expected_gains(front: Array, losses: Array) -> Array:
    """Return the hypervolume that each of ``(p, m)`` losses adds to a front ``(n, m)``.

    With one objective it is the improvement, which may be negative; with more than three it is how
    far a child is from being dominated.
    """
    low, span = front.min(axis=0), np.ptp(front, axis=0)
    span = np.where(span > 1 / LARGEST, span, 1.0)
    front, losses = (front - low) / span, (losses - low) / span
    m = front.shape[1]
    if m == 1:
        return -losses[:, 0]
    if m > 3:
        return -depths(front, losses)
    added = added_areas if m == 2 else added_volumes
    return added(front, losses, np.full(m, REFERENCE))
