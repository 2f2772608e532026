"""Model size: within 3 % of real files, float32 and int8."""

from pathlib import Path

import pytest

from benchmarks.devices.price_errors import file_sizes
from optuna_de.cnn import parse
from optuna_de.cnn.architecture.prices.model_size import FLOAT32, INT8, count_file_bytes


@pytest.mark.parametrize(
    "text", ["B20k3-MP-R40k3-I40k3s4-D64k5-GAP", "LN-SILU-C16k3-AP-M24e2-P30k3-GMP-FC50"]
)
def test_sizes_are_those_of_real_files(text: str, tmp_path: Path) -> None:
    genome, shape = parse(text), (1, 16, 16)
    sizes = file_sizes(genome, shape, tmp_path)
    for cost, real in zip((FLOAT32, INT8), sizes, strict=True):
        assert count_file_bytes(cost, genome, shape, 10) == pytest.approx(real, rel=0.03)
