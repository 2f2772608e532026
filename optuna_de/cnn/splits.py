"""Dividing labelled images in the proportions of their classes.

Knows labels and indices alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from optuna_de.cnn.decode import DataError

Indices = NDArray[np.int64]


def check_subset(subset: int, n: int, classes: int) -> None:
    if not 2 * classes <= subset <= n - classes:
        raise DataError(
            f"subset is {subset}, but {n} images of {classes} classes allow {2 * classes} to "
            f"{n - classes}, or all."
        )


def divide(
    pool: Indices, labels: Indices, classes: Sequence[str], taken: int, seed: int, what: str
) -> tuple[Indices, Indices]:
    """Divide a pool in two in the proportions of its classes: what stays, what is taken."""
    counts = np.bincount(labels[pool], minlength=len(classes))
    rare = int(counts.argmin())
    problem = DataError(
        f"{len(pool)} images are too few to put one of each of the {len(classes)} classes on both "
        f"sides of a {what} of {taken}: the rarest, {classes[rare]!r}, has {counts[rare]}."
    )
    if counts[rare] < 2 or not len(classes) <= taken <= len(pool) - len(classes):
        raise problem
    stays, goes = train_test_split(pool, test_size=taken, stratify=labels[pool], random_state=seed)
    if any(len(np.unique(labels[side])) < len(classes) for side in (stays, goes)):
        raise problem
    return stays, goes
