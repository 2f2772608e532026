"""The command ``data``: summary, table, contact sheet and cache."""

from pathlib import Path

import pytest
from PIL import Image

from optuna_de.cli.app import run
from tests.cnn.data.kit import paint


def test_a_folder_is_shown_without_a_search(
    tmp_path: Path,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    root = paint(paint(tmp_path, ["cat"], n=20, part="set"), ["dog"], part="set") / "set"
    (root / "dog/0.png").write_bytes((root / "cat/0.png").read_bytes())
    for name in ("sheet.png", "sheet.html"):
        assert run(["data", str(root), "--image-size", "8x6", "--out", name]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "a folder for each class, 2 classes, 22 images for training, 2 for validation" in out
    assert "cat 14 2 4" in out or "cat 15" in out
    assert "all 22 2 6" in out
    assert "Networks would see 8x6 pixels and 3 channels." in out
    with Image.open("sheet.png") as image:
        assert min(image.size) > 100
        assert len(image.getcolors(10**6) or []) > 50
    assert "data:image/png;base64," in Path("sheet.html").read_text(encoding="utf-8")
    assert not Path("optuna_de.db").exists()
    assert run(["data", "--clear-cache"]) == 0
    assert "Deleted 0.0 MB of the cache" in " ".join(capsys.readouterr().out.split())
    assert not list(own_cache.glob("*.npy"))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "Give the path or name of images, or --clear-cache."),
        (["digits", "--out", "x.pdf"], "must end in .png or .html"),
        (["nowhere/x"], "There is no folder nowhere/x."),
        (["digits", "--image-size", "8by8"], "must be like 64 or 96x64"),
        (["digits", "--resize", "stretch"], "resize must be crop, pad or squash"),
        (["digits", "--background", "nocolour"], "background is 'nocolour', but must be a colour"),
    ],
)
def test_wrong_input_is_one_sentence(
    arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", *arguments]) == 2
    assert why in " ".join(capsys.readouterr().err.split())
