"""Sources of images: sets by name (scikit-learn's digits, torchvision's), and collections.

Labelled images only; the splits are drawn by :mod:`optuna_de.cnn.data.loading`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from optuna_de.cnn.data.options import DataOptions
from optuna_de.cnn.data.reading.images import DataError
from optuna_de.cnn.data.reading.layouts import list_splits
from optuna_de.cnn.data.reading.listing import FolderSplits, Listing, listed_splits, listing_of
from optuna_de.cnn.data.reading.resizing import Resizing, default_size, size_text
from optuna_de.cnn.data.store.decoding import (
    Headers,
    Labelled,
    coloured,
    load_headers,
    load_images,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A set before it is split.

    Args:
        name: Name of the set.
        classes: Names of the classes.
        train: All images that are of no official split.
        test: Loads the official test split; None where there is none.
        validation: The official validation split; None where there is none.
        layout: The layout of a collection in words; empty for a set with a name.
        notes: What was left out, a clause each.
        test_digests: A hash of the bytes of each image of the official test split.
        test_labels: The class of each image of the official test split; empty where unknown.
        sizes: Height and width of each image as it was found, (n, 2); empty where unknown.
    """

    name: str
    classes: tuple[str, ...]
    train: Labelled
    test: Callable[[], Labelled] | None
    validation: Labelled | None = None
    layout: str = ""
    notes: tuple[str, ...] = ()
    test_digests: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    test_labels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))


def open_source(options: DataOptions) -> Source:
    """Return the source of these options: the set of that name, else the collection there.

    Raises:
        DataError: If there is none, or it cannot be read.
    """
    known, source = {name.lower(): name for name in NAMES}, options.source
    name = known.get(source.lower()) if isinstance(source, str) else None
    if name is not None:
        return DATA_SETS[name](options)
    path = _existing(source)
    splits = list_splits(path, options.columns)
    stem = path.resolve().name if path.is_dir() else path.resolve().parent.name
    return _loaded(stem, splits, options)


def _existing(source: str | Path) -> Path:
    path = Path(source).expanduser()
    if path.exists():
        return path
    if isinstance(source, Path) or os.sep in source or "/" in source:
        raise DataError(f"There is no folder {path}.")
    raise DataError(
        f"There is no data set or folder {source!r}; choose from {', '.join(NAMES)}, or give the "
        "path of a folder with one folder of images for each class."
    )


def _loaded(name: str, splits: FolderSplits, options: DataOptions) -> Source:
    """Check the headers of all splits, then load the images of all but the test split."""
    bad = options.max_bad_images
    headers = [load_headers(part, bad) for part in splits.parts]
    resizing, note = _resizing(options, headers)
    shape = _shape(headers[0], resizing)
    for part, header in zip(splits.parts[1:], headers[1:], strict=True):
        if shape[2] == 1 and (header.shapes[header.good, 2] == 3).any():
            raise coloured(part)
    loads = {
        id(part): partial(load_images, part, resizing, shape, header, bad)
        for part, header in zip(splits.parts, headers, strict=True)
    }
    train = loads[id(splits.train)]()
    validation = None if splits.validation is None else loads[id(splits.validation)]()
    return Source(
        name=name,
        classes=splits.train.classes,
        train=train,
        test=None if splits.test is None else loads[id(splits.test)],
        validation=validation,
        layout=splits.layout,
        notes=(*note, *splits.notes, *train.notes, *(validation.notes if validation else ())),
        test_digests=headers[-1].digests if splits.test is not None else headers[0].digests[:0],
        test_labels=np.array(splits.test.labels if splits.test is not None else (), np.int64),
        sizes=headers[0].shapes[headers[0].good, :2],
    )


def _resizing(options: DataOptions, headers: list[Headers]) -> tuple[Resizing, tuple[str, ...]]:
    """Return how images are resized, and a note where the data chose it."""
    chosen = options.resizing
    if chosen.size is not None:
        return chosen, ()
    every = np.concatenate([h.shapes[h.good] for h in headers])
    if default_size(every) is None:
        return chosen, ()
    first = headers[0].shapes[headers[0].good]
    size = default_size(first) or default_size(every)
    assert size is not None
    note = (
        f"sizes vary, so images are resized to {size_text(size)} ({chosen.mode}): their "
        "median smaller side, at most 64 (--image-size)"
    )
    return replace(chosen, size=size), (note,)


