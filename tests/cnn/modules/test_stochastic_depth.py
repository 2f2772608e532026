from dataclasses import replace

import pytest
import torch
from torch import nn

from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.modules.custom_layers import Add
from optuna_de.cnn.modules.stochastic_depth import stochastic_paths
from optuna_de.cnn.recipes import get_recipe
from optuna_de.cnn.training.trainer import train
from tests.cnn.kit import digits


def test_paths_are_left_out_as_often_as_their_depth_says() -> None:
    model = build(parse("B4k1-I4k3e1-M4-R4k3-I4k3x1-GAP"), (1, 2, 2), 2)
    kept = torch.zeros(4)
    images = torch.randn(4000, 1, 2, 2)
    joins = [m for m in model.modules() if isinstance(m, Add)]

    def look(number: int) -> None:
        def hook(_: nn.Module, inputs: object, output: torch.Tensor) -> None:
            kept[number] = output.flatten(1).any(1).float().mean()

        with stochastic_paths(model, 0.8), torch.random.fork_rng(), torch.no_grad():
            handle = joins[number].branches[0].register_forward_hook(hook)
            torch.manual_seed(0)
            model(images)
            handle.remove()

    for number in range(4):
        look(number)
    torch.testing.assert_close(kept, torch.tensor([0.8, 0.6, 0.4, 0.2]), atol=0.03, rtol=0)
    with stochastic_paths(model.eval(), 0.8):
        assert torch.equal(model(images), model(images))
    assert not any(join.branches[0]._forward_hooks for join in joins)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_a_training_leaves_no_trace_and_repeats_itself(rate: float) -> None:
    recipe = replace(get_recipe("fast"), stochastic_depth=rate, flip=False)
    losses = []
    for _ in range(2):
        torch.manual_seed(0)
        model = build(parse("R4k3-R4k3-GAP"), (1, 8, 8), 10)
        losses.append(train(model, digits(), recipe, epochs=1).epochs[0].train_loss)
        assert not any(module._forward_hooks for module in model.modules())
    assert losses[0] == losses[1]
