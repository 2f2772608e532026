"""What holds of a loaded set as a whole: its memory format, and a cache that cannot do harm."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from optuna_de.cnn.data.loading import load_data, load_test


class Bomb:
    """An object whose unpickling makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for kind in ("cat", "dog"):
            (tmp_path / "pets" / part / kind).mkdir(parents=True)
            for i in range(10):
                pixels = rng.integers(0, 256, (4, 6, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pets" / part / kind / f"{i}.png")
    return tmp_path / "pets"


def test_coloured_images_lie_channels_last(pets: Path) -> None:
    data = load_data(pets)
    for split in (data.train, data.validation, load_test(pets), data.to("cpu").train):
        assert split.images.is_contiguous(memory_format=torch.channels_last)
        assert not split.images.is_contiguous()


def test_a_cache_of_fewer_images_is_rebuilt(pets: Path) -> None:
    before = load_data(pets).fingerprint
    cache = pets / ".optuna_de-train.npz"
    with np.load(cache) as stored:
        key, images = stored["key"], stored["images"]
    np.savez(cache, key=key, images=images[:-1])
    assert load_data(pets).fingerprint == before


def test_no_pickle_inside_a_cache_is_run(pets: Path, tmp_path: Path) -> None:
    before = load_data(pets).fingerprint
    cache = pets / ".optuna_de-train.npz"
    with np.load(cache) as stored:
        key = stored["key"]
    np.savez(cache, key=key, images=np.array([Bomb(tmp_path / "harm")], object))
    assert load_data(pets).fingerprint == before
    assert not (tmp_path / "harm").exists()


def test_a_cache_is_replaced_in_one_step(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_data(pets)
    cache = pets / ".optuna_de-train.npz"
    before = cache.read_bytes()
    (pets / "train" / "cat" / "0.png").unlink()

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    assert sum(map(len, (load_data(pets).train.labels, load_data(pets).validation.labels))) == 19
    assert cache.read_bytes() == before
    assert list(pets.glob("*.tmp")) == []