def _shape(headers: Headers, resizing: Resizing) -> tuple[int, int, int]:
    """Return the shape (h, w, c) of the images; one channel where all are grey."""
    good = headers.shapes[headers.good]
    height, width = resizing.size or good[0, :2].tolist()
    return height, width, int(good[:, 2].max())


def _digits(options: DataOptions) -> Source:
    """Return scikit-learn's digits: 1,797 images of 8x8 with values 0..16, brought to 0..255."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images[..., None] * (255 / 16)).astype(np.uint8)
    train = _resized(Labelled.of(images, bunch.target.astype(np.int64)), options)
    return Source("digits", tuple(map(str, bunch.target_names)), train, None)


Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class TorchvisionSet:
    """How a data set of torchvision is opened.

    Args:
        name: Its class in ``torchvision.datasets``.
        argument: The argument that names a split: "split", or "train" for a truth value, or ""
            where there is none.
        train: Name of the training split.
        test: Name of the test split; None where there is none.
        validation: Name of the validation split; None where there is none.
    """

    name: str
    argument: Literal["split", "train", ""] = "train"
    train: str | bool = True
    test: str | bool | None = False
    validation: str | None = None

    def __call__(self, options: DataOptions) -> Source:
        """Open the set."""
        train = self._open(self.train, options)
        if isinstance(getattr(train, "data", None), np.ndarray) or hasattr(
            getattr(train, "data", None), "numpy"
        ):
            return self._from_arrays(train, options)
        parts: dict[str, Any] = {"train": train}
        for part, split in (("validation", self.validation), ("test", self.test)):
            if split is not None:
                parts[part] = self._open(split, options)
        classes = _classes(train)
        listings = {part: _listed(self.name, dataset, classes) for part, dataset in parts.items()}
        splits = listed_splits("", listings.pop("train"), listings)
        return _loaded(self.name, splits, options)

    def _from_arrays(self, train: Any, options: DataOptions) -> Source:
        def load(split: str | bool) -> Labelled:
            return _resized(_labelled(self._open(split, options)), options)

        test = self.test
        return Source(
            self.name,
            _classes(train),
            _resized(_labelled(train), options),
            None if test is None else partial(load, test),
        )

    def _open(self, split: str | bool, options: DataOptions) -> Any:
        from torchvision import datasets

        root = Path("data") if options.data_dir is None else options.data_dir
        given: dict[str, Any] = {self.argument: split} if self.argument else {}
        if self.name not in _FETCHED_BY_HAND:
            given["download"] = options.download
        try:
            return getattr(datasets, self.name)(root=str(root), **given)
        except Exception as error:  # torn files make torchvision raise anything
            if options.download:
                raise DataError(
                    f"{self.name} could not be downloaded to {root}: {error}"
                ) from error
            raise DataError(
                f"{self.name} is not whole in the folder {root}; give --download to fetch it, or "
                f"--data-dir with the folder that holds it."
            ) from error


_FETCHED_BY_HAND = ("FER2013",)  # torchvision cannot download it


def _classes(dataset: Any) -> tuple[str, ...]:
    names = getattr(dataset, "classes", None) or getattr(dataset, "categories", None)
    if names:
        return tuple(" / ".join(map(str, n)) if isinstance(n, tuple) else str(n) for n in names)
    return tuple(map(str, range(int(_labels(dataset).max()) + 1)))


def _labels(dataset: Any) -> NDArray[np.int64]:
    """Return the labels of a torchvision set, without decoding images where it keeps them."""
    for name in ("targets", "labels", "_labels", "y"):
        values = getattr(dataset, name, None)
        if values is not None and len(values) == len(dataset):
            return np.asarray(values, np.int64)
    samples = getattr(dataset, "_samples", getattr(dataset, "samples", None))
    if samples is not None and len(samples) == len(dataset):
        return np.array([sample[1] for sample in samples], np.int64)
    return np.array([dataset[i][1] for i in range(len(dataset))], np.int64)


def _files(dataset: Any) -> list[Path] | None:
    """Return the image files of a torchvision set where it keeps their paths."""
    for name in ("_image_files", "_images"):
        values = getattr(dataset, name, None)
        if values is not None and len(values) == len(dataset):
            return [Path(value) for value in values]
    samples = getattr(dataset, "_samples", getattr(dataset, "samples", None))
    if samples and len(samples) == len(dataset) and isinstance(samples[0][0], str | Path):
        return [Path(sample[0]) for sample in samples]
    return None


def _listed(name: str, dataset: Any, classes: tuple[str, ...]) -> Listing:
    """Return a listing of the images of a torchvision set."""
    files, labels = _files(dataset), _labels(dataset)
    names = [classes[label] for label in labels]
    rows = [f"image {i}" for i in range(len(labels))] if files is None else list(map(str, files))
    root = Path(str(getattr(dataset, "root", name)))

    def read(i: int) -> Any:
        return dataset[i][0].copy() if files is None else files[i]

    return listing_of(root, rows, names, classes, (), read)


def _labelled(dataset: Any) -> Labelled:
    images = np.asarray(dataset.data)
    if images.ndim == 3:  # MNIST: (n, h, w)
        images = images[..., None]
    elif images.shape[1] == 3:  # SVHN: (n, c, h, w)
        images = images.transpose(0, 2, 3, 1)
    labels = dataset.labels if hasattr(dataset, "labels") else dataset.targets
    if len(images) != len(labels):
        raise DataError(
            f"{type(dataset).__name__} has {len(images)} images, {len(labels)} labels."
        )
    return Labelled.of(images, np.asarray(labels, np.int64))


def _resized(part: Labelled, options: DataOptions) -> Labelled:
    resizing = options.resizing
    if resizing.size is None:
        return part
    plain = (Image.fromarray(i[..., 0] if i.shape[2] == 1 else i) for i in part.store.images)
    return Labelled.of(np.stack([resizing.fit(image) for image in plain]), part.labels)


_ROWS = (
    TorchvisionSet("CIFAR10"),
    TorchvisionSet("CIFAR100"),
    TorchvisionSet("MNIST"),
    TorchvisionSet("FashionMNIST"),
    TorchvisionSet("SVHN", "split", "train", "test"),
    TorchvisionSet("KMNIST"),
    TorchvisionSet("QMNIST"),
    TorchvisionSet("USPS"),
    TorchvisionSet("SEMEION", "", True, None),
    TorchvisionSet("STL10", "split", "train", "test"),
    TorchvisionSet("Country211", "split", "train", "test", "valid"),
    TorchvisionSet("DTD", "split", "train", "test", "val"),
    TorchvisionSet("EuroSAT", "", True, None),
    TorchvisionSet("FER2013", "split", "train", None),
    TorchvisionSet("FGVCAircraft", "split", "train", "test", "val"),
    TorchvisionSet("Flowers102", "split", "train", "test", "val"),
    TorchvisionSet("Food101", "split", "train", "test"),
    TorchvisionSet("GTSRB", "split", "train", "test"),
    TorchvisionSet("Imagenette", "split", "train", "val"),
    TorchvisionSet("OxfordIIITPet", "split", "trainval", "test"),
    TorchvisionSet("PCAM", "split", "train", "test", "val"),
    TorchvisionSet("RenderedSST2", "split", "train", "test", "val"),
    TorchvisionSet("StanfordCars", "split", "train", "test"),
    TorchvisionSet("SUN397", "", True, None),
    TorchvisionSet("Caltech101", "", True, None),
    TorchvisionSet("Caltech256", "", True, None),
)
DATA_SETS: Mapping[str, Callable[[DataOptions], Source]] = {
    "digits": _digits,
    **{row.name: row for row in _ROWS},
}
"""Sets with a name; each row opens one.

Sets without a name are collections: see :data:`optuna_de.cnn.data.reading.layouts.LAYOUTS`.
"""
NAMES = tuple(DATA_SETS)
