"""Sources of images: sets by name (scikit-learn's digits, torchvision's), and folders.

Labelled arrays only; the splits are drawn by :mod:`optuna_de.cnn.data.loading`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from optuna_de.cnn.data.decoding import Labelled, check_headers, load_images
from optuna_de.cnn.data.image_folder import list_splits
from optuna_de.cnn.data.images import DataError, fit


@dataclass(frozen=True, slots=True)
class Source:
    """A set before it is split.

    Args:
        name: Name of the set.
        classes: Names of the classes.
        train: All images that are of no official split.
        test: Loads the official test split; None where there is none.
        validation: The official validation split; None where there is none.
        layout: The layout of a folder in words; empty for a set with a name.
        notes: What was left out, a clause each.
    """

    name: str
    classes: tuple[str, ...]
    train: Labelled
    test: Callable[[], Labelled] | None
    validation: Labelled | None = None
    layout: str = ""
    notes: tuple[str, ...] = ()


def open_source(
    source: str | Path,
    data_dir: Path | None,
    download: bool,
    image_size: int | None,
    max_bad_images: float = 0.0,
) -> Source:
    """Return the set of that name (whatever the case), else the one in that folder.

    Raises:
        DataError: If there is none, or it cannot be read.
    """
    known = {name.lower(): name for name in NAMES}
    name = known.get(source.lower()) if isinstance(source, str) else None
    if name is None:
        return _folder(_existing(source), image_size, max_bad_images)
    found = DATA_SETS[name](Path("data") if data_dir is None else data_dir, download)
    return found if image_size is None else _resized(found, image_size)


def _existing(source: str | Path) -> Path:
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise DataError(f"{path} is a file, but the data must be a folder.")
    if isinstance(source, Path) or os.sep in source or "/" in source:
        raise DataError(f"There is no folder {path}.")
    raise DataError(
        f"There is no data set or folder {source!r}; choose from {', '.join(NAMES)}, or give the "
        "path of a folder with one folder of images for each class."
    )


def _folder(root: Path, image_size: int | None, max_bad_images: float) -> Source:
    found = list_splits(root)
    train = load_images(found.train, image_size, None, max_bad_images)
    shape = train.images.shape[1:]
    validation = None
    if found.validation is not None:
        validation = load_images(found.validation, image_size, shape, max_bad_images)
    test = found.test
    if test is not None:
        check_headers(test, image_size, shape, max_bad_images)
    return Source(
        name=root.resolve().name,
        classes=found.train.classes,
        train=train,
        test=None
        if test is None
        else partial(load_images, test, image_size, shape, max_bad_images),
        validation=validation,
        layout=found.layout,
        notes=(*found.notes, *train.notes, *(validation.notes if validation else ())),
    )


def _digits(data_dir: Path, download: bool) -> Source:
    """Return scikit-learn's digits: 1,797 images of 8x8 with values 0..16, brought to 0..255."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images[..., None] * (255 / 16)).astype(np.uint8)
    train = Labelled(images, bunch.target.astype(np.int64))
    return Source("digits", tuple(map(str, bunch.target_names)), train, None)


def _torchvision(name: str, data_dir: Path, download: bool) -> Source:
    def load(part: str) -> Any:
        return _torchvision_set(name, data_dir, part, download)

    train = load("train")
    classes = tuple(map(str, getattr(train, "classes", range(10))))  # SVHN has no names
    return Source(name, classes, _labelled(train), lambda: _labelled(load("test")))


def _torchvision_set(name: str, root: Path, part: str, download: bool) -> Any:
    from torchvision import datasets

    which = {"split": part} if name == "SVHN" else {"train": part == "train"}
    try:
        return getattr(datasets, name)(root=str(root), download=download, **which)
    except Exception as error:  # torn files make torchvision raise anything
        if download:
            raise DataError(f"{name} could not be downloaded to {root}: {error}") from error
        raise DataError(
            f"{name} is not whole in the folder {root}; give --download to fetch it, or "
            f"--data-dir with the folder that holds it."
        ) from error


def _labelled(found: Any) -> Labelled:
    images = np.asarray(found.data)
    if images.ndim == 3:  # MNIST: (n, h, w)
        images = images[..., None]
    elif images.shape[1] == 3:  # SVHN: (n, c, h, w)
        images = images.transpose(0, 2, 3, 1)
    labels = found.labels if hasattr(found, "labels") else found.targets
    if len(images) != len(labels):
        raise DataError(f"{type(found).__name__} has {len(images)} images, {len(labels)} labels.")
    return Labelled(images, np.asarray(labels, np.int64))


def _resized(source: Source, image_size: int) -> Source:
    def resize(part: Labelled) -> Labelled:
        plain = (Image.fromarray(i[..., 0] if i.shape[2] == 1 else i) for i in part.images)
        return part._replace(images=np.stack([fit(image, image_size) for image in plain]))

    test = source.test
    return replace(
        source, train=resize(source.train), test=None if test is None else lambda: resize(test())
    )


DATA_SETS: Mapping[str, Callable[[Path, bool], Source]] = {
    "digits": _digits,
    **{
        name: partial(_torchvision, name)
        for name in ("CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "SVHN")
    },
}
"""Sets with a name; each row opens one, given torchvision's folder and whether to download.

Sets without a name are folders: see :data:`optuna_de.cnn.data.image_folder.LAYOUTS`.
"""
NAMES = tuple(DATA_SETS)
