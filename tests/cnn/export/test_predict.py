"""Image files are read as a training's are and classified as torch does."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from optuna_de.cnn.data.reading.image_folder import list_images
from optuna_de.cnn.data.reading.images import read_image
from optuna_de.cnn.data.reading.resizing import Resizing
from optuna_de.cnn.data.store.decoding import load_headers, load_images
from optuna_de.cnn.export.classifier import ModelMetadata, OpenModel
from optuna_de.cnn.export.formats import open_model
from optuna_de.cnn.export.predict import predict, probabilities
from tests.cnn.data.kit import paint
from tests.cnn.export.kit import CLASSES, SHAPE, logits, save


def digits(folder: Path, n: int = 12) -> list[Path]:
    """Write real images of digits and return their files."""
    files = [folder / f"{i}.png" for i in range(n)]
    for file, grey in zip(files, load_digits().images, strict=False):
        Image.fromarray((grey * 15).astype(np.uint8)).resize((24, 16)).save(file)
    return files


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(tmp_path / "model", "C6k3-MP-B5k3-GAP-FC9")


def test_a_folder_answers_as_torch(model: Path, tmp_path: Path) -> None:
    files = digits(tmp_path)
    expected = probabilities(logits(model, np.stack([read_image(f, SHAPE) for f in files])))
    predictions = predict(open_model(model), files, top=20)
    assert [one.file for one in predictions] == list(map(str, files))
    for one, chances in zip(predictions, expected, strict=True):
        assert {name for name, _ in one.likely} == set(CLASSES)
        got = [chance for _, chance in one.likely]
        assert got == sorted(got, reverse=True)
        assert one.likely[0][0] == CLASSES[chances.argmax()]
        np.testing.assert_allclose(got, np.sort(chances)[::-1], atol=1e-5)
        assert sum(got) == pytest.approx(1)


def test_more_images_than_a_batch_keep_their_order(model: Path, tmp_path: Path) -> None:
    files = digits(tmp_path)
    opened = open_model(model)
    few, many = predict(opened, files, top=1), predict(opened, files * 25, top=1)
    assert len(many) == 300
    assert [one.likely[0][0] for one in many] == [one.likely[0][0] for one in few] * 25


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_images_are_read_as_those_of_a_training(tmp_path: Path, mode: str) -> None:
    paint(tmp_path, mode=mode, side=(23, 17))
    listing, square = list_images(tmp_path / "train"), (8, 8, 1 if mode == "L" else 3)
    headers = load_headers(listing, 0.0)
    trained = load_images(listing, Resizing((8, 8)), square, headers).store.images
    shape = (trained.shape[3], 8, 8)
    arrays = [read_image(listing.folder / file, shape) for file in listing.files]
    np.testing.assert_array_equal(np.stack(arrays), trained.transpose(0, 3, 1, 2))


def test_a_grey_network_sees_grey_and_a_colour_network_three_channels(tmp_path: Path) -> None:
    colour, grey = tmp_path / "c.png", tmp_path / "g.png"
    Image.new("RGB", (8, 8), (255, 0, 0)).save(colour)
    Image.new("L", (8, 8), 77).save(grey)
    assert np.unique(read_image(colour, (1, 8, 8))).tolist() == [76]  # ITU-R 601-2 luma
    assert read_image(colour, (3, 4, 8))[:, 0, 0].tolist() == [255, 0, 0]
    assert read_image(grey, (3, 4, 8))[:, 0, 0].tolist() == [77, 77, 77]
    assert read_image(grey, (3, 4, 8)).shape == (3, 4, 8)


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    image = Image.new("L", (8, 8), 0)
    image.paste(255, (0, 0, 8, 4))  # white above
    exif = image.getexif()
    exif[0x0112] = 3  # to be turned by half
    image.save(tmp_path / "a.png", exif=exif)
    assert read_image(tmp_path / "a.png", (1, 8, 8))[0, :, 0].tolist() == [0] * 4 + [255] * 4


@pytest.mark.parametrize(
    ("name", "shape", "why"),
    [
        ("no.png", SHAPE, "There is no image"),
        (".", SHAPE, "There is no image"),
        ("text.png", SHAPE, "cannot be read as an image"),
        ("deep.tif", SHAPE, "more than 16 bits a channel"),
        ("grey.png", (2, 8, 8), "takes 2 channels, but image files have 1 or 3"),
    ],
)
def test_what_is_no_image_is_refused(
    tmp_path: Path, name: str, shape: tuple[int, int, int], why: str
) -> None:
    (tmp_path / "text.png").write_text("text")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "deep.tif")
    Image.new("L", (8, 8)).save(tmp_path / "grey.png")
    with pytest.raises(ValueError, match=why):
        read_image(tmp_path / name, shape)


def fixed(row: list[float]) -> OpenModel:
    """Return a network of two classes that always answers the same."""
    facts = ModelMetadata("C1k1", (1, 8, 8), ("a", "b"), (0.0,), (1.0,))
    return OpenModel(facts, lambda images: np.array([row] * len(images), np.float32))


def test_probabilities_are_a_softmax(tmp_path: Path) -> None:
    (one,) = predict(fixed([np.log(3), 0]), digits(tmp_path, 1))
    assert [name for name, _ in one.likely] == ["a", "b"]
    assert [chance for _, chance in one.likely] == pytest.approx([0.75, 0.25])
    (one,) = predict(fixed([-1000, 1000]), digits(tmp_path, 1), top=1)
    assert one.likely == (("b", 1.0),)


@pytest.mark.parametrize("row", [[0.0, float("nan")], [float("inf"), 0.0]])
def test_answers_that_are_no_numbers_are_refused(tmp_path: Path, row: list[float]) -> None:
    with pytest.raises(ValueError, match=r"outputs for .*0\.png are not finite numbers"):
        predict(fixed(row), digits(tmp_path, 1))


def test_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gives 3 outputs, but its file names 2 classes\."):
        predict(fixed([0, 0, 0]), digits(tmp_path, 1))


@pytest.mark.parametrize(
    ("n", "top", "why"), [(0, 1, "no image to"), (1, 0, "top must be at least 1")]
)
def test_nothing_to_do_is_refused(tmp_path: Path, n: int, top: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        predict(fixed([0, 0]), digits(tmp_path, n), top=top)
