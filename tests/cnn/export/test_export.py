"""Exported networks answer as torch does, opened by the formats' own libraries."""

import dataclasses
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray

import optuna_de
from optuna_de.cnn.architecture.genomes import render
from optuna_de.cnn.export import FORMATS
from optuna_de.cnn.export.classifier import Classifier
from optuna_de.cnn.export.export import export_model
from optuna_de.cnn.export.model_folder import load_model
from optuna_de.cnn.modules.build import build
from tests.cnn.architecture.kit import random_genome
from tests.cnn.data.kit import paint
from tests.cnn.export.kit import EVERY_UNIT, SHAPE, agree, logits, real_images, save

HEADED = "C6k3-AP-B5k3-GAP-FC9"
IMAGES = real_images(SHAPE)
KEPT = {name: form for name, form in FORMATS.items() if form.extra == "export"}


@pytest.fixture(scope="module", params=[EVERY_UNIT, HEADED], ids=["every unit", "head"])
def exported(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model folder, ``model``, and its exports, ``out.*``."""
    place = tmp_path_factory.mktemp("exports")
    folder = save(place / "model", request.param)
    for fmt, form in KEPT.items():
        done = export_model(folder, fmt, place / f"out{form.suffix}")
        assert done.difference < 1e-4
        assert "64 of scikit-learn's digits as 3x16x16" in done.images
    return place


def agrees(place: Path, actual: NDArray[np.float32], images: NDArray[np.uint8]) -> None:
    agree(actual, logits(place / "model", IMAGES)[: len(images)])


@pytest.mark.parametrize("n", [1, 5, 30])
def test_onnx_answers_as_torch_for_any_batch(exported: Path, n: int) -> None:
    session = onnxruntime.InferenceSession(exported / "out.onnx")
    (entry,), (end,) = session.get_inputs(), session.get_outputs()
    assert (entry.name, entry.type, entry.shape) == (
        "images",
        "tensor(uint8)",
        ["batch", 3, 16, 16],
    )
    assert (end.name, end.shape) == ("logits", ["batch", 10])
    agrees(exported, session.run(None, {"images": IMAGES[:n]})[0], IMAGES[:n])


@pytest.mark.parametrize("n", [1, 5, 30])
def test_torch_export_answers_as_torch_for_any_batch(exported: Path, n: int) -> None:
    program = torch.export.load(exported / "out.pt2")
    actual = program.module()(torch.from_numpy(IMAGES[:n]))
    agrees(exported, actual.detach().numpy(), IMAGES[:n])


def test_the_state_dict_and_safetensors_hold_all_there_is(exported: Path) -> None:
    plain = torch.load(exported / "out.pt", weights_only=True)
    safe = safetensors.torch.load_file(exported / "out.safetensors")
    model = load_model(exported / "model")
    for state in (plain, safe):
        module = build(model.genome, SHAPE, 10)
        classifier = Classifier(module, [0.0] * 3, [1.0] * 3).eval()
        classifier.load_state_dict(state)
        with torch.no_grad():
            agrees(exported, classifier(torch.from_numpy(IMAGES)).numpy(), IMAGES)
    assert plain.keys() == safe.keys()
    assert all(torch.equal(plain[name], safe[name]) for name in plain)


def test_no_file_names_a_place_of_this_machine(exported: Path) -> None:
    package = str(Path(optuna_de.__file__).parent).encode()
    for suffix in (form.suffix for form in KEPT.values()):
        content = (exported / f"out{suffix}").read_bytes()
        assert package not in content
        assert b"site-packages" not in content


def test_nothing_else_is_left(exported: Path) -> None:
    names = {path.name for path in exported.iterdir()}
    assert names == {"model", *(f"out{form.suffix}" for form in KEPT.values())}


def test_random_genomes_answer_as_torch(tmp_path: Path) -> None:
    rng = Random(4)
    for i in range(7):
        shape = rng.choice([(1, 8, 8), (3, 13, 9), (1, 11, 16)])
        folder = save(tmp_path / str(i), render(random_genome(rng, shape)), shape)
        for fmt in ("safetensors", "state-dict", "python"):
            export_model(folder, fmt, tmp_path / f"{i}{FORMATS[fmt].suffix}")
        expected = logits(folder, real_images(shape))
        names: dict[str, Any] = {"__name__": "n", "__file__": str(tmp_path / f"{i}.py")}
        exec((tmp_path / f"{i}.py").read_text(), names)
        with torch.no_grad():
            actual = names["load"]()(torch.from_numpy(real_images(shape))).numpy()
        agree(actual, expected)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(tmp_path / "model", HEADED)


def test_it_is_checked_with_the_images_of_a_folder(model: Path, tmp_path: Path) -> None:
    paint(tmp_path / "pictures", n=50, side=(20, 30))
    done = export_model(
        model, "safetensors", tmp_path / "a.safetensors", check=tmp_path / "pictures"
    )
    assert done.images.startswith("50 of the 100 images")
    assert done.largest > 1


def refusal(*arguments: Any, **options: Any) -> str:
    with pytest.raises(ValueError, match=r"[.]$") as error:
        export_model(*arguments, **options)
    return str(error.value)


@pytest.mark.parametrize(
    ("fmt", "name", "why"),
    [
        ("tfjs", "a.tfjs", "no format 'tfjs'; choose from safetensors, state-dict"),
        ("onnx", "a.pt", "must end in .onnx"),
        ("onnx", "no/where.onnx", "cannot be written"),
        ("state-dict", "model/model.pt", "would replace the model's own weights"),
        ("python", "model/model.py", "would replace the model's own weights"),
    ],
)
def test_a_wrong_target_is_refused(
    model: Path, tmp_path: Path, fmt: str, name: str, why: str
) -> None:
    before = (model / "model.pt").read_bytes()
    assert why in refusal(model, fmt, tmp_path / name)
    assert (model / "model.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("fmt", "module"),
    [("onnx", "onnxruntime"), ("onnx", "onnxscript"), ("safetensors", "safetensors")],
)
def test_a_missing_extra_is_named(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fmt: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    why = refusal(model, fmt, tmp_path / f"a{FORMATS[fmt].suffix}")
    assert why == f'{module} is missing; install the package as "optuna-de[export]".'
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_file_that_answers_otherwise_is_not_kept(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_text("the one before")

    def wrong(saved: Any, draft: Path) -> Any:
        logits = right.write(saved, draft)
        return lambda images: logits(255 - images)

    right = FORMATS["safetensors"]
    monkeypatch.setitem(FORMATS, "safetensors", dataclasses.replace(right, write=wrong))
    assert "was not kept: its outputs differ" in refusal(model, "safetensors", path)
    assert path.read_text() == "the one before"
    assert {file.name for file in tmp_path.iterdir()} == {"model", "a.safetensors"}


def test_torn_weights_are_refused(model: Path, tmp_path: Path) -> None:
    weights = model / "model.pt"
    weights.write_bytes(weights.read_bytes()[:-2000])
    assert "torn" in refusal(model, "state-dict", tmp_path / "a.pt")
    assert not (tmp_path / "a.pt").exists()


def test_a_folder_without_images_checks_nothing(model: Path, tmp_path: Path) -> None:
    why = refusal(model, "state-dict", tmp_path / "a.pt", check=tmp_path / "model")
    assert "no folder with images" in why


@pytest.mark.parametrize("value", ["NaN", "0.0", "Infinity"])
def test_a_model_that_cannot_answer_is_refused(model: Path, tmp_path: Path, value: str) -> None:
    text = (model / "model.json").read_text()
    (model / "model.json").write_text(text.replace("0.4", value))
    assert "cannot normalise" in refusal(model, "state-dict", tmp_path / "a.pt")


def test_weights_that_are_no_numbers_are_refused(model: Path, tmp_path: Path) -> None:
    state = torch.load(model / "model.pt", weights_only=True)
    next(iter(state.values())).fill_(float("nan"))
    torch.save(state, model / "model.pt")
    assert "not finite" in refusal(model, "state-dict", tmp_path / "a.pt")
