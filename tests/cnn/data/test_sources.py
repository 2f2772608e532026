"""Names, folders and torchvision's files, read in their own formats; and every wrong input."""

import inspect
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat
from torchvision import datasets

from optuna_de.cnn.data import NAMES, DataError
from optuna_de.cnn.data.loading import load_data, load_test
from optuna_de.cnn.data.sources import DATA_SETS, TorchvisionSet
from tests.cnn.data.kit import paint


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def idx(array: NDArray[np.uint8]) -> bytes:
    """MNIST's file format: type, number of dimensions, dimensions, bytes."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def digits_of(n: int) -> NDArray[np.uint8]:
    return (np.arange(n) % 10).astype(np.uint8)


def write_mnist(folder: Path, name: str = "MNIST") -> Path:
    """Write 60 and 20 images in the files of MNIST; return where they lie."""
    raw = folder / name / "raw"
    raw.mkdir(parents=True)
    for part, n in (("train", 60), ("t10k", 20)):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(noise(n, 28, 28)))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(digits_of(n)))
    return raw


@pytest.mark.parametrize(("name", "given"), [("MNIST", "mnist"), ("FashionMNIST", "FASHIONmnist")])
def test_mnist_in_its_own_format(tmp_path: Path, name: str, given: str) -> None:
    write_mnist(tmp_path, name)
    data = load_data(given, data_dir=tmp_path, validation_fraction=0.2)
    assert (data.name, data.image_shape, len(data.classes)) == (name, (1, 28, 28), 10)
    images, chosen = noise(60, 28, 28), data.train
    at = {image.tobytes(): i for i, image in enumerate(images)}
    rows = [at[image.numpy().tobytes()] for image in chosen.images]
    assert chosen.labels.tolist() == digits_of(60)[rows].tolist()
    assert len(load_test(given, data_dir=tmp_path).labels) == 20


def test_named_sets_are_resized_too(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    given: dict[str, Any] = {"data_dir": tmp_path, "validation_fraction": 0.2, "image_size": 12}
    assert load_data("MNIST", **given).image_shape == (1, 12, 12)
    assert load_test("MNIST", **given).images.shape == (20, 1, 12, 12)


def test_cifar10_in_its_own_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", None]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setitem(datasets.CIFAR10.meta, "md5", None)
    place = tmp_path / "cifar-10-batches-py"
    place.mkdir()
    for name, n in (("data_batch_1", 40), ("test_batch", 10)):
        batch = {"data": noise(n, 3072), "labels": digits_of(n).tolist()}
        (place / name).write_bytes(pickle.dumps(batch))
    (place / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    data = load_data("cifar10", data_dir=tmp_path, validation_fraction=0.25)
    assert (data.classes, data.image_shape) == (tuple("abcdefghij"), (3, 32, 32))
    test = load_test("cifar10", data_dir=tmp_path)
    assert test.images.contiguous().numpy().tobytes() == noise(10, 3072).tobytes()


def test_svhn_in_its_own_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unchecked = {part: [*row[:2], None] for part, row in datasets.SVHN.split_list.items()}
    monkeypatch.setattr(datasets.SVHN, "split_list", unchecked)
    for part, n in (("train", 40), ("test", 10)):
        labels = np.where(digits_of(n) == 0, 10, digits_of(n))[:, None]
        savemat(tmp_path / f"{part}_32x32.mat", {"X": noise(32, 32, 3, n), "y": labels})
    data = load_data("svhn", data_dir=tmp_path, validation_fraction=0.25)
    assert (data.classes, data.image_shape) == (tuple("0123456789"), (3, 32, 32))
    test = load_test("SVHN", data_dir=tmp_path)
    assert test.labels.tolist() == list(range(10))
    assert (test.images[4].numpy() == noise(32, 32, 3, 10)[..., 4].transpose(2, 0, 1)).all()


@pytest.mark.parametrize("name", NAMES[1:])
def test_absent_files_say_which_flag_to_give(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"{name} is not whole in the folder .*--download"):
        load_data(name.lower(), data_dir=tmp_path)


def test_the_default_folder_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="in the folder data;"):
        load_data("MNIST")


@pytest.mark.parametrize("torn", [b"", b"abc", idx(noise(3, 28, 28))[:-1]])
def test_torn_files_of_torchvision(tmp_path: Path, torn: bytes) -> None:
    (write_mnist(tmp_path) / "train-images-idx3-ubyte").write_bytes(torn)
    with pytest.raises(DataError, match="MNIST is not whole"):
        load_data("MNIST", data_dir=tmp_path)


def test_more_images_than_labels(tmp_path: Path) -> None:
    (write_mnist(tmp_path) / "train-labels-idx1-ubyte").write_bytes(idx(digits_of(59)))
    with pytest.raises(DataError, match="MNIST has 60 images, 59 labels"):
        load_data("MNIST", data_dir=tmp_path)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        DataError, match=r"'cifar'; choose from digits, CIFAR10.* or give the path"
    ):
        load_data("cifar")


def test_a_missing_folder(tmp_path: Path) -> None:
    for source in (tmp_path / "none", str(tmp_path / "none"), Path("digits")):
        with pytest.raises(DataError, match=r"There is no folder .*(none|digits)\."):
            load_data(source)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"set\.zip is a file, but"):
        load_data(tmp_path / "set.zip")


def test_a_folder_without_classes(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="train holds no folders of images"):
        load_data(tmp_path)


def test_a_folder_of_one_class(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="train holds only the class 'ant'"):
        load_data(paint(tmp_path, ["ant"]))


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_an_unreadable_image(tmp_path: Path, content: bytes | None) -> None:
    file = paint(tmp_path) / "train/bee/3.png"
    file.write_bytes(file.read_bytes()[:70] if content is None else content)
    with pytest.raises(DataError, match=r"train/bee/3\.png cannot be read as an image"):
        load_data(tmp_path)


def test_a_link_to_nowhere(tmp_path: Path) -> None:
    (paint(tmp_path) / "train/bee/x.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"x\.png leads to no file"):
        load_data(tmp_path)


@pytest.mark.parametrize("row", [r for r in DATA_SETS.values() if isinstance(r, TorchvisionSet)])
def test_rows_are_as_torchvision_takes_them(row: TorchvisionSet) -> None:
    """The loader needs no more than the root, the row's argument and whether to download."""
    arguments = inspect.signature(getattr(datasets, row.name).__init__).parameters
    assert not row.argument or row.argument in arguments
    assert {"download", "kwargs"} & arguments.keys() or row.name == "FER2013"
    needed = [n for n, p in arguments.items() if p.default is p.empty and "arg" not in n]
    assert set(needed) <= {"self", "root", "split"}
    assert isinstance(row.train, bool) == (row.argument != "split")


def test_a_set_of_files_is_listed_and_resized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(paint(tmp_path, n=12), part="test", n=3)

    class Fake(datasets.ImageFolder):  # type: ignore[misc]
        def __init__(self, root: str, split: str, download: bool) -> None:
            super().__init__(f"{root}/{split}")

    monkeypatch.setattr(datasets, "Food101", Fake)
    given: dict[str, Any] = {"data_dir": tmp_path, "image_size": 3}
    data, same = load_data("food101", **given), load_data(tmp_path, image_size=3)
    assert (data.name, data.fingerprint) == ("Food101", same.fingerprint)
    assert len(load_test("food101", **given).labels) == 6
