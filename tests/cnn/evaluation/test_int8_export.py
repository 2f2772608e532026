"""Int8 export of a trained model: both accuracies in result and card, the test split read once."""

import json
import shutil
from pathlib import Path

import pytest

from optuna_de.cli.app import run
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.evaluation.int8_export import Int8Export, export_int8

STORED = Path(__file__).parents[2] / "stored" / "trained"


def test_both_accuracies_stand_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "model", tmp_path / "net.onnx"
    shutil.copytree(STORED, folder)
    done = export_int8(folder, out, DataChoice())
    result = json.loads((folder / "result.json").read_text())
    images, exact, rough = done.accuracies["test"]
    assert images == 359
    assert exact == pytest.approx(result["figures"]["best"]["test accuracy"])
    assert result["int8"]["accuracies"]["test"] == [images, exact, rough]
    card = (folder / "model_card.md").read_text()
    assert f"| int8 | {done.int8_bytes / 1000:.1f} | " in card
    assert f"| {rough:.2%} |" in card
    monkeypatch.setattr(DataChoice, "load_test", lambda _: pytest.fail("read twice"))
    assert export_int8(folder, out, DataChoice()) == done


def test_more_than_a_point_lost_is_said() -> None:
    both = {"validation": (100, 0.9, 0.9), "test": (100, 0.9, 0.85)}
    lost = Int8Export(Path("x"), 2, 1, both, 9)
    assert lost.advice.startswith("The int8 file loses 5.0 points of test accuracy; train it ")
    assert not Int8Export(Path("x"), 2, 1, {"test": (100, 0.9, 0.895)}, 9).advice


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--quantize", "int4"], "'int4'"),
        (["--quantize", "int8", "--format", "python"], "must be int8 for onnx"),
        (["--quantize", "int8", "--data", "{tmp}/none"], "none"),
    ],
)
def test_wrong_input_is_one_sentence(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [option.format(tmp=tmp_path) for option in options]
    assert run(["export", str(STORED), "--out", str(tmp_path / "x.onnx"), *filled]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
