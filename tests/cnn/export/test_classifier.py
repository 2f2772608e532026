"""What exported files say of themselves, and their normalisation."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from optuna_de.cnn.export.classifier import (
    Classifier,
    ModelMetadata,
    read_metadata,
    rebuild_classifier,
    require_modules,
)

FACTS = ModelMetadata("C5k3-GAP", (3, 8, 9), ("a", "日\udc80"), (0.1, 0.2, 0.3), (1.0, 2.0, 0.5))
WHERE = Path("net.onnx")


def test_facts_survive_a_file() -> None:
    assert read_metadata(FACTS.json(), WHERE) == FACTS
    assert FACTS.json().isascii()


@pytest.mark.parametrize(
    "change",
    [
        {"format": "optuna_de export 2"},
        {"image_shape": [3, 8]},
        {"image_shape": [3, 8, 0]},
        {"image_shape": [3, 8, 9.5]},
        {"image_shape": 3},
        {"classes": []},
        {"classes": [1, 2]},
        {"classes": None},
        {"architecture": 7},
        {"mean": [0.1]},
        {"std": ["0.1", "0.1", "0.1"]},
        {"std": None},
    ],
)
def test_facts_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(FACTS.json()), **change})
    with pytest.raises(ValueError, match=r"^net\.onnx does not name its classes; .*\.$"):
        read_metadata(text, WHERE)


@pytest.mark.parametrize("text", [None, "", "[", "[]", "3", "{}"])
def test_what_is_no_description_is_refused(text: str | None) -> None:
    with pytest.raises(ValueError, match="does not name its classes"):
        read_metadata(text, WHERE)


def test_a_classifier_normalises_by_channel() -> None:
    classifier = Classifier(nn.Identity(), FACTS.mean, FACTS.std)
    images = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = torch.tensor([(0 - 0.1) / 1, (1 - 0.2) / 2, (0.2 - 0.3) / 0.5])
    torch.testing.assert_close(classifier(images).flatten(), expected)


def test_a_description_of_no_network_is_refused() -> None:
    facts = ModelMetadata("X5", (3, 8, 9), ("a", "b"), FACTS.mean, FACTS.std)
    with pytest.raises(ValueError, match=r"net\.onnx are not those of X5 with 2 classes\.$"):
        rebuild_classifier(facts, {}, WHERE)


def test_what_is_missing_is_named() -> None:
    require_modules("json")
    with pytest.raises(ValueError, match=r'^nowhere is missing; .* "optuna-de\[export\]"\.$'):
        require_modules("json", "nowhere.inside")
