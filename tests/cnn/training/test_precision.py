"""bfloat16 on a CPU. Where the CPU has none of its own, torch emulates it, only slower."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.data.dataset import ImageData, Split
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import Precision, get_recipe
from optuna_de.cnn.training import Epoch
from optuna_de.cnn.training.device import (
    autocast,
    depthwise_as_it_was,
    depthwise_in_float32,
    uses_bfloat16,
)
from optuna_de.cnn.training.evaluate import evaluate
from optuna_de.cnn.training.trainer import TrainingResult, train
from tests.cnn.kit import digits, equal, weights

FAST = replace(get_recipe("fast version 1"), flip=False, crop_padding=1)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _capable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False
    )


def enlarged() -> ImageData:
    """Return digits of 16 x 16 pixels."""
    data = digits()

    def twice(split: Split) -> Split:
        images = split.images.repeat_interleave(2, 2).repeat_interleave(2, 3)
        return Split(images.contiguous(memory_format=torch.channels_last), split.labels)

    return replace(data, train=twice(data.train), validation=twice(data.validation))


def network(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(4),
            nn.Flatten(),
            nn.Linear(128, 10),
        )


def test_wide_depthwise_kernels_are_computed_in_float32() -> None:
    torch.manual_seed(0)
    model = build(parse("D8k5-D8k3-GAP"), (1, 16, 16), 10)
    layers = [nn.Conv2d(8, 8, k, padding=k // 2, groups=8) for k in (3, 5)]
    images = torch.randn(2, 8, 16, 16).to(torch.bfloat16)
    for layer, exact in zip(layers, (False, True), strict=True):
        expected = layer(images.float()).to(torch.bfloat16)
        depthwise_in_float32(layer)
        with autocast(CPU, bfloat16=True):
            assert torch.equal(layer(images), expected) == exact
        depthwise_as_it_was(layer)
        assert "forward" not in vars(layer)
    result = run(model, epochs=1)
    assert result.precision == "bfloat16"
    assert not any("forward" in vars(module) for module in model.modules())


def run(model: nn.Module, precision: Precision = "auto", epochs: int = 15) -> TrainingResult:
    return train(model, enlarged(), replace(FAST, precision=precision), epochs=epochs)


@pytest.mark.parametrize(
    ("precision", "known", "side", "answer"),
    [
        ("auto", {"avx512_bf16": True, "amx_bf16": False}, 16, True),
        ("auto", {"avx512_bf16": False, "amx_bf16": True}, 32, True),
        ("auto", {"avx512_bf16": True}, 15, False),
        ("auto", {"avx512_bf16": False, "avx2": True}, 32, False),
        ("auto", {}, 32, False),
        ("float32", {"avx512_bf16": True}, 32, False),
    ],
)
def test_a_cpu_computes_in_bfloat16_where_it_is_faster_so(
    precision: Precision,
    known: dict[str, object],
    side: int,
    answer: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
    assert uses_bfloat16(precision, CPU, (3, side, side)) == answer


def test_a_torch_that_cannot_tell_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not uses_bfloat16("auto", CPU, (3, 32, 32))


def test_bfloat16_learns_as_float32_does_and_keeps_float32_weights() -> None:
    half, full = network(), network()
    result, expected = run(half), run(full, "float32")
    assert (result.precision, expected.precision) == ("bfloat16", "float32")
    assert not equal(weights(half), weights(full))
    assert all(p.dtype == torch.float32 for p in half.parameters())
    assert expected.error < 0.15
    assert result.error == pytest.approx(expected.error, abs=0.03)


def test_bfloat16_repeats_bit_for_bit() -> None:
    one, two = network(), network()
    first, second = run(one, epochs=2), run(two, epochs=2)
    assert first.error == second.error
    assert equal(weights(one), weights(two))


def test_a_resumed_bfloat16_training_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    def kill(epoch: Epoch) -> bool:
        raise KeyboardInterrupt

    whole, broken, resumed = network(), network(), network(seed=9)
    file = tmp_path / "checkpoint.pt"
    train(whole, enlarged(), FAST, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        train(broken, enlarged(), FAST, epochs=2, checkpoint=file, on_epoch=kill)
    train(resumed, enlarged(), FAST, epochs=2, checkpoint=file)
    assert equal(weights(whole), weights(resumed))


def test_scores_are_in_float32_unless_asked_otherwise() -> None:
    data, model = enlarged(), network()
    exact = evaluate(model, data.validation, data.mean, data.std)
    half = evaluate(model, data.validation, data.mean, data.std, bfloat16=True)
    assert exact[1] != half[1]
    assert exact[1] == pytest.approx(half[1], rel=0.02)
