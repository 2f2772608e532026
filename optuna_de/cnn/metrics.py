"""Metrics of a classifier from its confusion matrix: error, balanced error and macro-F1 error.

A confusion matrix counts the images of each class (row) by answer (column). No torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Counts: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Metric:
    """Metric of a classifier, in [0, 1]; less is better.

    Args:
        name: As ``--metric`` spells it.
        score: What 1 less the metric is called.
        meaning: One line.
        of: From a confusion matrix, int64 (k, k), to the value.
        chance: The value of a constant answer where classes are equally large, from k.
        images: How many images of equally large classes have the same standard error, from the
            images of each class (k,).
    """

    name: str
    score: str
    meaning: str
    of: Callable[[Counts], float]
    chance: Callable[[int], float]
    images: Callable[[Counts], float]

    def constant(self, images: Counts) -> float:
        """Return the least value of a constant answer, from the images of each class (k,)."""
        return min(self.of_constant(images, answer) for answer in range(len(images)))

    def of_constant(self, images: Counts, answer: int) -> float:
        """Return the value of always giving one answer, from the images of each class (k,)."""
        confusion = np.zeros((len(images), len(images)), np.int64)
        confusion[:, answer] = images
        return self.of(confusion)


def _error(confusion: Counts) -> float:
    total = int(confusion.sum())
    return (total - int(confusion.trace())) / total


def _balanced_error(confusion: Counts) -> float:
    """One less the balanced accuracy (Brodersen et al. 2010): classes that are there count."""
    sizes = confusion.sum(1)
    there = sizes > 0
    return float(1 - (confusion.diagonal()[there] / sizes[there]).mean())


def _macro_f1_error(confusion: Counts) -> float:
    """One less the mean F1 (Opitz and Burst 2019, the mean of F1) of classes there or answered."""
    sizes = confusion.sum(0) + confusion.sum(1)
    there = sizes > 0
    return float(1 - (2 * confusion.diagonal()[there] / sizes[there]).mean())


def _harmonic(images: Counts) -> float:
    """Return k squared by the sum of 1/n: a mean of k rates varies as one rate of so many."""
    there = images[images > 0]
    return float(len(there) ** 2 / (1 / there).sum())


METRICS = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric(
                *("error", "accuracy", "share of wrong answers", _error),
                chance=lambda classes: 1 - 1 / classes,
                images=lambda images: float(images.sum()),
            ),
            Metric(
                *("balanced-error", "balanced accuracy", "mean error of the classes"),
                of=_balanced_error,
                chance=lambda classes: 1 - 1 / classes,
                images=_harmonic,
            ),
            Metric(
                *("macro-f1-error", "macro F1", "1 less the mean F1 score of the classes"),
                of=_macro_f1_error,
                chance=lambda classes: 1 - 2 / (classes * (classes + 1)),
                images=_harmonic,
            ),
        )
    }
)
"""Metrics by name; a new one is a row."""


def get_metric(name: str) -> Metric:
    """Return the metric of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in METRICS:
        raise ValueError(f"metric is {name!r}, but must be one of {', '.join(METRICS)}.")
    return METRICS[name]
