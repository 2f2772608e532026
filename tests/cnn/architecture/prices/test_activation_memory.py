"""Activation memory: by hand for each lifetime, and against the tensors alive in a run."""

from pathlib import Path

import pytest

from benchmarks.devices.network_runs import export_untrained, peak_alive, steps_of_run
from optuna_de.cnn import parse
from optuna_de.cnn.architecture.prices import ACTIVATION_MEMORY, ACTIVATION_MEMORY_FLOAT32
from optuna_de.cnn.architecture.prices.activation_memory import count_activations

SHAPE = (4, 8, 8)
PIXELS = 64
CASES = {
    "in place": ("B8k3-GAP", (4 + 8) * PIXELS),  # image and convolution; norm, ReLU in place
    "a chain": ("B8k3-B16k3-B2k3-GAP", (8 + 16) * PIXELS),
    "a pool": ("B8k3-MP-B64k3-GAP", (8 + 64) * PIXELS // 4),
    "identity lives": ("B8k3-R8k3-GAP", 3 * 8 * PIXELS),  # input, two convolutions
    "a skip": ("B8k3-R16k3-GAP", 3 * 16 * PIXELS),  # it runs first
    "concatenation": ("B8k3-P16k3-GAP", (16 + 16) * PIXELS),  # paths and their copy
    "inverted": ("B8k3-I8k3-GAP", (8 + 2 * 32) * PIXELS),
    "SiLU": ("SILU-B8k3-GAP", (8 + 8) * PIXELS),  # and its sigmoid
    "the head": ("B2k1-FC4000", 4000 + 2 * PIXELS),
}


@pytest.mark.parametrize("name", CASES)
def test_lifetimes_by_hand(name: str) -> None:
    text, expected = CASES[name]
    assert count_activations(parse(text), SHAPE, 10) == expected
    assert ACTIVATION_MEMORY.value(parse(text), SHAPE, 10) == expected / 1024
    assert ACTIVATION_MEMORY_FLOAT32.value(parse(text), SHAPE, 10) == expected / 256


def test_it_is_what_lives_in_a_run(tmp_path: Path) -> None:
    genome = parse("B7k3-R9k3-M12-I12k3s2-MP-G24k3-A8k5-S8k3-R8k3-D9k7-P10k3-AP-GAP")
    file = export_untrained(genome, (3, 32, 32), tmp_path / "net.onnx")
    peak = peak_alive(steps_of_run(file, (3, 32, 32)))
    assert count_activations(genome, (3, 32, 32), 10) == peak
