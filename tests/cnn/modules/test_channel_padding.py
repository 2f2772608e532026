from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.modules.channel_padding import block, copy_back, padded
from optuna_de.cnn.modules.custom_layers import Concat
from optuna_de.cnn.recipes import Recipe, get_recipe
from optuna_de.cnn.training import Epoch, evaluate
from optuna_de.cnn.training.epochs import EpochLoop
from optuna_de.cnn.training.state import make_train_state
from optuna_de.cnn.training.trainer import train
from tests.cnn.kit import digits, equal, weights

NETWORKS = (
    "C5k3-MP-C11k1-FC12",
    "B9k3-R9k3-MP-R13k3-GAP",
    "P11k3-R11k3-D12k3-S7k3-GAP-FC9",
    "S10k3-P10k5-AP-C3k3",
    "B16k3-GAP",
    "B11k3-I11k3s3-I13k5e2-A9k3-I9k3e1-GMP",
)
MEAN = Recipe("mean", 1, learning_rate=0.05, ema=0.9, crop_padding=1, clip_norm=1.0)


def network(text: str, *, dropout: bool = False, channels: int = 1) -> nn.Module:
    """Build a network; without dropout a training of it draws nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = build(parse(text), (channels, 8, 8), 10)
    for layer in made.modules():
        if isinstance(layer, nn.Dropout) and not dropout:
            layer.p = 0.0
    return made


@pytest.mark.parametrize("text", NETWORKS)
def test_a_padded_network_computes_the_same_in_multiples_of_eight(text: str) -> None:
    model, images = network(text), torch.randn(4, 1, 8, 8)
    wide = padded(model, 1)
    assert wide is not model
    for mode in (True, False):
        torch.testing.assert_close(wide.train(mode)(images), model.train(mode)(images))
    joins = [module for module in wide.modules() if isinstance(module, Concat)]
    inside = {layer for join in joins for layer in join.modules()}
    for layer in wide.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.in_channels in (1, *range(8, 99, 8))
            assert layer in inside or layer.out_channels % 8 == 0


@pytest.mark.parametrize("text", NETWORKS)
@pytest.mark.parametrize("recipe", [MEAN, get_recipe("seed-search"), get_recipe("fast")])
def test_training_is_the_same_and_padding_stays_zero(text: str, recipe: Recipe) -> None:
    recipe, data = replace(recipe, crop_padding=1), digits(128, 64)
    plain, wide = network(text), network(text)
    one = train(plain, data, recipe, epochs=2, pad_channels=False)
    two = train(wide, data, recipe, epochs=2, pad_channels=True)
    for left, right in zip(one.epochs, two.epochs, strict=True):
        assert left.train_loss == pytest.approx(right.train_loss, rel=1e-3)
    rounding = 2e-2 if recipe.optimizer == "muon" else 2e-3  # its matrices are bfloat16
    for a, b in zip(weights(plain), weights(wide), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=rounding)


def test_nothing_flows_into_the_padding() -> None:
    data = digits(128, 64)
    run = make_train_state(network(NETWORKS[2]), data, MEAN, torch.device("cpu"), 0, pad=True)
    EpochLoop(run, data, epochs=2, batch_size=32, micro=32, seed=0).epoch(lambda epoch: True)
    for given, tensor in zip(
        run.given.state_dict().values(), run.model.state_dict().values(), strict=True
    ):
        rest = tensor.clone()
        block(rest, given).zero_()
        assert rest.count_nonzero() == 0
    assert [t.shape for t in run.tensors()[: len(list(run.given.parameters()))]] == [
        p.shape for p in run.given.parameters()
    ]


@pytest.mark.parametrize(
    ("model", "channels"),
    [
        (nn.Sequential(nn.Conv2d(1, 3, 3), nn.Softmax2d()), 1),
        (nn.Sequential(nn.Conv2d(4, 6, 3, groups=2)), 4),
        (network("B9k3-M9-GAP"), 1),
        (network("R3k3-GAP", channels=3), 3),  # the images are one of the paths
    ],
)
def test_a_network_stays_as_it_is_where_padding_is_not_exact(
    model: nn.Module, channels: int
) -> None:
    before = weights(model)
    assert padded(model, channels) is model
    assert equal(before, weights(model))


def test_weights_go_back() -> None:
    model, other = network(NETWORKS[2]), network(NETWORKS[2])
    wide = padded(model, 1)
    with torch.no_grad():
        for tensor in other.parameters():
            tensor.zero_()
    copy_back(wide, other)
    assert equal(weights(model), weights(other))


@pytest.mark.parametrize("first", [True, False])
def test_a_checkpoint_serves_both_ways(first: bool, tmp_path: Path) -> None:
    data, text = digits(128, 64), NETWORKS[2]

    def trained(pads: list[bool], file: Path) -> nn.Module:
        for number, pad in enumerate(pads, start=1):
            model, last = network(text), 3 if number == len(pads) else 1

            def after(epoch: Epoch, last: int = last) -> bool:
                return epoch.number == last

            train(model, data, MEAN, epochs=3, on_epoch=after, checkpoint=file, pad_channels=pad)
        return model

    whole = trained([False], tmp_path / "whole")
    halves = trained([first, not first], tmp_path / "halves")
    for a, b in zip(weights(whole), weights(halves), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("pad", [True, False])
def test_a_callback_sees_the_weights_that_were_scored(pad: bool) -> None:
    data, model = digits(128, 64), network(NETWORKS[1])
    scores: list[object] = []

    def look(epoch: Epoch) -> bool:
        error, loss = evaluate(model, data.validation, data.mean, data.std)
        scores.append((error, pytest.approx(loss, rel=1e-5)))
        return False

    result = train(model, data, MEAN, epochs=3, on_epoch=look, pad_channels=pad)
    assert [(e.validation_error, e.validation_loss) for e in result.epochs] == scores
