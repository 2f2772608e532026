"""Modes of images: grey, deep, transparent, turned, animated; and large JPEGs decoded small."""

import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, features

from optuna_de.cnn.data.reading.images import DataError, decode, read_header, read_image
from optuna_de.cnn.data.reading.resizing import Resizing
from optuna_de.cnn.export.export import export_model
from tests.cnn.export.kit import SHAPE, save

NOISE = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
GREY = NOISE[..., 0]
HALF = np.arange(24).reshape(4, 6) % 2 == 0


@pytest.fixture(name="read", scope="module")
def fixture_read(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], NDArray[np.uint8]]:
    """Return the reader of an exported Python file."""
    place = tmp_path_factory.mktemp("network")
    export_model(save(place / "model", "C3k3-GAP-FC9"), "python", place / "net.py")
    reader: Callable[[Path], NDArray[np.uint8]] = runpy.run_path(str(place / "net.py"))["read"]
    return reader


def with_alpha(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.dstack([pixels, alpha])


def grey16(path: Path) -> NDArray[np.uint8]:
    deep = GREY.astype(np.uint16) * 256 + 77
    Image.fromarray(deep).save(path.with_suffix(".png"))
    return GREY[..., None]


def grey16_tiff(path: Path) -> NDArray[np.uint8]:
    deep = GREY.astype(np.uint16) * 256 + 255
    Image.fromarray(deep).save(path.with_suffix(".tif"))
    return GREY[..., None]


def grey16_pgm(path: Path) -> NDArray[np.uint8]:
    deep = (GREY.astype(np.uint16) * 256 + 13).astype(">u2")
    path.with_suffix(".pgm").write_bytes(b"P5 6 4 65535\n" + deep.tobytes())
    return GREY[..., None]


def opaque(path: Path) -> NDArray[np.uint8]:
    Image.fromarray(with_alpha(NOISE, np.full_like(GREY, 255))).save(path.with_suffix(".png"))
    return NOISE


def icon(path: Path) -> NDArray[np.uint8]:
    """Black on transparent black, as icons are."""
    alpha = np.where(HALF, 255, 0).astype(np.uint8)
    Image.fromarray(with_alpha(np.zeros_like(NOISE), alpha)).save(path.with_suffix(".png"))
    return np.where(HALF, 0, 255).astype(np.uint8)[..., None].repeat(3, 2)


def half_transparent(path: Path) -> NDArray[np.uint8]:
    alpha = np.full_like(GREY, 51)  # a fifth
    Image.fromarray(with_alpha(np.zeros_like(NOISE), alpha)).save(
        path.with_suffix(".webp"), lossless=True
    )
    return np.full_like(NOISE, 204)


def grey_icon(path: Path) -> NDArray[np.uint8]:
    alpha = np.where(HALF, 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([GREY, alpha])).save(path.with_suffix(".png"))
    return np.where(HALF, GREY, 255)[..., None].repeat(3, 2)


def grey_with_a_transparent_value(path: Path) -> NDArray[np.uint8]:
    pixels = np.where(HALF, GREY % 200, 201).astype(np.uint8)
    Image.fromarray(pixels).save(path.with_suffix(".png"), transparency=201)
    return np.where(HALF, pixels, 255)[..., None]


def transparent_palette(path: Path) -> NDArray[np.uint8]:
    image = Image.new("P", (6, 4))
    image.putpalette([10, 20, 30, 1, 1, 1])
    image.putdata([int(not half) for half in HALF.flatten()])
    image.save(path.with_suffix(".gif"), transparency=1)
    return np.where(HALF[..., None], [10, 20, 30], 255)


def cmyk(path: Path) -> NDArray[np.uint8]:
    Image.new("CMYK", (6, 4), (0, 255, 255, 0)).save(path.with_suffix(".tif"))
    return np.full_like(NOISE, 0) + np.array([255, 0, 0], np.uint8)


def turned(path: Path) -> NDArray[np.uint8]:
    image = Image.fromarray(NOISE)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(path.with_suffix(".png"), exif=exif)
    return np.rot90(NOISE, -1)


def turned_grey16(path: Path) -> NDArray[np.uint8]:
    image = Image.fromarray(GREY.astype(np.uint16) * 257)
    exif = image.getexif()
    exif[0x0112] = 8
    image.save(path.with_suffix(".png"), exif=exif)
    return np.rot90(GREY)[..., None]


def animated(path: Path) -> NDArray[np.uint8]:
    frames = [Image.new("RGB", (6, 4), color) for color in ("red", "blue")]
    frames[0].save(path.with_suffix(".gif"), save_all=True, append_images=frames[1:])
    return np.full_like(NOISE, 0) + np.array([255, 0, 0], np.uint8)


def avif(path: Path) -> NDArray[np.uint8]:
    if not features.check("avif"):
        pytest.skip("this Pillow knows no AVIF")
    Image.new("RGB", (6, 4), "white").save(path.with_suffix(".avif"))
    return np.full_like(NOISE, 255)


def jfif(path: Path) -> NDArray[np.uint8]:
    Image.new("L", (6, 4), 80).save(path.with_suffix(".jfif"), "JPEG")
    return np.full_like(GREY, 80)[..., None]


KINDS = [
    grey16,
    grey16_tiff,
    grey16_pgm,
    opaque,
    icon,
    half_transparent,
    grey_icon,
    grey_with_a_transparent_value,
    transparent_palette,
    cmyk,
    turned,
    turned_grey16,
    animated,
    avif,
    jfif,
]


@pytest.mark.parametrize("write", KINDS)
def test_kinds_of_images(
    tmp_path: Path,
    read: Callable[[Path], NDArray[np.uint8]],
    write: Callable[[Path], NDArray[np.uint8]],
) -> None:
    expected = write(tmp_path / "x")
    (file,) = tmp_path.glob("x.*")
    np.testing.assert_array_equal(decode(file, Resizing()), expected)
    assert read_header(file) == expected.shape
    np.testing.assert_array_equal(read(file), read_image(file, SHAPE))


def test_photos_of_a_phone_are_read_with_the_extra(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif", reason="needs the extra data")
    file = tmp_path / "IMG_1.HEIC"
    Image.new("RGB", (64, 48), "white").save(file, "HEIF")
    assert read_header(file) == (48, 64, 3)
    np.testing.assert_array_equal(decode(file, Resizing()), np.full((48, 64, 3), 255, np.uint8))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_more_than_sixteen_bits_are_refused(tmp_path: Path, mode: str) -> None:
    file = tmp_path / "x.tif"
    Image.new(mode, (6, 4)).save(file)
    with pytest.raises(DataError, match=rf"x\.tif has more than 16 bits a channel \(mode {mode}"):
        decode(file, Resizing())


def photo(path: Path, side: int) -> Path:
    """Write a JPEG with shapes of many sizes."""
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(2 * np.pi * f * (x * (f % 3 + 1) + y * y)) for f in (1, 3, 20)]
    Image.fromarray(
        (127 + 42 * np.dstack(waves) + 42 * waves[0][..., None]).astype(np.uint8)
    ).save(path, quality=95)
    return path


def test_large_jpegs_are_decoded_small(
    tmp_path: Path, read: Callable[[Path], NDArray[np.uint8]]
) -> None:
    file = photo(tmp_path / "x.jpg", 2_000)
    small = decode(file, Resizing((64, 64))).astype(int)
    with Image.open(file) as image:
        exact = np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR)).astype(int)
        image.load()
        assert 0 < np.abs(small - exact).mean() < 1
    network = read_image(file, (3, 64, 64))
    np.testing.assert_array_equal(network.transpose(1, 2, 0), small)
    np.testing.assert_array_equal(read(file), read_image(file, SHAPE))


def test_jpegs_of_less_than_four_times_the_size_are_decoded_whole(tmp_path: Path) -> None:
    file = photo(tmp_path / "x.jpg", 255)
    with Image.open(file) as image:
        exact = np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(decode(file, Resizing((64, 64))), exact)
