"""JPEG files: simplejpeg gives what Pillow gives, and leaves to it what is not plain."""

from collections.abc import Callable
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images

from optuna_de.cnn.data.reading import jpeg
from optuna_de.cnn.data.reading.images import DataError, NamedBytes, decode, read_header
from optuna_de.cnn.data.reading.jpeg import decode_jpeg, jpeg_shape
from optuna_de.cnn.data.reading.resizing import Resizing

pytest.importorskip("simplejpeg", reason="needs the extra data")
PHOTO = Image.fromarray(load_sample_images().images[0])


def saved(size: tuple[int, int], mode: str = "RGB", **options: Any) -> bytes:
    """Return a cut of a photo as a JPEG file."""
    file = BytesIO()
    PHOTO.crop((50, 60, 50 + size[0], 60 + size[1])).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def outcome(data: bytes, act: Callable[[NamedBytes], Any]) -> Any:
    try:
        return act(NamedBytes("x", data))
    except DataError as error:
        return str(error)


@pytest.fixture
def by_pillow(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, Callable[..., Any]], Any]:
    """Return what gives the outcome of Pillow alone."""

    def alone(data: bytes, act: Callable[[NamedBytes], Any]) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(jpeg, "simplejpeg", None)
            return outcome(data, act)

    return alone


def whole(item: NamedBytes) -> NDArray[np.uint8]:
    return decode(item, Resizing())


def small(item: NamedBytes) -> NDArray[np.uint8]:
    return decode(item, Resizing((20, 16)))


@pytest.mark.parametrize(
    ("mode", "subsampling", "progressive"),
    [*product(["RGB", "L", "CMYK"], [0, 2], [False, True])],
)
def test_pixels_are_those_of_pillow(
    by_pillow: Callable[..., Any], mode: str, subsampling: int, progressive: bool
) -> None:
    for size in [(32, 32), (31, 17), (90, 60), (200, 150)]:
        data = saved(size, mode, subsampling=subsampling, progressive=progressive)
        assert (jpeg_shape(data) is None) == (mode == "CMYK")
        for act in (read_header, whole, small):
            np.testing.assert_array_equal(outcome(data, act), by_pillow(data, act))


def test_damaged_files_are_judged_by_pillow(by_pillow: Callable[..., Any]) -> None:
    rng, kinds = np.random.default_rng(0), set()
    for _ in range(60):
        damaged = bytearray(saved((40, 30)))
        at = int(rng.integers(3, len(damaged)))
        damaged[at : at + 3] = rng.integers(0, 256, 3, np.uint8).tobytes()
        data = bytes(damaged[: int(rng.integers(at, 3 * len(damaged)))])
        expected = by_pillow(data, whole)
        kinds.add(type(expected))
        np.testing.assert_array_equal(outcome(data, whole), expected)
    assert kinds == {str, np.ndarray}


def test_what_is_turned_or_wanted_small_is_left_to_pillow() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert jpeg_shape(saved((40, 30), exif=exif)) is None
    plain = saved((40, 30))
    assert jpeg_shape(plain) == (30, 40, 3)
    assert decode_jpeg(plain, (15, 20)) is None
    assert decode_jpeg(plain, (16, 20)) is not None
    assert jpeg_shape(b"GIF89a" + plain) is None


def test_more_pixels_than_pillow_allows_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved((40, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1199)
    assert jpeg_shape(data) is None
