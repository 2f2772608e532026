"""Image stores: shards that outlive a killed process, damage, and reading by index."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from optuna_de.cnn.data import load_data, load_test
from optuna_de.cnn.data.store import image_store
from optuna_de.cnn.data.store.image_store import Shard, stored_images
from optuna_de.cnn.data.store.mapped_images import MappedImages, joined
from tests.cnn.data.kit import paint
from tests.drills import POSIX

SHAPE = (10, 2, 3, 1)
KILLED = """
import os, signal, sys
from optuna_de.cnn.data.store import image_store
image_store._SHARD_ROWS = 4
def fill(rows, start):
    if start == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    rows[:] = start
    return image_store.Shard({start + 1: "torn"}, ())
image_store.stored_images("x", (10, 2, 3, 1), fill)
"""


@POSIX
def test_a_killed_process_leaves_whole_shards(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_store, "_SHARD_ROWS", 4)
    end = subprocess.run([sys.executable, "-c", KILLED], env={**os.environ}, check=False)
    assert end.returncode == -signal.SIGKILL
    (journal,) = own_cache.glob("*.jsonl")
    with journal.open("a") as file:
        file.write('{"bad": {}, "fl')  # a torn line
    asked = []

    def fill(rows: NDArray[np.uint8], start: int) -> Shard:
        asked.append(start)
        rows[:] = start
        return Shard({}, (9,))

    for _ in range(2):
        store = stored_images("x", SHAPE, fill)
        assert store.images[:, 0, 0, 0].tolist() == [0] * 4 + [4] * 4 + [8] * 2
        assert (store.bad, store.flat) == ({1: "torn", 5: "torn"}, (9,))
        assert asked == [8]
    stored = next(own_cache.glob("*.npy"))
    np.testing.assert_array_equal(np.load(stored), store.images)
    whole = bytearray(stored.read_bytes())
    whole[-1] ^= 1
    stored.write_bytes(whole)
    assert (stored_images("x", SHAPE, fill).images[8:] == 8).all()
    assert asked == [8, 0, 4, 8]  # damage is noticed


def test_mapped_images_are_those_in_memory(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = paint(paint(tmp_path), part="val")
    whole, mapped = load_data(folder), load_data(folder, memory_share=0.0)
    assert mapped.fingerprint == whole.fingerprint
    assert (mapped.mean, mapped.std) == (whole.mean, whole.std)
    assert mapped.summary.count("read from the cache") == 1
    images = mapped.train.images
    assert isinstance(images, MappedImages)
    assert images.shape == tuple(whole.train.images.shape)
    chosen = torch.tensor([3, 0, 3])
    assert torch.equal(images.gather(chosen), whole.train.images[chosen])
    assert torch.equal(images[2:5].cpu(), whole.train.images[2:5])
    assert torch.equal(images[chosen].load(), whole.train.images[chosen])
    both = joined(images, mapped.validation.images)
    assert isinstance(both, MappedImages)
    expected = torch.cat([whole.train.images, whole.validation.images])
    assert torch.equal(both.load(), expected)
    with monkeypatch.context() as patch:  # the check sums are read, and nothing else
        patch.setattr(MappedImages, "gather", lambda *_: pytest.fail("read again"))
        again = load_data(folder, memory_share=0.0)
    assert (again.fingerprint, again.mean, again.std) == (
        mapped.fingerprint,
        whole.mean,
        whole.std,
    )
    other = load_data(folder, memory_share=0.0, subset=20)
    assert other.fingerprint == load_data(folder, subset=20).fingerprint != whole.fingerprint
    test = load_test(folder, memory_share=0.0)
    assert torch.equal(test.images.load(), load_test(folder).images)
