"""Folders of images: decoding, the cache beside them, and what is wrong with them."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from optuna_de.cnn.data import DataError
from optuna_de.cnn.data.dataset import Split
from optuna_de.cnn.data.loading import load_data, load_test
from tests.cnn.data.kit import paint


def swap_unseen(file: Path, other: Path) -> None:
    """Replace a file's bytes but neither its size nor its time of modification."""
    stat = file.stat()
    file.write_bytes(other.read_bytes()[: stat.st_size].ljust(stat.st_size, b"\0"))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def cache_of(folder: Path) -> Path:
    (cache,) = folder.glob(".optuna_de*")
    return cache


def rows(split: Split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.images}


def test_pixels_and_labels_are_those_of_the_files(tmp_path: Path) -> None:
    folder = paint(tmp_path)
    data = load_data(folder)
    assert data.classes == ("ant", "bee")
    assert data.image_shape == (3, 4, 6)
    seen = {image.numpy().tobytes(): int(label) for split in (data.train, data.validation)
            for image, label in zip(split.images, split.labels, strict=True)}  # fmt: skip
    for label, name in enumerate(data.classes):
        files = (folder / "train" / name).glob("*.png")
        pixels = [np.asarray(Image.open(file)).transpose(2, 0, 1).tobytes() for file in files]
        assert [seen[p] for p in pixels if p in seen] == [label] * 8


def test_a_test_folder_is_the_test_split_and_is_not_decoded_for_a_search(tmp_path: Path) -> None:
    folder = paint(paint(tmp_path), n=3, part="test")
    assert len(load_test(folder).labels) == 6
    assert (
        sum(len(s.labels) for s in (load_data(folder).train, load_data(folder).validation)) == 20
    )
    (folder / "test/bee/1.png").write_bytes(b"no image")
    load_data(folder)
    with pytest.raises(DataError, match=r"test/bee/1\.png cannot be read"):
        load_test(folder)


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("1", 1), ("P", 3), ("RGBA", 3), ("RGB", 3)]
)
def test_grey_keeps_one_channel_only_among_grey_images(
    tmp_path: Path, mode: str, channels: int
) -> None:
    folder = paint(tmp_path, mode="L")
    file = folder / "train/bee/7.png"
    Image.open(file).convert(mode).save(file)
    assert load_data(folder).image_shape == (channels, 4, 6)


def test_a_grey_test_image_joins_a_coloured_set_but_not_the_reverse(tmp_path: Path) -> None:
    coloured = paint(paint(tmp_path / "a"), part="test", mode="L")
    assert load_test(coloured).images.shape[1] == 3
    grey = paint(paint(tmp_path / "b", mode="L"), part="test")
    with pytest.raises(DataError, match="holds coloured images, but the training images are grey"):
        load_test(grey)


def test_mixed_sizes_need_image_size(tmp_path: Path) -> None:
    folder = paint(paint(tmp_path, ["ant"]), ["bee"], side=(5, 9))
    with pytest.raises(DataError, match=r"bee/0\.png has 5x9 .*ant/0\.png has 6x4.*image_size"):
        load_data(folder)
    assert load_data(folder, image_size=4).image_shape == (3, 4, 4)


def test_resizing_crops_about_the_centre(tmp_path: Path) -> None:
    folder = paint(tmp_path, side=(6, 4))
    whole, square = load_data(folder), load_data(folder, image_size=4)
    assert torch.equal(square.train.images, whole.train.images[..., 1:5])


def test_photos_are_turned_upright(tmp_path: Path) -> None:
    folder = paint(tmp_path)
    turned = Image.new("RGB", (4, 6))
    exif = turned.getexif()
    exif[0x0112] = 6  # EXIF orientation: turned by 90 degrees
    turned.save(folder / "train/ant/0.png", exif=exif)
    assert load_data(folder).image_shape == (3, 4, 6)


def test_the_second_start_reads_the_cache(tmp_path: Path) -> None:
    folder = paint(tmp_path)
    first = load_data(folder)
    file = folder / "train/ant/3.png"
    swap_unseen(file, folder / "train/bee/1.png")
    assert load_data(folder).fingerprint == first.fingerprint
    os.utime(file)
    assert load_data(folder).fingerprint != first.fingerprint


@pytest.mark.parametrize("change", ["added", "removed", "renamed"])
def test_a_changed_file_list_is_decoded_anew(tmp_path: Path, change: str) -> None:
    folder = paint(tmp_path)
    old = load_data(folder).fingerprint
    file = folder / "train/ant/3.png"
    if change == "added":
        Image.new("RGB", (6, 4)).save(file.with_name("new.png"))
    elif change == "removed":
        file.unlink()
    else:
        file.rename(file.with_name("z.png"))
    cached = load_data(folder).fingerprint
    cache_of(folder).unlink()
    assert old != cached == load_data(folder).fingerprint


def test_each_image_size_has_its_cache(tmp_path: Path) -> None:
    folder = paint(tmp_path)
    shapes = [load_data(folder, image_size=size).image_shape for size in (None, 3, None, 5)]
    assert shapes == [(3, 4, 6), (3, 3, 3), (3, 4, 6), (3, 5, 5)]
    assert len(list(folder.glob(".optuna_de*"))) == 3


def halve(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def flip_a_pixel(whole: bytes) -> bytes:
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]


@pytest.mark.parametrize("damage", [halve, flip_a_pixel, lambda whole: b"", lambda whole: b"PK"])
def test_a_damaged_cache_is_rebuilt(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    folder = paint(tmp_path)
    good = load_data(folder).fingerprint
    cache = cache_of(folder)
    whole = cache.read_bytes()
    cache.write_bytes(damage(whole))
    assert load_data(folder).fingerprint == good
    assert "decoded anew" in caplog.text
    assert cache.read_bytes()[-100:] == whole[-100:]


def test_a_pickled_cache_is_never_opened(tmp_path: Path) -> None:
    folder = paint(tmp_path)
    good = load_data(folder).fingerprint
    cache = cache_of(folder)
    np.savez(cache, key=np.array({"a": 1}, dtype=object))
    assert load_data(folder).fingerprint == good


def test_no_room_for_a_cache_costs_the_cache_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = paint(tmp_path)
    good = load_data(folder).fingerprint
    cache = cache_of(folder)
    cache.unlink()
    cache.mkdir()
    with caplog.at_level(logging.WARNING):
        assert load_data(folder).fingerprint == good
    assert "No cache is kept" in caplog.text
    assert list(folder.glob("*.tmp")) == []


def test_hidden_and_other_files_do_not_count(tmp_path: Path) -> None:
    folder = paint(tmp_path)
    (folder / "train/.trash").mkdir()
    (folder / "train/ant/notes.txt").write_text("no image")
    (folder / "train/ant/._3.png").write_bytes(b"no image")
    data = load_data(folder)
    assert data.classes == ("ant", "bee")
    assert len(rows(data.train) | rows(data.validation)) == 16
