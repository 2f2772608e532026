"""A model resizes the images that it is asked as those of its training."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from optuna_de.cnn.data import load_data
from optuna_de.cnn.data.reading.images import read_image
from optuna_de.cnn.export.classifier import ModelMetadata, read_metadata
from optuna_de.cnn.export.formats import FORMATS
from optuna_de.cnn.export.model_folder import DESCRIPTION, load_model
from tests.cnn.data.kit import paint
from tests.cnn.export.kit import SHAPE, save


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_models_resize_as_their_training_did(tmp_path: Path, resize: str) -> None:
    root = paint(tmp_path, part="set", side=(9, 5)) / "set"
    size = SHAPE[1:]
    data = load_data(root, image_size=size, resize=resize, background="#102030")
    folder = save(tmp_path / "model", "C3k3-GAP")
    content = json.loads((folder / DESCRIPTION).read_text())
    content.update(data.resizing.described())
    (folder / DESCRIPTION).write_text(json.dumps(content))
    model = load_model(folder)
    facts = read_metadata(ModelMetadata.of(model).json(), folder)
    assert (facts.resizing.mode, facts.resizing.background) == (resize, (16, 32, 48))
    file = root / "ant/3.png"
    asked = read_image(file, SHAPE, facts.resizing)
    known = {image.numpy().tobytes() for s in (data.train, data.validation) for image in s.images}
    files = [read_image(f, SHAPE, facts.resizing).tobytes() for f in root.glob("*/*.png")]
    assert known <= set(files)
    FORMATS["python"].write(model, tmp_path / "network.py")
    alone = runpy.run_path(str(tmp_path / "network.py"))["read"](file)
    np.testing.assert_array_equal(alone, asked)
