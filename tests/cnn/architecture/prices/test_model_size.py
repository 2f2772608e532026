"""Model size: within 5 % of real files, float32 and int8."""

import pytest

from benchmarks.devices.price_errors import row
from optuna_de.cnn import parse


@pytest.mark.parametrize(
    "text", ["B20k3-MP-R40k3-I40k3s4-D64k5-GAP", "C16k3-AP-M24e2-P30k3-GMP-FC50"]
)
def test_sizes_are_those_of_real_files(text: str) -> None:
    found = row(0, parse(text), (1, 16, 16))
    for name in ("float32 bytes", "int8 bytes"):
        computed, real = found[name]
        assert computed == pytest.approx(real, rel=0.05), name
