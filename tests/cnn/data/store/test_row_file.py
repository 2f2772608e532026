"""Row files: rows in any order, with and without reads at a place, a file that became shorter."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from optuna_de.cnn.data import load_data
from optuna_de.cnn.data.store.row_file import RowFile
from tests.cnn.data.kit import paint

ROWS = np.random.default_rng(0).integers(0, 256, (9, 2, 3), dtype=np.uint8)
ORDERS = [[3, 0, 3], [2, 3, 4], [8], [], [5, 4], list(range(9))]


@pytest.fixture(params=["preadv", "a lock"])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "a lock":
        monkeypatch.delattr(os, "preadv", raising=False)
    path = tmp_path / "rows"
    path.write_bytes(b"head" + ROWS.tobytes())
    return path


def test_rows_come_by_index(file: Path) -> None:
    rows = RowFile(file, 4, (2, 3))
    for order in ORDERS:
        chosen = np.array(order, np.int64)
        np.testing.assert_array_equal(rows.take(chosen), ROWS[chosen])


def test_a_file_that_became_shorter_is_an_error(file: Path) -> None:
    rows = RowFile(file, 4, (2, 3))
    os.truncate(file, 4 + 6 * 5 + 1)
    np.testing.assert_array_equal(rows.take(np.array([4])), ROWS[4:5])
    for order in ([5], [4, 5], [0, 7]):
        with pytest.raises(OSError, match="is shorter than it was; start again"):
            rows.take(np.array(order))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_of_the_file_stays_in_memory(tmp_path: Path, own_cache: Path) -> None:
    data = load_data(paint(tmp_path, n=40), memory_share=0.0)
    data.train.images.gather(np.arange(40))
    data.train.images.load()
    (file,) = own_cache.glob("*.npy")
    areas = Path("/proc/self/smaps").read_text(encoding="utf-8").split("VmFlags")
    (area,) = [area for area in areas if str(file) in area]
    assert "\nRss:                   0 kB\n" in area
