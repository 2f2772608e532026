"""Write the page of this folder: ``python -m benchmarks.data``."""

from __future__ import annotations

from benchmarks.common.page import main
from benchmarks.data import data_path

SECTIONS = {
    "data-path-decoding": ("Decoding", data_path.decoding_table),
    "data-path-training": ("Memory and rate of a training", data_path.training_table),
}

if __name__ == "__main__":
    main(__file__, SECTIONS)
