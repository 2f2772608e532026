"""Arrays of images and labels, checked at the door."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from optuna_de.cnn.data.reading.images import DataError, decode
from optuna_de.cnn.data.reading.resizing import Resizing

Channels = Literal["first", "last"]
_KNOWN = (1, 3)  # numbers of channels that are recognised


def as_images(images: object, channels: Channels | None = None) -> NDArray[np.uint8]:
    """Return arrays of images as uint8 (n, h, w, c).

    Args:
        images: Integers in [0, 255] of shape (n, h, w), (n, h, w, c) or (n, c, h, w).
        channels: Where the channels are; None recognises 1 or 3 of them.

    Raises:
        DataError: If they are something else.
    """
    array = _array(images, "images")
    if array.dtype.kind not in "iu":
        raise DataError(
            f"images are {array.dtype}, but must be whole numbers in [0, 255]; multiply by 255 "
            "what lies in [0, 1], and convert by .round().astype('uint8')."
        )
    if array.ndim == 3:
        array = array[..., None]
    elif array.ndim != 4:
        raise DataError(
            f"images have the shape {array.shape}, but must be (n, h, w), (n, h, w, c) or "
            "(n, c, h, w)."
        )
    elif (channels or _channels_of(array.shape)) == "first":
        array = array.transpose(0, 2, 3, 1)
    if min(array.shape[:3]) < 2:
        raise DataError(f"There must be two images or more of 2x2 pixels or more: {array.shape}.")
    if array.dtype != np.uint8 and (array.min() < 0 or array.max() > 255):
        raise DataError(
            f"images run from {array.min()} to {array.max()}, but must be in [0, 255]."
        )
    return np.ascontiguousarray(array, np.uint8)


def _channels_of(shape: Sequence[int]) -> Channels:
    first, last = shape[1] in _KNOWN, shape[3] in _KNOWN
    if first == last:
        raise DataError(
            f"images have the shape {tuple(shape)}, which does not tell where the channels are; "
            'give channels="first" for (n, c, h, w) or channels="last" for (n, h, w, c).'
        )
    return "first" if first else "last"


def as_labels(
    labels: object, n: int, classes: Sequence[str] | None = None
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return arrays of labels as int64 (n,), indices of classes, and their names.

    Args:
        labels: Indices of classes, 0 to k - 1, or names of classes.
        n: Number of images.
        classes: Names of the k classes; None names them by their labels.

    Raises:
        DataError: If they are something else.
    """
    array = _array(labels, "labels")
    if array.shape != (n,):
        raise DataError(f"labels have the shape {array.shape}, but must be ({n},), one an image.")
    if array.dtype.kind in "UO" and all(isinstance(label, str) for label in array):
        names, array = np.unique(array.astype(str), return_inverse=True)
        named = tuple(map(str, names)) if classes is None else tuple(classes)
        if named != tuple(map(str, names)):
            raise DataError(f"labels name {', '.join(names)}, but classes {', '.join(named)}.")
        classes = named
    if array.dtype.kind not in "iu":
        raise DataError(f"labels are {array.dtype}, but must be whole numbers or names.")
    present = np.unique(array)
    k = int(present[-1]) + 1 if classes is None else len(classes)
    if len(present) != k or present[0] != 0 or present[-1] != k - 1:
        raise DataError(
            f"labels run from {present[0]} to {present[-1]} and take {len(present)} values, but "
            f"must be 0 to {k - 1 if classes else 'k - 1'} with images of every class."
        )
    if k < 2:
        raise DataError("labels name one class only, but there must be two or more.")
    return array.astype(np.int64), tuple(map(str, range(k) if classes is None else classes))


