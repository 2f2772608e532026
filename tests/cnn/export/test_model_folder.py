"""A trained network as two files: it comes back as it was, and damage is named."""

import json
from pathlib import Path

import pytest
import torch

from optuna_de.cnn import parse
from optuna_de.cnn.export.model_folder import load_model, save_model, save_weights
from optuna_de.cnn.modules.build import build

TEXT = "B4k3-MP-R8k3-GAP"


@pytest.fixture(name="folder")
def fixture_folder(tmp_path: Path) -> Path:
    save(tmp_path)
    return tmp_path


def save(folder: Path) -> torch.nn.Module:
    torch.manual_seed(0)
    module = build(parse(TEXT), (3, 8, 6), 2)
    module.to(memory_format=torch.channels_last)
    save_model(
        folder,
        genome=parse(TEXT),
        state=module.state_dict(),
        image_shape=(3, 8, 6),
        classes=("ant", "bée"),
        mean=(0.1, 0.2, 0.3),
        std=(1.0, 0.5, 0.25),
    )
    return module.to(memory_format=torch.contiguous_format).eval()


def test_a_network_comes_back(tmp_path: Path) -> None:
    module, saved = save(tmp_path), load_model(tmp_path)
    images = torch.rand(2, 3, 8, 6)
    assert torch.equal(saved.module(images), module(images))
    assert (saved.genome, saved.image_shape) == (parse(TEXT), (3, 8, 6))
    assert saved.classes == ("ant", "bée")
    assert (saved.mean, saved.std) == ((0.1, 0.2, 0.3), (1.0, 0.5, 0.25))
    assert not saved.module.training
    assert {path.name for path in tmp_path.iterdir()} == {"model.pt", "model.json"}


def test_a_folder_without_a_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no trained network: there is no model\.json"):
        load_model(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "optuna_de model 2"}, "is 'optuna_de model 2', but must be"),
        ({"architecture": "X3"}, "describes no network"),
        ({"mean": [0.5]}, "must have 3 numbers, one a channel"),
        ({"image_shape": 3}, "describes no network"),
        ({"image_shape": []}, "describes no network"),
        ({"std": None}, "describes no network"),
        ({"architecture": "B5k3-MP-R8k3-GAP"}, "does not hold whole weights"),
        ({"classes": ["ant", "bee", "cat"]}, "does not hold whole weights"),
    ],
)
def test_a_description_that_cannot_be_is_refused(
    folder: Path, change: dict[str, object], sentence: str
) -> None:
    file = folder / "model.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ValueError, match=sentence):
        load_model(folder)


@pytest.mark.parametrize("content", [b"", b"PK torn", None])
def test_torn_weights_are_refused(folder: Path, content: bytes | None) -> None:
    file = folder / "model.pt"
    file.write_bytes(file.read_bytes()[:500] if content is None else content)
    with pytest.raises(ValueError, match="does not hold whole weights"):
        load_model(folder)


def test_missing_keys_and_files_are_named(folder: Path) -> None:
    (folder / "model.json").write_text('{"format": "optuna_de model 1"}')
    with pytest.raises(ValueError, match="lacks architecture, image_shape"):
        load_model(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(ValueError, match=r"model\.json is not JSON"):
        load_model(folder)
    save(folder)
    (folder / "model.pt").unlink()
    with pytest.raises(ValueError, match="There are no weights"):
        load_model(folder)


def test_weights_are_plain_contiguous_tensors(tmp_path: Path) -> None:
    weight = torch.rand(4, 3, 3, 3).to(memory_format=torch.channels_last)
    save_weights(tmp_path / "w.pt", {"w": weight})
    stored = torch.load(tmp_path / "w.pt", weights_only=True)
    assert torch.equal(stored["w"], weight)
    assert stored["w"].is_contiguous()
