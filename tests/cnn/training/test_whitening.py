import torch

from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.modules.custom_layers import Whitening
from optuna_de.cnn.recipes import get_recipe
from optuna_de.cnn.training.trainer import train
from tests.cnn.kit import digits


def test_whitened_windows_are_uncorrelated_and_training_leaves_the_weights() -> None:
    data = digits()
    torch.manual_seed(0)
    model = build(parse("WH2s2-B4k1-GAP"), data.image_shape, 10)
    layer, weights = model[0], []
    assert isinstance(layer, Whitening)
    for epochs in (1, 2):
        train(model, data, get_recipe("fast"), epochs=epochs)
        weights.append(layer.weight.clone())
    assert torch.equal(weights[0], weights[1])
    images = (data.train.images / 255 - 0.3) / 0.35
    outputs = layer(images).detach().movedim(1, -1).flatten(0, 2)
    moment = outputs[:, :4].T @ outputs[:, :4] / len(outputs)
    torch.testing.assert_close(moment, torch.eye(4), atol=0.01, rtol=0)
    assert torch.equal(outputs[:, 4:], -outputs[:, :4])


def test_a_layer_behind_others_stays_as_it_is() -> None:
    data = digits()
    model = build(parse("B2k3-WH2-GAP"), data.image_shape, 10)
    train(model, data, get_recipe("fast"), epochs=1)
    layer = next(m for m in model.modules() if isinstance(m, Whitening))
    assert torch.equal(layer.weight.flatten(1), torch.eye(8))


def test_windows_wider_than_the_image_are_whitened_too() -> None:
    data = digits()
    model = build(parse("WH9-B2k1-GAP"), data.image_shape, 10)
    result = train(model, data, get_recipe("fast"), epochs=1)
    assert result.status == "ok"
