"""Image sets and their splits: what a search trains on, and the test split apart from it.

Splits are stratified by class and fixed by a seed; a fingerprint says which images, labels and
splits a search saw. :func:`load_data` returns no test split: the objective cannot reach it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from optuna_de.cnn.data.dataset import ImageData, Split, image_data, is_large, make_split
from optuna_de.cnn.data.options import Chosen, DataOptions
from optuna_de.cnn.data.reading.images import DataError
from optuna_de.cnn.data.sources import Source, open_source
from optuna_de.cnn.data.splits import Indices, divide
from optuna_de.cnn.data.store.cache import cache_in
from optuna_de.cnn.data.store.decoding import Labelled
from optuna_de.cnn.data.summary import duplicates, summary

_TEST_FRACTION = 0.2


@dataclass(frozen=True, eq=False, slots=True)
class DividedSource:
    """A source and its splits by index.

    Args:
        source: The source.
        train: Images of ``source.train`` for training.
        validation: Images for validation, of ``source.validation`` where that is official.
        test: Images of ``source.train`` for the test; none where that is official.
    """

    source: Source
    train: Indices
    validation: Indices
    test: Indices


def load_data(source: str | Path, options: DataOptions | None = None, **changes: Any) -> ImageData:
    """Return the training and validation splits of a set; its test images stay untouched.

    Args:
        source: As :attr:`DataOptions.data`.
        options: How to read and divide it; None takes the defaults.
        changes: Options to replace, by name.

    Raises:
        DataError: If anything is wrong with these or with the files; of an official test split,
            with names and headers.

    Example:
        >>> data = load_data("photos", image_size=64)
    """
    return load_divided(source, options, **changes)[0]


def load_divided(
    source: str | Path, options: DataOptions | None = None, **changes: Any
) -> tuple[ImageData, DividedSource]:
    """Return what :func:`load_data` does, and how the source was divided."""
    chosen = _chosen(source, options, changes)
    with cache_in(chosen.cache_dir):
        divided = divide_source(open_source(chosen), chosen)
        opened, parts = divided.source, _parts(divided)
        count = sum(len(indices) for _, indices in parts)
        mapped = is_large(opened.train, count, chosen.memory_share)
        data = replace(
            image_data(opened.name, opened.classes, parts, chosen.seed_of_splits, mapped),
            resizing=chosen.resizing,
            metric=chosen.metric,
            weigh_classes=chosen.weigh_classes,
        )
    text = summary(opened, data, len(divided.test), _doubled(divided))
    return replace(data, summary=text), divided


def load_test(source: str | Path, options: DataOptions | None = None, **changes: Any) -> Split:
    """Return the test split that belongs to :func:`load_data` with the same arguments.

    It is the same for every ``validation_fraction`` and ``subset``: the official one, whole,
    else 20 % of the images, drawn by ``split_seed`` alone.

    Raises:
        DataError: As :func:`load_data`.
    """
    chosen = _chosen(source, options, changes)
    with cache_in(chosen.cache_dir):
        opened = open_source(chosen)
        if opened.test is None:
            test, held = opened.train, _hold_out(opened, chosen.seed_of_splits)[1]
        else:
            test = opened.test()
            held = np.arange(len(test.labels))
    return make_split(test, held, is_large(test, len(held), chosen.memory_share))


def _chosen(
    source: str | Path, options: DataOptions | None, changes: dict[str, Any]
) -> DataOptions:
    chosen = replace(options or DataOptions(), **{"data": source, **changes})
    try:
        chosen.check()
    except ValueError as error:
        raise DataError(str(error)) from None
    return chosen


def _parts(divided: DividedSource) -> list[tuple[Labelled, Indices]]:
    source = divided.source
    other = source.train if source.validation is None else source.validation
    return [(source.train, divided.train), (other, divided.validation)]


def _doubled(divided: DividedSource) -> tuple[str, ...]:
    """Return clauses about images that stand in two splits; none where hashes are unknown."""
    source = divided.source
    if len(source.train.digests) == 0:
        return ()
    train, validation = (labelled.digests[chosen] for labelled, chosen in _parts(divided))
    held = source.train.digests[divided.test] if source.test is None else source.test_digests
    return duplicates(train, validation, held)


def divide_source(source: Source, options: DataOptions) -> DividedSource:
    """Divide a source into training, validation and test images.

    Raises:
        DataError: If a class is too small, or a number too large.
    """
    pool, held = _hold_out(source, options.seed_of_splits)
    if source.validation is not None:
        train, validation = _official(source, pool, options)
    else:
        train, validation = _drawn(source, pool, options)
    return DividedSource(source, train, validation, held)


def _drawn(source: Source, pool: Indices, options: DataOptions) -> tuple[Indices, Indices]:
    """Divide the pool into images for training and for validation."""
    labels, seed, subset = source.train.labels, options.seed_of_splits, options.subset
    if subset is not None:
        what = f"subset {subset}"
        _, pool = divide(pool, labels, source.classes, subset, seed, what, least=2, keep=0)
    fraction = options.validation_fraction
    what, taken = f"validation_fraction {fraction}", round(fraction * len(pool))
    try:
        return divide(pool, labels, source.classes, taken, seed, what)
    except DataError as error:
        least = math.ceil(100 * len(source.classes) / len(pool)) / 100
        if fraction >= least or least > 0.5:
            raise
        hint = f"give validation_fraction (--validation-fraction) {least} or more"
        raise DataError(f"{str(error)[:-1]}; {hint}.") from error


def _official(source: Source, pool: Indices, options: DataOptions) -> tuple[Indices, Indices]:
    """Return the images for training, and those of the official validation split."""
    assert source.validation is not None
    every, subset = np.arange(len(source.validation.labels)), options.subset
    if subset is None:
        return pool, every
    total = len(pool) + len(every)
    low = 2 * len(source.classes)
    if not low <= subset <= total:
        raise DataError(f"subset is {subset}, but must be {low} to {total}.")
    taken = max(round(subset * len(pool) / total), len(source.classes))
    what, classes, seed = f"subset {subset}", source.classes, options.seed_of_splits
    _, train = divide(pool, source.train.labels, classes, taken, seed, what, keep=0)
    labels, rest = source.validation.labels, subset - taken
    _, chosen = divide(every, labels, classes, rest, seed, what, least=0, keep=0)
    return train, chosen


def _hold_out(source: Source, seed: int) -> tuple[Indices, Indices]:
    """Return the images for training and validation, and those for testing (none if official)."""
    everything = np.arange(len(source.train.labels))
    if source.test is not None:
        return everything, everything[:0]
    labels, classes = source.train.labels, source.classes
    taken = max(round(_TEST_FRACTION * len(everything)), len(classes))
    keep = 2 if source.validation is None else 1
    return divide(everything, labels, classes, taken, seed, "the test split", keep=keep)


@dataclass(frozen=True)
class DataChoice(DataOptions):
    """Image set and splits that a user chose, which load their images."""

    @classmethod
    def of(cls: type[Chosen], options: DataOptions) -> Chosen:
        """Return the choice of these options."""
        return cls(**{f.name: getattr(options, f.name) for f in fields(options)})

    def load(self) -> ImageData:
        """Return the training and validation splits."""
        return load_data(self.source, self)

    def load_test(self) -> Split:
        """Return the test split."""
        return load_test(self.source, self)
