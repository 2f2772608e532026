"""Image classifier: scikit-learn's habit on arrays, with labels as they were given."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from optuna_de.cnn import ImageClassifierSearch
from optuna_de.cnn.fitting import image_classifier

RANDOM = np.random.default_rng(0)
SHADES = RANDOM.integers(0, 3, 600)
NAMES = np.array(["white", "grey", "black"])[SHADES]  # not in the order of the alphabet
IMAGES = (
    np.array([215, 120, 20])[SHADES, None, None] + RANDOM.integers(0, 40, (600, 8, 8))
).astype("uint8")


@dataclass
class Model:
    """What a fit would have shipped: it tells shades by brightness."""

    folder: Path
    validation_error: float


def brightness(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return logits of black, grey and white, the order of the alphabet."""
    assert images.dtype == np.uint8
    assert images.shape[1:] == (1, 8, 8)
    distance = np.abs(images.mean((1, 2, 3))[:, None] - [40.0, 140.0, 235.0])
    return np.asarray(-distance / 20, np.float32)


def fake_fit(images: Path, **options: Any) -> SimpleNamespace:
    """Check the folder and the budget; return two models."""
    assert (options["hours"], options["between"]) == (2, (90, 4500))
    folders = sorted(images.iterdir())
    assert [f.name for f in folders] == ["00000", "00001", "00002"]
    files = [file for folder in folders for file in folder.iterdir()]
    assert len(files) == 60
    for index, folder in enumerate(folders):
        for file in folder.iterdir():
            pixels = np.asarray(Image.open(file))[None, None]
            assert brightness(pixels).argmax() == index
    return SimpleNamespace(models=(Model(Path("small"), 0.4), Model(Path("large"), 0.1)))


def test_fit_and_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def open_model(folder: Path) -> SimpleNamespace:
        opened.append(folder)
        return SimpleNamespace(logits=brightness)

    monkeypatch.setattr(image_classifier, "fit", fake_fit)
    monkeypatch.setattr(image_classifier, "open_model", open_model)
    search = ImageClassifierSearch(hours=2, max_parameters=4500, folder=tmp_path)
    with pytest.raises(NotFittedError):
        search.predict(IMAGES[:2])
    assert search.fit(IMAGES[:60], NAMES[:60]) is search
    assert search.classes_.tolist() == ["black", "grey", "white"]
    assert [str(model.folder) for model in search.front_] == ["small", "large"]
    chances = search.predict_proba(IMAGES)
    assert chances.shape == (600, 3)
    assert np.allclose(chances.sum(1), 1)
    assert search.predict(IMAGES).tolist() == NAMES.tolist()
    assert search.score(IMAGES, NAMES) == 1
    assert {*opened} == {Path("large")}
    clone(search).fit(IMAGES[:60], NAMES[:60])
    assert len(list(tmp_path.iterdir())) == 1  # the same images and settings go on in their place
    clone(search).set_params(random_state=1).fit(IMAGES[:60], NAMES[:60])
    assert len(list(tmp_path.iterdir())) == 2


def test_metric_and_weights_of_classes_are_those_of_the_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def fit(images: Path, **options: Any) -> SimpleNamespace:
        seen.append((options["metric"], options["weigh_classes"]))
        return SimpleNamespace(models=(Model(images, 0.1),))

    monkeypatch.setattr(image_classifier, "fit", fit)
    chosen: list[dict[str, Any]] = [{}, {"metric": "balanced-error"}, {"weigh_classes": True}]
    for options in chosen:
        ImageClassifierSearch(folder=tmp_path, **options).fit(IMAGES[:60], NAMES[:60])
    assert seen == [("error", False), ("balanced-error", False), ("error", True)]
    assert len(list(tmp_path.iterdir())) == 3  # each a study of its own


def test_an_unknown_metric_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="metric is 'auc', but must be one of error, balanced-er"):
        ImageClassifierSearch(metric="auc", folder=tmp_path).fit(IMAGES[:60], NAMES[:60])
    assert not list(tmp_path.iterdir())


def test_parameters_are_those_of_scikit_learn() -> None:
    search = ImageClassifierSearch(hours=2).set_params(max_parameters=9)
    assert search.get_params()["max_parameters"] == 9
    with pytest.raises(ValueError, match="Invalid parameter"):
        search.set_params(days=1)


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (IMAGES[:3], [0, 1], "y's shape must be"),
        (IMAGES[:3], [1, 1, 1], "number of classes must be at least 2"),
        (np.zeros((3, 4, 4, 2), int), [0, 1, 1], "channels"),
        (IMAGES[:3] / 255, [0, 1, 1], "multiply by 255"),
    ],
)
def test_useless_input_is_said(
    images: object, labels: list[int], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        ImageClassifierSearch(folder=tmp_path).fit(images, labels)
    assert not list(tmp_path.iterdir())
