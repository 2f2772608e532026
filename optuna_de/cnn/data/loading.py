"""Image sets and their splits: what a search trains on, and the test split apart from it.

Splits are stratified by class and fixed by a seed; a fingerprint says which images, labels and
splits a search saw. :func:`load_data` returns no test split: the objective cannot reach it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np

from optuna_de._checks import require
from optuna_de._options import Option
from optuna_de.cnn.data.dataset import ImageData, Split, image_data, make_split
from optuna_de.cnn.data.images import DataError
from optuna_de.cnn.data.sources import Source, open_source
from optuna_de.cnn.data.splits import Indices, divide

MAX_BAD_IMAGES = 0.01
_TEST_FRACTION = 0.2
_FEW = 100  # images; fewer score so coarsely that it is said
_GROUP = "Data"  # of command-line options


def load_data(
    source: str | Path,
    *,
    data_dir: Path | None = None,
    download: bool = False,
    validation_fraction: float = 0.1,
    split_seed: int = 0,
    subset: int | None = None,
    image_size: int | None = None,
    max_bad_images: float = MAX_BAD_IMAGES,
) -> ImageData:
    """Return the training and validation splits of a set; its test images stay untouched.

    Args:
        source: "digits", "CIFAR10", "CIFAR100", "MNIST", "FashionMNIST" or "SVHN" (whatever the
            case), or a folder: ``<class>/``, or ``train/<class>/`` with ``val/`` or ``test/`` as
            :data:`optuna_de.cnn.data.image_folder.SPLITS` has them, each class a tree of images.
            A ``Path`` is always a folder. A split that has no folder is drawn from ``train``: 20 %
            for the test (at least one image of each class), ``validation_fraction`` of the rest.
        data_dir: Folder of torchvision's sets; None is "data" in the current folder.
        download: Whether to fetch one of torchvision's sets that is not there.
        validation_fraction: Part of the images to score on, above 0 and below 1; without effect
            where there is an official validation split.
        split_seed: Seed of all splits, in [0, 2**32 - 1].
        subset: Number of images of both splits together, in the proportions of the classes; None
            takes all.
        image_size: Side to bring images to (the smaller side resized, the centre cropped); None
            leaves them.
        max_bad_images: Share of each split's images, in [0, 1], that may be unreadable and are
            skipped.

    Raises:
        DataError: If anything is wrong with these or with the files; of an official test split,
            with names and headers.
    """
    _check(validation_fraction, split_seed, image_size, max_bad_images)
    found = open_source(source, data_dir, download, image_size, max_bad_images)
    pool, held = _hold_out(found, split_seed)
    if found.validation is not None:
        train, validation = _official(found, pool, subset, split_seed)
    else:
        train, validation = _drawn(found, pool, subset, split_seed, validation_fraction)
    data = _image_data(found, train, validation, split_seed)
    return replace(data, summary=_summary(found, data, len(held)))


def _drawn(
    found: Source, pool: Indices, subset: int | None, seed: int, fraction: float
) -> tuple[Indices, Indices]:
    """Divide the pool into images for training and for validation."""
    labels = found.train.labels
    if subset is not None:
        what = f"subset {subset}"
        _, pool = divide(pool, labels, found.classes, subset, seed, what, least=2, keep=0)
    what, taken = f"validation_fraction {fraction}", round(fraction * len(pool))
    try:
        return divide(pool, labels, found.classes, taken, seed, what)
    except DataError as error:
        least = math.ceil(100 * len(found.classes) / len(pool)) / 100
        if fraction >= least or least > 0.5:
            raise
        hint = f"give validation_fraction (--validation-fraction) {least} or more"
        raise DataError(f"{str(error)[:-1]}; {hint}.") from error


def _official(
    found: Source, pool: Indices, subset: int | None, seed: int
) -> tuple[Indices, Indices]:
    """Return the images for training, and those of the official validation split."""
    assert found.validation is not None
    every = np.arange(len(found.validation.labels))
    if subset is None:
        return pool, every
    total = len(pool) + len(every)
    low = 2 * len(found.classes)
    if not low <= subset <= total:
        raise DataError(f"subset is {subset}, but must be {low} to {total}.")
    taken = max(round(subset * len(pool) / total), len(found.classes))
    what, classes = f"subset {subset}", found.classes
    _, train = divide(pool, found.train.labels, classes, taken, seed, what, keep=0)
    labels, rest = found.validation.labels, subset - taken
    _, chosen = divide(every, labels, classes, rest, seed, what, least=0, keep=0)
    return train, chosen


def load_test(
    source: str | Path,
    *,
    data_dir: Path | None = None,
    download: bool = False,
    validation_fraction: float = 0.1,
    split_seed: int = 0,
    subset: int | None = None,
    image_size: int | None = None,
    max_bad_images: float = MAX_BAD_IMAGES,
) -> Split:
    """Return the test split that belongs to :func:`load_data` with the same arguments.

    It is the same for every ``validation_fraction`` and ``subset``: the official one, whole,
    else 20 % of the images, drawn by ``split_seed`` alone.

    Raises:
        DataError: As :func:`load_data`.
    """
    _check(validation_fraction, split_seed, image_size, max_bad_images)
    found = open_source(source, data_dir, download, image_size, max_bad_images)
    if found.test is not None:
        test = found.test()
        return make_split(*test[:2], np.arange(len(test.labels)))
    return make_split(*found.train[:2], _hold_out(found, split_seed)[1])


def _check(
    validation_fraction: float, split_seed: int, image_size: int | None, max_bad_images: float
) -> None:
    require(0 <= max_bad_images <= 1, "max_bad_images", max_bad_images, "in [0, 1]")
    if not 0 < validation_fraction < 1:
        raise DataError(
            f"validation_fraction is {validation_fraction}, but must be above 0 and below 1."
        )
    if not 0 <= split_seed < 2**32:
        raise DataError(f"split_seed is {split_seed}, but must be in [0, {2**32 - 1}].")
    if image_size is not None and image_size < 2:
        raise DataError(f"image_size is {image_size}, but must be 2 or more.")


def _hold_out(found: Source, seed: int) -> tuple[Indices, Indices]:
    """Return the images for training and validation, and those for testing (none if official)."""
    everything = np.arange(len(found.train.labels))
    if found.test is not None:
        return everything, everything[:0]
    labels, classes = found.train.labels, found.classes
    taken = max(round(_TEST_FRACTION * len(everything)), len(classes))
    keep = 2 if found.validation is None else 1
    return divide(everything, labels, classes, taken, seed, "the test split", keep=keep)


def _image_data(found: Source, train: Indices, validation: Indices, seed: int) -> ImageData:
    other = found.train if found.validation is None else found.validation
    parts = [(*found.train[:2], train), (*other[:2], validation)]
    return image_data(found.name, found.classes, parts, seed)


def _summary(found: Source, data: ImageData, held: int) -> str:
    """Return how the source was understood and divided, and what a constant answer is worth."""
    official = "drawn" if found.validation is None else "official"
    parts = (
        found.layout,
        f"{len(found.classes):,} classes",
        f"{len(data.train.labels):,} images for training",
        f"{len(data.validation.labels):,} for validation ({official})",
        f"{held:,} for the test (drawn)" if found.test is None else "an official test split",
    )
    clauses = (", ".join(filter(None, parts)), *found.notes)
    return f"{found.name}: {'; '.join(clauses)}. {_constant_answer(data)}"


def _constant_answer(data: ImageData) -> str:
    """Return the validation error of the commonest class, with few images also its spread."""
    label = int(data.train.labels.bincount().argmax())
    n = len(data.validation.labels)
    error = data.constant_error
    coarse = f", with a standard error of {math.sqrt(error * (1 - error) / n):.1%}"
    return (
        f"Always answering {data.classes[label]!r} has a validation error of {error:.1%}"
        f"{coarse if n < _FEW else ''}."
    )


@dataclass(frozen=True)
class DataChoice:
    """Image set and splits that a user chose; the arguments of :func:`load_data`.

    ``data`` and ``split_seed`` are None where the user left them to the study or to the defaults,
    which are digits and 0.
    """

    data: Annotated[
        str | None,
        Option(
            "digits, CIFAR10, CIFAR100, MNIST, FashionMNIST, SVHN, or a folder of images, one "
            "folder a class (default: digits; train, compare: the study's).",
            _GROUP,
        ),
    ] = None
    data_dir: Annotated[Path | None, Option("Folder of torchvision's data sets.", _GROUP)] = None
    download: Annotated[bool, Option("Let torchvision download the data set.", _GROUP)] = False
    image_size: Annotated[
        int | None, Option("Side to which a folder's images are resized.", _GROUP)
    ] = None
    subset: Annotated[
        int | None, Option("Number of images to use, stratified by class (default: all).", _GROUP)
    ] = None
    validation_fraction: Annotated[float, Option("Share of images for validation.", _GROUP)] = 0.1
    max_bad_images: Annotated[
        float, Option("Share of unreadable images that are skipped.", _GROUP)
    ] = MAX_BAD_IMAGES
    split_seed: Annotated[
        int | None, Option("Seed of the splits (default: 0; train, compare: the study's).", _GROUP)
    ] = None

    @property
    def source(self) -> str:
        """The data set's name or folder; digits by default."""
        return "digits" if self.data is None else self.data

    def load(self) -> ImageData:
        """Return the training and validation splits."""
        return load_data(
            self.source,
            data_dir=self.data_dir,
            download=self.download,
            validation_fraction=self.validation_fraction,
            split_seed=self.split_seed or 0,
            subset=self.subset,
            image_size=self.image_size,
            max_bad_images=self.max_bad_images,
        )

    def load_test(self) -> Split:
        """Return the test split."""
        return load_test(
            self.source,
            data_dir=self.data_dir,
            download=self.download,
            split_seed=self.split_seed or 0,
            image_size=self.image_size,
            max_bad_images=self.max_bad_images,
        )
