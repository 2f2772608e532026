"""TFLite: the converted file answers as PyTorch, holds its classes, and is left out of "all"."""

import importlib.util
from pathlib import Path

import pytest

import optuna_de
from optuna_de.cli.app import run
from optuna_de.cnn.export import export_model, formats, open_model
from optuna_de.cnn.export.classifier import ModelMetadata
from optuna_de.cnn.export.model_folder import load_model
from tests.cnn.export.kit import EVERY_UNIT, SHAPE, agree, logits, real_images, save

HERE = importlib.util.find_spec("litert_torch") is not None


@pytest.mark.skipif(not HERE, reason="needs the extra tflite")
def test_a_network_of_every_unit_answers_as_torch(tmp_path: Path) -> None:
    save(tmp_path / "model", f"{EVERY_UNIT.removesuffix('-GAP')}-GMP", SHAPE)
    file = tmp_path / "net.tflite"
    assert export_model(tmp_path / "model", "tflite", file).difference < 1e-4
    opened, images = open_model(file), real_images(SHAPE)[:5]
    assert opened.metadata == ModelMetadata.of(load_model(tmp_path / "model"))
    agree(opened.logits(images), logits(tmp_path / "model", real_images(SHAPE))[:5])
    content = file.read_bytes()
    assert str(Path(optuna_de.__file__).parent).encode() not in content
    for damaged in (content[: len(content) // 2], b"", b"PK" + content):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="is incomplete or not a TFLite file"):
            open_model(file)


def test_it_is_left_out_of_all_without_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    model = save(tmp_path / "model", "C5k3-GAP", (1, 8, 8))
    wanted = {name: form for name, form in formats.FORMATS.items() if name in ("python", "tflite")}
    monkeypatch.setattr("optuna_de.cli.runs.export.FORMATS", wanted)
    assert run(["export", str(model), "--format", "all", "--out", str(tmp_path / "net")]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"model", "net.py", "net.pt"}
    if not HERE:
        assert run(["export", str(model), "--format", "tflite"]) == 2
        assert 'install the package as "optuna-de[tflite]".' in capsys.readouterr().err
