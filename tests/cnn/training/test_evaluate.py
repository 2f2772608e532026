import math

import pytest
import torch
from torch.nn import functional as F

from optuna_de.cnn.training.device import pick_device
from optuna_de.cnn.training.evaluate import evaluate
from tests.cnn.kit import digits, network


@pytest.mark.parametrize("batch_size", [1, 64, 1000])
def test_score_is_that_of_a_plain_computation_without_dropout(batch_size: int) -> None:
    data, model = digits(), network(dropout=0.9)
    error, loss = evaluate(model, data.validation, data.mean, data.std, batch_size=batch_size)
    assert model.training
    model.eval()
    logits = model((data.validation.images / 255 - 0.3) / 0.35)
    wrong = (logits.argmax(1) != data.validation.labels).float().mean()
    assert error == pytest.approx(wrong.item())
    assert loss == pytest.approx(F.cross_entropy(logits, data.validation.labels).item(), rel=1e-5)


def test_broken_weights_give_a_loss_that_says_so() -> None:
    data, model = digits(), network()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    error, loss = evaluate(model, data.validation, data.mean, data.std)
    assert 0 <= error <= 1
    assert math.isnan(loss)


def test_devices() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match=r"no device 'tpu' here; choose from auto, cpu"):
        pick_device("tpu")
    with pytest.raises(ValueError, match="no device 'cuda:99'"):
        pick_device("cuda:99")
