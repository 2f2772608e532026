"""Int8 files: near float32, described, refused in one sentence, and nothing left on failure."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from optuna_de.cnn.export import open_model
from optuna_de.cnn.export.quantization import quantize_to_int8
from tests.cnn.export.kit import SHAPE, real_images, save

IMAGES = real_images(SHAPE, 60)


def test_an_int8_file_answers_nearly_as_float32(tmp_path: Path) -> None:
    folder = save(tmp_path / "model", "B8k3-R8k3-MP-D16k3-GAP")
    quantize_to_int8(folder, tmp_path / "net.onnx", IMAGES)
    exact, rough = open_model(folder), open_model(tmp_path / "net.onnx")
    assert rough.metadata == exact.metadata
    difference = np.abs(exact.logits(IMAGES) - rough.logits(IMAGES)).mean()
    assert 0 < difference < 0.2 * np.abs(exact.logits(IMAGES)).mean()
    held = onnx.load(tmp_path / "net.onnx").graph.initializer
    assert {8, 16} <= {w.dims[0] for w in held if w.name.endswith("_scale") and w.dims}  # channels
    weights = [w for w in held if len(w.dims) == 4]
    assert {w.data_type for w in weights if w.name.endswith("quantized")} == {
        onnx.TensorProto.INT8
    }


def test_what_fails_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save(tmp_path / "model", "B8k3-GAP")

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no\nkernel")

    with pytest.raises(ValueError, match="no images to calibrate"):
        quantize_to_int8(folder, tmp_path / "net.onnx", IMAGES[:0])
    with pytest.raises(ValueError, match="name a file that ends in"):
        quantize_to_int8(folder, tmp_path / "net.tflite", IMAGES)
    monkeypatch.setattr("onnxruntime.quantization.quantize_static", fail)
    with pytest.raises(ValueError, match="to int8: RuntimeError: no kernel"):
        quantize_to_int8(folder, tmp_path / "net.onnx", IMAGES)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
