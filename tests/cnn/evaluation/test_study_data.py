"""Data of a study: found where they were found before, and told apart by shape first."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.evaluation.study_data import load_study_data
from tests.cnn.data.kit import paint
from tests.cnn.training.kit import study


def test_a_study_finds_its_images_size_and_metric_again(tmp_path: Path) -> None:
    pets = paint(tmp_path / "pets", side=(12, 12))
    options: dict[str, Any] = {"data": str(pets), "image_size": (8, 8), "weigh_classes": True}
    options |= {"metric": "balanced-error"}
    made = study(f"sqlite:///{tmp_path}/s.db", tmp_path, **options)
    whole, data = load_study_data(made, DataChoice())
    assert (whole.source, data.image_shape) == (str(pets), (3, 8, 8))
    assert (data.metric, data.weigh_classes) == ("balanced-error", True)
    moved = shutil.move(pets, tmp_path / "moved")
    with pytest.raises(ValueError, match=r"was run on 'pets'. Give the folder of these images"):
        load_study_data(made, DataChoice())
    with pytest.raises(ValueError, match=r"images of 8x8 pixels, but .* have 12x12; give --image"):
        load_study_data(made, DataChoice(data=str(moved), image_size=12))
    assert load_study_data(made, DataChoice(data=str(moved)))[1].fingerprint == data.fingerprint
