"""Decoding of listed images into arrays, with every core, and through the cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from optuna_de.cnn.data.cache import Arrays, cached, write_log
from optuna_de.cnn.data.image_folder import Listing
from optuna_de.cnn.data.images import DataError, decode, quiet_pillow, read_header

_FORMAT = 2  # of the entries of the cache and of the way of decoding
_CHUNK = 64
T = TypeVar("T")


class SizeError(DataError):
    """An image of another size than the rest, which no skipping mends."""


class Labelled(NamedTuple):
    """Images uint8 (n, h, w, c), their labels int64 (n,), indices of classes, and notes."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def load_images(
    listing: Listing,
    image_size: int | None,
    like: Sequence[int] | None = None,
    max_bad_images: float = 0.0,
) -> Labelled:
    """Return the images of a listing, from the cache where it is still true.

    Args:
        listing: What to load.
        image_size: Side to resize the smaller side to, then crop about the centre; None takes
            the images as they are.
        like: Height, width and channels (h, w, c) that the images must have; None takes the size
            of the first, and one channel where all are grey, else three.
        max_bad_images: Share of the images, in [0, 1], that may be unreadable and are skipped.

    Raises:
        DataError: If more images cannot be read, or one has another size.
    """
    shape = None if like is None else list(like)

    def make() -> Arrays:
        images, bad = decode_all(listing, image_size, like)
        return {"images": images, "bad": np.array(json.dumps(bad))}

    def right(arrays: Arrays) -> bool:
        images, bad = arrays["images"], json.loads(str(arrays["bad"]))
        return (
            images.dtype == np.uint8
            and images.ndim == 4
            and len(images) + len(bad) == len(listing.files)
        )

    arrays, entry = cached([*_content(listing), "pixels", image_size, shape], right, make)
    bad = {int(i): str(why) for i, why in json.loads(str(arrays["bad"])).items()}
    notes = check_bad(listing, bad, max_bad_images, entry)
    good = [label for i, label in enumerate(listing.labels) if i not in bad]
    images: NDArray[np.uint8] = arrays["images"].astype(np.uint8, copy=False)
    return Labelled(images, np.array(good, np.int64), notes)


def check_headers(
    listing: Listing, image_size: int | None, like: Sequence[int], max_bad_images: float
) -> None:
    """Check what the headers of a split tell, without its pixels.

    Args:
        listing: The images.
        image_size: As in :func:`load_images`.
        like: Height, width and channels (h, w, c) that the images must have.
        max_bad_images: As in :func:`load_images`.

    Raises:
        DataError: If too many headers cannot be read, or an image has another shape.
    """

    def make() -> Arrays:
        with quiet_pillow():
            paths = listing.paths
            rows, bad = _each(lambda i: read_header(paths[i]), len(paths))
        shapes = np.array([row or (0, 0, 0) for row in rows], np.int64)
        return {"shapes": shapes, "bad": np.array(json.dumps(bad))}

    def right(arrays: Arrays) -> bool:
        json.loads(str(arrays["bad"]))
        shapes = arrays["shapes"]
        return shapes.dtype == np.int64 and shapes.shape == (len(listing.files), 3)

    arrays, entry = cached([*_content(listing), "headers"], right, make)
    bad = {int(i): str(why) for i, why in json.loads(str(arrays["bad"])).items()}
    check_bad(listing, bad, max_bad_images, entry)
    shapes = arrays["shapes"].astype(np.int64, copy=False)
    good = np.array([i not in bad for i in range(len(shapes))])
    odd = good & (shapes[:, :2] != like[:2]).any(1)
    if image_size is None and odd.any():
        i = int(odd.argmax())
        raise _other_size(listing.paths[i], shapes[i], like, None)
    if like[2] == 1 and (shapes[good, 2] == 3).any():
        raise _coloured(listing)


def _content(listing: Listing) -> list[Any]:
    return [_FORMAT, str(listing.folder.resolve()), listing.files, listing.stamps]


def decode_all(
    listing: Listing, image_size: int | None, like: Sequence[int] | None
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """Decode into one array (n, h, w, c); return it and why others cannot be read, by index."""
    paths = listing.paths
    with quiet_pillow():
        size = tuple(like[:2]) if like else _first_size(paths, image_size)
        images = _room(len(paths), *size)

        def fill(i: int) -> bool:
            pixels = decode(paths[i], image_size)
            if pixels.shape[:2] != size:
                raise _other_size(paths[i], pixels.shape, size, None if like else listing)
            images[i] = pixels
            return bool(pixels.shape[2] == 1)

        greys, bad = _each(fill, len(paths))
    grey = all(grey is not False for grey in greys)
    if like and like[2] == 1 and not grey:
        raise _coloured(listing)
    if bad:
        images = images[[i for i in range(len(paths)) if i not in bad]]
    return images[..., :1].copy() if (like[2] == 1 if like else grey) else images, bad


def _each(job: Callable[[int], T], n: int) -> tuple[list[T | None], dict[int, str]]:
    """Run a job for each image on every core; return results, and the errors by index."""
    bad: dict[int, str] = {}

    def attempt(i: int) -> T | None:
        try:
            return job(i)
        except SizeError:
            raise
        except DataError as error:
            bad[i] = str(error)
            return None

    def chunk(start: int) -> list[T | None]:
        return [attempt(i) for i in range(start, min(start + _CHUNK, n))]

    with ThreadPoolExecutor() as pool:  # a future for each small image costs as much as it does
        results = [row for rows in pool.map(chunk, range(0, n, _CHUNK)) for row in rows]
    return results, dict(sorted(bad.items()))


def _first_size(paths: Sequence[Path], image_size: int | None) -> tuple[int, ...]:
    """Return height and width of the first image that can be read; (1, 1) if none can."""
    for path in paths:
        with suppress(DataError):
            return decode(path, image_size).shape[:2]
    return 1, 1


def check_bad(
    listing: Listing, bad: Mapping[int, str], max_bad_images: float, entry: Path
) -> tuple[str, ...]:
    """Return a note about the images that are skipped; name them in a log.

    Raises:
        DataError: If they are more than the share allows.
    """
    if not bad:
        return ()
    n, first = len(listing.files), next(iter(bad.values()))
    where = write_log(entry, list(bad.values()))
    if len(bad) > max_bad_images * n or len(bad) == n:
        raise DataError(
            f"{first[:-1]}; {len(bad):,} of {n:,} images in {listing.folder} cannot be used, but "
            f"max_bad_images (--max-bad-images) allows {max_bad_images:.1%}; they are {where}."
        )
    return (f"{len(bad):,} of {n:,} images in {listing.folder.name}/ unreadable, {where}",)


def _other_size(
    path: Path, shape: Sequence[int], size: Sequence[int], listing: Listing | None
) -> SizeError:
    others = "the training images have" if listing is None else f"others in {listing.folder} have"
    return SizeError(
        f"{path} has {shape[1]}x{shape[0]} pixels where {others} {size[1]}x{size[0]}; give "
        "image_size (--image-size) to bring all to one size."
    )


def _coloured(listing: Listing) -> DataError:
    return DataError(f"{listing.folder} holds coloured images, but the training images are grey.")


def _room(n: int, height: int, width: int) -> NDArray[np.uint8]:
    try:
        return np.empty((n, height, width, 3), np.uint8)
    except MemoryError as error:
        raise DataError(
            f"{n:,} images of {width}x{height} pixels need {n * height * width * 3 / 1e9:,.1f} GB "
            "of memory, more than there is; give a smaller image_size (--image-size)."
        ) from error
