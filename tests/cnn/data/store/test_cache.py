"""The cache of decoded images: when it is used, and that it cannot do harm."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optuna_de.cnn.data.loading import load_data
from optuna_de.cnn.data.store import cache as caching
from optuna_de.cnn.data.store.cache import cache_folder, clear_cache
from tests.cnn.data.kit import paint


def swap_unseen(file: Path, other: Path) -> None:
    """Replace a file's bytes but neither its size nor its time of modification."""
    stat = file.stat()
    file.write_bytes(other.read_bytes()[: stat.st_size].ljust(stat.st_size, b"\0"))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def cache_of(folder: Path) -> Path:
    (cache,) = folder.glob("*.npz")
    return cache


class Bomb:
    """An object whose unpickling makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_the_second_start_reads_the_cache(tmp_path: Path, own_cache: Path) -> None:
    folder = paint(tmp_path)
    first = load_data(folder)
    file = folder / "train/ant/3.png"
    swap_unseen(file, folder / "train/bee/1.png")
    assert load_data(folder).fingerprint == first.fingerprint
    os.utime(file)
    assert load_data(folder).fingerprint != first.fingerprint


@pytest.mark.parametrize("change", ["added", "removed", "renamed"])
def test_a_changed_file_list_is_decoded_anew(tmp_path: Path, own_cache: Path, change: str) -> None:
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
    clear_cache()
    assert old != cached == load_data(folder).fingerprint


def test_each_image_size_has_its_cache(tmp_path: Path, own_cache: Path) -> None:
    folder = paint(tmp_path)
    shapes = [load_data(folder, image_size=size).image_shape for size in (None, 3, None, 5)]
    assert shapes == [(3, 4, 6), (3, 3, 3), (3, 4, 6), (3, 5, 5)]
    assert len(list(own_cache.glob("*.npy"))) == 3


def halve(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def flip_a_pixel(whole: bytes) -> bytes:
    middle = len(whole) // 2
    return whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]


@pytest.mark.parametrize("damage", [halve, flip_a_pixel, lambda whole: b"", lambda whole: b"PK"])
def test_a_damaged_cache_is_rebuilt(
    tmp_path: Path,
    own_cache: Path,
    damage: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = paint(tmp_path)
    good = load_data(folder).fingerprint
    cache = cache_of(own_cache)
    whole = cache.read_bytes()
    cache.write_bytes(damage(whole))
    assert load_data(folder).fingerprint == good
    assert "decoded anew" in caplog.text
    assert cache.read_bytes()[-100:] == whole[-100:]


def test_a_pickled_cache_is_never_opened(tmp_path: Path, own_cache: Path) -> None:
    folder = paint(tmp_path)
    good = load_data(folder).fingerprint
    cache = cache_of(own_cache)
    np.savez(cache, key=np.array({"a": 1}, dtype=object))
    assert load_data(folder).fingerprint == good


def test_no_room_for_a_cache_costs_the_cache_only(
    tmp_path: Path, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = paint(tmp_path)
    good = load_data(folder).fingerprint
    cache = cache_of(own_cache)
    cache.unlink()
    cache.mkdir()
    with caplog.at_level(logging.WARNING):
        assert load_data(folder).fingerprint == good
    assert "No cache is kept" in caplog.text
    assert list(own_cache.glob("*.part")) == list(own_cache.glob(".*.part")) == []


def test_a_cache_of_fewer_images_is_rebuilt(tmp_path: Path, own_cache: Path) -> None:
    before = load_data(paint(tmp_path)).fingerprint
    cache = cache_of(own_cache)
    with np.load(cache) as stored:
        arrays = dict(stored)
    np.savez(cache, **{**arrays, "headers": arrays["headers"][:-1]})
    assert load_data(tmp_path).fingerprint == before


def test_no_pickle_inside_a_cache_is_run(tmp_path: Path, own_cache: Path) -> None:
    before = load_data(paint(tmp_path)).fingerprint
    cache = cache_of(own_cache)
    with np.load(cache) as stored:
        arrays = dict(stored)
    harm = np.array([Bomb(tmp_path / "harm")], object)
    for name in arrays:
        np.savez(cache, **{**arrays, name: harm})
        assert load_data(tmp_path).fingerprint == before
    assert not (tmp_path / "harm").exists()


def test_a_cache_is_replaced_in_one_step(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = load_data(paint(tmp_path)).fingerprint
    cache = cache_of(own_cache)
    torn = cache.read_bytes()[:-100]
    cache.write_bytes(torn)

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    assert load_data(tmp_path).fingerprint == good
    assert cache.read_bytes() == torn
    assert not [path for path in own_cache.iterdir() if path.name.startswith(".")]


def test_folders_of_equal_lists_have_their_own_entries(tmp_path: Path, own_cache: Path) -> None:
    first, second = paint(tmp_path / "a"), paint(tmp_path / "b", seed=1)
    for file in first.rglob("*.png"):
        twin = second / file.relative_to(first)
        twin.write_bytes(twin.read_bytes().ljust(500, b"\0"))
        file.write_bytes(file.read_bytes().ljust(500, b"\0"))
        os.utime(file, ns=(0, 0))
        os.utime(twin, ns=(0, 0))
    assert load_data(first).fingerprint != load_data(second).fingerprint
    assert len(list(own_cache.glob("*.npz"))) == 2


def test_the_least_recently_used_entries_are_deleted_beyond_the_limit(
    tmp_path: Path,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = paint(tmp_path)
    for size in (2, 3):
        load_data(folder, image_size=size)
    oldest, other = sorted(own_cache.glob("*.npy"), key=lambda path: path.stat().st_size)
    for path, time in ((oldest, 10), (other, 20)):
        for file in own_cache.glob(f"{path.stem}.*"):
            os.utime(file, (time, time))
    load_data(folder, image_size=2)  # is used now
    kept = sum(p.stat().st_size for p in own_cache.iterdir() if p.stem != other.stem)
    monkeypatch.setattr(caching, "_LIMIT", kept + 1500)
    load_data(folder, image_size=4)
    assert oldest.exists()
    assert not other.exists()
    assert len(list(own_cache.glob("*.npy"))) == 2
    assert "what was used longest ago is deleted" in caplog.text


def test_clearing_leaves_nothing(tmp_path: Path, own_cache: Path) -> None:
    load_data(paint(tmp_path))
    size = sum(path.stat().st_size for path in own_cache.iterdir())
    assert clear_cache() == size
    assert list(own_cache.iterdir()) == []
    assert clear_cache() == 0


def test_the_folder_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTUNA_DE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("OPTUNA_DE_CACHE")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/there")
    assert cache_folder() == Path("/there/optuna_de/images")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/optuna_de/images"
