"""The Python file of a network runs where this package is not."""

import ast
import runpy
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.data.reading.images import read_image
from optuna_de.cnn.export.export import export_model
from optuna_de.cnn.export.predict import probabilities
from optuna_de.cnn.export.standalone import standalone_source
from optuna_de.cnn.modules.build import build
from tests.cnn.architecture.kit import random_genome
from tests.cnn.export.kit import CLASSES, EVERY_UNIT, SHAPE, logits, save

ALONE = """
import runpy, sys
sys.modules["optuna_de"] = sys.modules["safetensors"] = sys.modules["onnx"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file ``net.py`` beside its weights and its model folder, ``model``."""
    place = tmp_path_factory.mktemp("network")
    export_model(save(place / "model", EVERY_UNIT), "python", place / "net.py")
    return place / "net.py"


def run(file: Path, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-W", "error", "-c", ALONE, str(file), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, cwd=cwd, encoding="utf-8", check=False)


def photo(path: Path, mode: str = "RGB", size: tuple[int, int] = (50, 40)) -> Path:
    pixels = np.random.default_rng(len(mode)).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size).convert(mode).save(path)
    return path


def test_it_classifies_alone(network: Path, tmp_path: Path) -> None:
    files = [photo(tmp_path / "a.png"), photo(tmp_path / "b.png", "L", (16, 16))]
    ended = run(network, *files, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    images = np.stack([read_image(file, SHAPE) for file in files])
    chances = probabilities(logits(network.parent / "model", np.tile(images, (10, 1, 1, 1))))
    lines = [
        f"{f}: {CLASSES[p.argmax()]} {p.max():.1%}" for f, p in zip(files, chances, strict=False)
    ]
    shown = [line.encode(errors="replace").decode() for line in lines]  # a terminal cannot: \udc80
    assert ended.stdout.splitlines() == shown


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "LA", "RGBA"])
def test_it_reads_images_as_predict_does(network: Path, tmp_path: Path, mode: str) -> None:
    names = runpy.run_path(str(network))
    file = photo(tmp_path / "a.png", mode)
    np.testing.assert_array_equal(names["read"](file), read_image(file, SHAPE))


def test_it_says_what_is_no_image(network: Path, tmp_path: Path) -> None:
    names = runpy.run_path(str(network))
    bad, deep = tmp_path / "bad.png", tmp_path / "deep.tif"
    bad.write_text("no image")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(deep)
    for file in (bad, deep, tmp_path / "none.png"):
        with pytest.raises(SystemExit, match=f"^{file} cannot be read as an image: .+$"):
            names["main"]([file])


def test_its_constants_are_those_of_the_model(network: Path) -> None:
    names = runpy.run_path(str(network))
    assert names["CLASSES"] == CLASSES
    assert (names["MEAN"], names["STD"]) == ((0.3, 0.2, 0.1), (0.4, 0.3, 0.2))
    assert names["IMAGE_SHAPE"] == SHAPE


def test_random_genomes_have_the_weights_of_build() -> None:
    rng = Random(1)
    for _ in range(50):
        shape = rng.choice([(3, 32, 32), (1, 8, 8), (2, 9, 30)])
        genome = random_genome(rng, shape)
        names = {"__file__": "n.py", "__name__": "n"}
        exec(standalone_source(genome, shape, CLASSES[:4], (0.5,), (0.5,)), names)
        with torch.device("meta"):
            alone = names["Network"]().layers  # type: ignore[operator]
            ours = build(genome, shape, 4)
        assert {k: v.shape for k, v in alone.state_dict().items()} == {
            k: v.shape for k, v in ours.state_dict().items()
        }
        trained = sum(p.numel() for p in ours.parameters() if p.requires_grad)
        assert trained == count_parameters(genome, shape, 4)


def test_it_is_plain_readable_code() -> None:
    text = standalone_source(parse("C7k3-AP-FC9"), (1, 8, 8), ("0", "1"), (0.5,), (0.5,))
    assert '    "0",\n    "1",\n' in text
    assert "            # C7k3: 7 x 8 x 8\n            nn.Conv2d(1, 7, 3, padding=1),\n" in text
    assert "            # head FC9: 2\n            nn.Flatten(),\n" in text
    assert "class Add" not in text
    imports = {
        getattr(node, "module", None) or node.names[0].name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imports == {"sys", "pathlib", "numpy", "torch", "PIL"}
    assert max(map(len, text.splitlines())) < 100


def test_a_genome_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="more pools"):
        standalone_source(parse("C7k3-MP-MP-MP"), (1, 8, 8), ("0", "1"), (0.5,), (0.5,))
