"""The commands that use a trained network, as a user types them."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from optuna_de.cli.app import run
from optuna_de.cnn.export.formats import open_model
from optuna_de.cnn.export.predict import predict
from tests.cnn.export.kit import save


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a model folder, ``net.v2``, and images, ``0.png`` and so on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    save(tmp_path / "net.v2", "C5k3-GAP", (1, 8, 8))
    for i, grey in enumerate(load_digits().images[:5]):
        Image.fromarray((grey * 15).astype(np.uint8)).save(tmp_path / f"{i}.png")
    return tmp_path


Output = pytest.CaptureFixture[str]
IMAGES = [f"{i}.png" for i in range(5)]


def test_all_formats_are_written_and_classify_alike(here: Path, capsys: Output) -> None:
    assert run(["export", "net.v2", "--format", "all"]) == 0
    said = capsys.readouterr().out.splitlines()
    names = [f"net.v2{suffix}" for suffix in (".safetensors", ".pt", ".pt2", ".onnx", ".py")]
    assert [line.split()[1].strip(",") for line in said] == names
    assert all("digits as 1x8x8 its logits differ from PyTorch's by at most " in s for s in said)
    assert "net.v2.py and net.v2.pt, " in said[-1]
    expected = predict(open_model("net.v2"), IMAGES)
    for name in ("net.v2", "net.v2.onnx", "net.v2.safetensors", "net.v2.pt2"):
        assert run(["predict", name, *IMAGES, "--json", "--trust"]) == 0
        answers = json.loads(capsys.readouterr().out)
        assert [one["file"] for one in answers] == IMAGES
        for one, ought in zip(answers, expected, strict=True):
            assert [c["class"] for c in one["likely"]] == [name for name, _ in ought.likely]
            chances = [c["probability"] for c in one["likely"]]
            assert chances == pytest.approx([chance for _, chance in ought.likely], abs=1e-5)


def test_one_format_is_written_where_it_is_wanted(here: Path, capsys: Output) -> None:
    (here / "sub").mkdir()
    assert run(["export", "net.v2", "--format", "python", "--out", "sub/net.py"]) == 0
    assert {p.name for p in (here / "sub").iterdir()} == {"net.py", "net.pt"}


def test_test_time_augmentation_is_exported_where_asked_for(here: Path, capsys: Output) -> None:
    """Every format gives the mean of the logits of an image and its mirror image."""
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)
    plain = open_model("net.v2").logits
    expected = (plain(images) + plain(images[..., ::-1].copy())) / 2
    assert run(["export", "net.v2", "--format", "all", "--tta", "flips"]) == 0
    said = capsys.readouterr().out
    assert "(flips) takes 2 passes an image, so 2 times the MACs and the time" in said
    for name in ("net.v2.onnx", "net.v2.safetensors", "net.v2.pt2"):
        actual = open_model(name, trust=True).logits(images)
        np.testing.assert_allclose(actual, expected, atol=1e-5)
    names = runpy.run_path("net.v2.py")
    with torch.no_grad():
        actual = names["load"]()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    assert run(["export", "net.v2", "--tta", "rotations"]) == 2
    assert "tta is 'rotations', but must be one of none, flips" in capsys.readouterr().err


def test_a_table_shows_the_likeliest_classes(here: Path, capsys: Output) -> None:
    long = here / ("x" * 150 + "[red].png")
    (here / "0.png").rename(long)
    assert run(["predict", "net.v2", str(long), "1.png", "--top", "2"]) == 0
    out = capsys.readouterr().out
    (name, chance), (other, _) = predict(open_model("net.v2"), ["1.png"], top=2)[0].likely
    row = next(line for line in out.splitlines() if "1.png" in line)
    assert f"{chance:.1%}" in row
    assert name in row
    assert f"│ {other} " in row
    assert "".join(c for c in out if c in "x[]red.png").count("x") == 150


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["export", "nowhere"], "There is no model nowhere."),
        (["export", "0.png"], "0.png holds no trained network"),
        (["export", "net.v2", "--format", "x"], "There is no format 'x'; choose from"),
        (["export", "net.v2", "--out", "a.txt"], "a.txt must end in .onnx"),
        (["export", "net.v2", "--check", "."], None),
        (["export", "net.v2", "--check", "net.v2"], "net.v2 is no folder with images"),
        (["predict", "nowhere", "0.png"], "There is no model nowhere."),
        (["predict", "0.png", "0.png"], "0.png is no model; give a model folder or"),
        (["predict", "net.v2", "0.png", "no.png"], "There is no image no.png."),
        (["predict", "net.v2", "net.v2"], "net.v2 is no folder with images."),
        (["predict", "a.py", "0.png"], "a.py is a program, not a model file; run it on one"),
        (["predict", "net.v2", "0.png", "--top", "0"], "top must be at least 1, but is 0."),
        (["predict", "net.v2/model.pt", "0.png"], "net.v2/model.pt is no model"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    here: Path, capsys: Output, arguments: list[str], why: str | None
) -> None:
    (here / "a.py").write_text("")
    before = sorted(here.iterdir())
    if why is None:
        assert run([*arguments, "--format", "safetensors"]) == 0
        assert "on 5 of the 5 images of . as 1x8x8" in capsys.readouterr().out
        return
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert why in err
    assert sorted(here.iterdir()) == before


def test_folders_are_classified_and_an_unreadable_file_has_a_row(
    here: Path, capsys: Output
) -> None:
    (here / "more").mkdir()
    (here / "0.png").rename(here / "more" / "b.png")
    (here / "more" / "a.png").write_text("torn")
    assert run(["predict", "net.v2", "1.png", "more", "--json"]) == 1
    out, err = capsys.readouterr()
    first, torn, last = json.loads(out)
    assert [Path(one["file"]).name for one in (first, torn, last)] == ["1.png", "a.png", "b.png"]
    assert "likely" in first
    assert "likely" in last
    assert "a.png cannot be read as an image" in torn["problem"]
    assert err == "1 of 3 files could not be read.\n"
    assert run(["predict", "net.v2", "more"]) == 1
    assert "cannot be read as an image" in capsys.readouterr().out


def test_a_missing_extra_is_named(
    here: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert run(["export", "net.v2"]) == 2
    why = 'Error: onnxruntime is missing; install the package as "optuna-de[export]".\n'
    assert capsys.readouterr().err == why
    (here / "a.onnx").write_bytes(b"")
    assert run(["predict", "a.onnx", "0.png"]) == 2
    assert capsys.readouterr().err == why
