"""Exported files are opened; torn, foreign and dangerous ones are refused in a sentence."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch

from optuna_de.cnn.export import FORMATS
from optuna_de.cnn.export.classifier import EXTRA_FILE, KEY, ModelMetadata
from optuna_de.cnn.export.export import export_model
from optuna_de.cnn.export.formats import open_model
from optuna_de.cnn.export.model_folder import load_model
from tests.cnn.export.kit import agree, logits, real_images, save

SHAPE = (1, 8, 8)
OPENABLE = ["safetensors", "torch-export", "onnx"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model folder, ``model``, and three exports, ``out.*``."""
    place = tmp_path_factory.mktemp("opening")
    save(place / "model", "C5k3-GAP", SHAPE)
    for fmt in OPENABLE:
        export_model(place / "model", fmt, place / f"out{FORMATS[fmt].suffix}")
    return place


@pytest.mark.parametrize("name", ["model", *(f"out{FORMATS[fmt].suffix}" for fmt in OPENABLE)])
def test_what_was_exported_is_opened(place: Path, name: str) -> None:
    opened = open_model(place / name, trust=True)
    assert opened.metadata == ModelMetadata.of(load_model(place / "model"))
    images = real_images(SHAPE)
    agree(opened.logits(images), logits(place / "model", images))


def refusal(path: Path, *, trust: bool = True) -> str:
    with pytest.raises(ValueError, match=r"[^.]\.$") as error:
        open_model(path, trust=trust)
    return str(error.value)


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without_end(content: bytes) -> bytes:
    return content[:-20]


def of_nothing(_: bytes) -> bytes:
    return b""


def of_text(_: bytes) -> bytes:
    return b"This is a text, not a network.\n" * 9


def of_a_zip(_: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("version", "1")
    return file.getvalue()


@pytest.mark.parametrize("tear", [halved, without_end, of_nothing, of_text, of_a_zip])
@pytest.mark.parametrize("fmt", OPENABLE)
def test_a_torn_file_is_refused(
    place: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    fmt: str,
    tear: Callable[[bytes], bytes],
) -> None:
    name = f"out{FORMATS[fmt].suffix}"
    (tmp_path / name).write_bytes(tear((place / name).read_bytes()))
    assert str(tmp_path / name) in refusal(tmp_path / name)
    assert capfd.readouterr() == ("", "")


def test_a_torch_export_is_read_only_where_it_is_trusted(place: Path) -> None:
    assert "can run code from the file" in refusal(place / "out.pt2", trust=False)


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["TRAP"],)


def test_no_code_of_a_torch_export_runs_untrusted(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    inner = io.BytesIO()
    torch.save((Trap(),), inner)
    with (
        zipfile.ZipFile(place / "out.pt2") as good,
        zipfile.ZipFile(tmp_path / "evil.pt2", "w") as evil,
    ):
        for name in good.namelist():
            content = inner.getvalue() if "sample_inputs" in name else good.read(name)
            evil.writestr(name, content)
    assert "can run code from the file" in refusal(tmp_path / "evil.pt2", trust=False)
    assert not (tmp_path / "sprung").exists()


def test_a_torch_export_of_others_is_refused(tmp_path: Path) -> None:
    program = torch.export.export(torch.nn.ReLU(), (torch.zeros(2),))
    torch.export.save(program, tmp_path / "a.pt2")
    assert "does not name its classes" in refusal(tmp_path / "a.pt2")
    torch.export.save(program, tmp_path / "b.pt2", extra_files={EXTRA_FILE: "{}"})
    assert "does not name its classes" in refusal(tmp_path / "b.pt2")


def test_an_onnx_file_of_others_is_refused(place: Path, tmp_path: Path) -> None:
    proto = onnx.load(place / "out.onnx")
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "a.onnx")
    assert "does not name its classes" in refusal(tmp_path / "a.onnx")


def test_other_numbers_of_classes_are_refused(place: Path, tmp_path: Path) -> None:
    facts = ModelMetadata.of(load_model(place / "model"))
    fewer = ModelMetadata(facts.architecture, SHAPE, facts.classes[:9], facts.mean, facts.std)
    proto = onnx.load(place / "out.onnx")
    onnx.helper.set_model_props(proto, {KEY: fewer.json()})
    onnx.save(proto, tmp_path / "a.onnx")
    assert "says it has 9 classes" in refusal(tmp_path / "a.onnx")
    state = safetensors.torch.load_file(place / "out.safetensors")
    safetensors.torch.save_file(state, tmp_path / "a.safetensors", {KEY: fewer.json()})
    assert "are not those of C5k3-GAP with 9 classes" in refusal(tmp_path / "a.safetensors")


def test_weights_of_others_are_refused(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    assert "does not name its classes" in refusal(tmp_path / "a.safetensors")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    assert "There is no model" in refusal(tmp_path / "no.onnx")
    (tmp_path / "a.jpg").write_bytes(b"")
    why = refusal(tmp_path / "a.jpg")
    assert "give a model folder or a file .safetensors, .pt2, .onnx" in why
    assert "no trained network" in refusal(tmp_path)


def test_images_reach_the_network_as_they_are(place: Path) -> None:
    extremes = [np.full((1, *SHAPE), level, np.uint8) for level in (0, 255)]
    images = np.concatenate([*extremes, real_images(SHAPE)])
    for name in ("out.onnx", "out.pt2", "out.safetensors"):
        agree(open_model(place / name, trust=True).logits(images), logits(place / "model", images))


@pytest.mark.parametrize("key", ["image_shape", "mean", "std", "classes", "architecture"])
@pytest.mark.parametrize("value", [3, [], None, {}, "x"])
def test_a_folder_that_describes_no_network_is_refused(
    place: Path, tmp_path: Path, key: str, value: object
) -> None:
    metadata = json.loads((place / "model" / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps({**metadata, key: value}))
    (tmp_path / "model.pt").write_bytes((place / "model" / "model.pt").read_bytes())
    with pytest.raises(ValueError, match=r"^.+$"):
        open_model(tmp_path)


@pytest.mark.parametrize("tear", [halved, without_end, of_nothing, of_text, of_a_zip])
def test_a_folder_with_torn_weights_is_refused(
    place: Path, tmp_path: Path, tear: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "model.json").write_bytes((place / "model" / "model.json").read_bytes())
    (tmp_path / "model.pt").write_bytes(tear((place / "model" / "model.pt").read_bytes()))
    assert str(tmp_path) in refusal(tmp_path)
