"""Dividing labelled images in the proportions of their classes.

Knows labels and indices alone. Not scikit-learn's ``train_test_split``: it leaves rare classes out
of one side.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optuna_de.cnn.data.reading.images import DataError

Indices = NDArray[np.int64]


def divide(
    pool: Indices,
    labels: Indices,
    classes: Sequence[str],
    taken: int,
    seed: int,
    what: str,
    *,
    least: int = 1,
    keep: int = 1,
) -> tuple[Indices, Indices]:
    """Divide a pool in two in the proportions of its classes.

    Args:
        pool: Indices of images.
        labels: The class of every image, by index.
        classes: Names of the classes.
        taken: How many to take.
        seed: Seed of the draw, in [0, 2**32 - 1].
        what: What the taken ones are, for messages: "subset".
        least: Images of each class to take at the least.
        keep: Images of each class to leave at the least.

    Returns:
        What stays and what is taken, both ascending.

    Raises:
        DataError: Where a class or ``taken`` is too small, or ``taken`` too large.
    """
    counts = np.bincount(labels[pool], minlength=len(classes))
    rare = int(counts.argmin())
    if counts[rare] < least + keep:
        raise DataError(
            f"Class {classes[rare]!r} has {counts[rare]} of {len(pool)} images, but each class "
            f"needs {least + keep} or more to be divided by {what}."
        )
    low, high = least * len(classes), len(pool) - keep * len(classes)
    if not low <= taken <= high:
        raise DataError(
            f"{what} takes {taken} of {len(pool)} images, but must take {low} to {high} to do "
            f"justice to {len(classes)} classes."
        )
    # RandomState's stream is frozen for ever (NEP 19): the same split on every machine
    order = np.random.RandomState(seed).permutation(pool)
    shares = _shares(counts, taken, least, keep)
    chosen = np.concatenate([order[labels[order] == c][:n] for c, n in enumerate(shares)])
    return np.setdiff1d(pool, chosen), np.sort(chosen)


def _shares(counts: Indices, taken: int, least: int, keep: int) -> Indices:
    """Return how many of each class to take: by largest remainder, within the bounds."""
    exact = taken * counts / counts.sum()
    shares: Indices = np.clip(np.floor(exact).astype(np.int64), least, counts - keep)
    while missing := taken - int(shares.sum()):
        step = 1 if missing > 0 else -1
        free = shares < counts - keep if step > 0 else shares > least
        shares[np.where(free, step * (exact - shares), -np.inf).argmax()] += step
    return shares