def _array(values: object, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except Exception as error:  # ragged lists, tensors on a GPU, ...
        raise DataError(f"{name} are no array in the memory of the processor: {error}") from error


def read_dataset(
    dataset: Any,
    resizing: Resizing,
    image_column: str | None = None,
    label_column: str | None = None,
) -> tuple[NDArray[np.uint8], list[Any], tuple[str, ...] | None]:
    """Read a data set as arrays of images (n, h, w, c), labels, and class names if any.

    Args:
        dataset: Gives an image and its label, as a pair or as a mapping, for each index below
            its length. Images are those of Pillow, or arrays as :func:`as_images` takes them.
        resizing: How to resize Pillow's images.
        image_column: Name of the image in a mapping; None takes the only one.
        label_column: Name of the label in a mapping; None takes the only whole number.

    Raises:
        DataError: If it gives something else, or images of several sizes.
    """
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise DataError(
            f"The data set is a {type(dataset).__name__}, but must have a length and items."
        )
    if isinstance(dataset, Mapping):
        splits = ", ".join(map(repr, dataset))
        raise DataError(f"The data set holds the splits {splits}; give one of them.")
    if len(dataset) == 0:
        raise DataError("The data set is empty.")
    columns = _columns(dataset[0], image_column, label_column)
    images, labels = [], []
    for i in range(len(dataset)):
        item = dataset[i]
        image, label = item[columns[0]], item[columns[1]]
        images.append(_pixels(image, resizing, i))
        labels.append(label.item() if hasattr(label, "item") else label)
    return _stacked(images), labels, _classes(dataset, columns[1])


def _columns(item: Any, image: str | None, label: str | None) -> tuple[Any, Any]:
    """Return at which keys of an item its image and its label are."""
    if not isinstance(item, Mapping):
        if isinstance(item, Sequence) and len(item) == 2:
            return 0, 1
        raise DataError("An item of the data set must be a pair: an image and its label.")
    pictures = [key for key, value in item.items() if _is_image(value)]
    numbers = [key for key, value in item.items() if _is_number(value)]
    return (
        _only("image", image, pictures, list(item)),
        _only("label", label, numbers, list(item)),
    )


def _is_image(value: Any) -> bool:
    return isinstance(value, Image.Image) or getattr(value, "ndim", 0) in (2, 3)


def _is_number(value: Any) -> bool:
    return type(value) is int or getattr(value, "ndim", None) == 0


def _only(what: str, given: str | None, columns: list[str], every: list[str]) -> str:
    if given is not None and given in every:
        return given
    if given is None and len(columns) == 1:
        return columns[0]
    raise DataError(
        f"{what}_column is {given!r}, but must be one of {', '.join(map(repr, columns or every))}."
    )


def _pixels(image: Any, resizing: Resizing, i: int) -> NDArray[np.uint8]:
    """Return an item's image as uint8 (h, w, c)."""
    if isinstance(image, Image.Image):
        return decode(image, resizing)
    array = _array(image, f"item {i}'s images")
    if array.ndim not in (2, 3):
        raise DataError(f"The image of item {i} has the shape {array.shape}, not (h, w, c).")
    pair = np.stack([array, array])  # as_images takes two or more
    pixels: NDArray[np.uint8] = as_images(pair)[0]
    return pixels


def _stacked(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    sizes = [image.shape[:2] for image in images]
    odd = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
    if odd is not None:
        raise DataError(
            f"The image of item {odd} has {sizes[odd][1]}x{sizes[odd][0]} pixels, that of item 0 "
            f"{sizes[0][1]}x{sizes[0][0]}; give image_size to bring images to one size."
        )
    channels = max(image.shape[2] for image in images)
    return np.stack([np.broadcast_to(image, (*sizes[0], channels)) for image in images])


def _classes(dataset: Any, column: Any) -> tuple[str, ...] | None:
    """Return the names that torchvision and Hugging Face keep, also behind a subset."""
    features = getattr(dataset, "features", None)
    if isinstance(features, Mapping):
        names = getattr(features.get(column), "names", None)
    else:
        names = getattr(dataset, "classes", getattr(dataset, "dataset", None))
        names = getattr(names, "classes", names)
    return tuple(map(str, names)) if isinstance(names, (list, tuple)) and names else None
