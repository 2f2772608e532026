"""Arrays and data sets in memory, and every kind of them that would train on nonsense."""

from collections import UserDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import Dataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import ToTensor

from optuna_de.cnn.data import ImageData, load_data
from optuna_de.cnn.data.dataset import Split
from tests.cnn.data.kit import paint

RNG = np.random.default_rng(0)
N = 20
GREY = RNG.integers(0, 256, (N, 6, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (N, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(N) % 2


def pixels(data: ImageData) -> NDArray[np.uint8]:
    """Return all images (n, c, h, w), ordered by their bytes."""
    both = torch.cat([data.train.images, data.validation.images]).numpy()
    return both[np.lexsort(both.reshape(len(both), -1).T)]


@pytest.mark.parametrize(
    ("images", "channels", "shape"),
    [
        (GREY, None, (1, 6, 5)),
        (GREY[..., None], None, (1, 6, 5)),
        (GREY[:, None], None, (1, 6, 5)),
        (COLOUR, None, (3, 6, 5)),
        (COLOUR.transpose(0, 3, 1, 2), None, (3, 6, 5)),
        (torch.from_numpy(COLOUR), None, (3, 6, 5)),
        (COLOUR.astype(np.int64), None, (3, 6, 5)),
        (GREY.tolist(), None, (1, 6, 5)),
        (COLOUR[:, :3], "last", (3, 3, 5)),
        (COLOUR[:, :3], "first", (3, 5, 3)),
        (np.repeat(COLOUR, 2, axis=3), "last", (6, 6, 5)),
    ],
)
def test_layouts_of_arrays(images: Any, channels: Any, shape: tuple[int, int, int]) -> None:
    data = ImageData.from_arrays(images, LABELS, channels=channels)
    assert data.image_shape == shape
    assert (len(data.train.labels), len(data.validation.labels)) == (18, 2)
    assert (data.classes, data.name) == (("0", "1"), "arrays")
    assert data.train.images.is_contiguous(memory_format=torch.channels_last)


def test_each_image_keeps_its_label() -> None:
    data = ImageData.from_arrays(COLOUR, LABELS)
    at = {image.tobytes(): label for image, label in zip(COLOUR, LABELS, strict=True)}
    for split in (data.train, data.validation):
        for image, label in zip(split.images, split.labels, strict=True):
            assert at[image.permute(1, 2, 0).contiguous().numpy().tobytes()] == label


def test_names_of_classes() -> None:
    assert ImageData.from_arrays(GREY, LABELS, classes=("x", "y")).classes == ("x", "y")
    named = ImageData.from_arrays(GREY, np.where(LABELS, "ant", "bee"))
    assert named.classes == ("ant", "bee")
    turned = ImageData.from_arrays(GREY, 1 - LABELS, classes=["ant", "bee"])
    assert turned.fingerprint == named.fingerprint


def test_arrays_of_a_folder_have_its_fingerprint(tmp_path: Path) -> None:
    """The same images in the same order with the same splits are the same data."""
    folder = paint(paint(tmp_path), part="test", n=1)
    files = sorted((folder / "train").rglob("*.png"))
    images = np.stack([np.asarray(Image.open(file)) for file in files])
    names = [file.parent.name for file in files]
    data = load_data(folder)
    assert ImageData.from_arrays(images, names).fingerprint == data.fingerprint
    dataset = ImageFolder(str(folder / "train"))
    assert ImageData.from_dataset(dataset).fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("images", "labels", "why"),
    [
        (GREY / 255, LABELS, r"images are float64, but .* multiply by 255"),
        (GREY > 9, LABELS, "images are bool"),
        (GREY.astype(int) * 9, LABELS, r"images run from 0 to 2\d+, but must be in"),
        (GREY.astype(int) - 1, LABELS, "images run from -1 to"),
        (GREY[0], LABELS, r"images have the shape \(6, 5\), but must be \(n, h, w\)"),
        (COLOUR[:, :3], LABELS, r"\(20, 3, 5, 3\), which does not tell where the channels are"),
        (np.repeat(COLOUR, 2, 3), LABELS, r"\(20, 6, 5, 6\), which does not tell"),
        (GREY[:, :1], LABELS, r"2x2 pixels or more: \(20, 1, 5, 1\)"),
        ([[1, 2], [3]], LABELS, "images are no array"),
        (GREY, LABELS + 1, "labels run from 1 to 2 and take 2 values, but must be 0 to k - 1"),
        (GREY, LABELS - 1, "labels run from -1 to 0"),
        (GREY, LABELS * 2, "labels run from 0 to 2 and take 2 values"),
        (GREY, LABELS * 10**12, "labels run from 0 to 1000000000000"),
        (GREY, LABELS * 0, "labels name one class only"),
        (GREY, LABELS.astype(float), "labels are float64, but must be whole numbers or names"),
        (GREY, np.eye(2)[LABELS], r"labels have the shape \(20, 2\), but must be \(20,\)"),
        (GREY, LABELS[:-1], r"labels have the shape \(19,\)"),
        (GREY, [None] * N, "labels are object"),
        (GREY, [0] * 19 + [1], "Class '1' has 1 of 20 images"),
    ],
)
def test_one_sentence_at_the_door(images: Any, labels: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why) as error:
        ImageData.from_arrays(images, labels)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"classes": ("x", "y", "z")}, "take 2 values, but must be 0 to 2"),
        ({"classes": ("x",)}, "must be 0 to 0"),
        ({"validation_fraction": 1.5}, "validation_fraction must be above 0 and below 1"),
        ({"split_seed": -1}, r"split_seed must be in \[0, 2"),
    ],
)
def test_other_arguments(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ImageData.from_arrays(GREY, LABELS, **given)


def test_names_that_are_no_classes() -> None:
    with pytest.raises(ValueError, match="labels name ant, bee, but classes ant, cow"):
        ImageData.from_arrays(GREY, np.where(LABELS, "ant", "bee"), classes=("ant", "cow"))


class Items(Dataset[Any]):
    """A data set of the items given."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]


PILLOWS = [Image.fromarray(image) for image in COLOUR]


@pytest.mark.parametrize(
    "dataset",
    [
        Items(list(zip(PILLOWS, LABELS.tolist(), strict=True))),
        Items(list(zip(COLOUR, LABELS, strict=True))),
        Items([{"image": i, "label": int(k)} for i, k in zip(PILLOWS, LABELS, strict=True)]),
        Items([{"image": i, "label": k} for i, k in zip(COLOUR, LABELS, strict=True)]),
        Items([UserDict(img=i, y=int(k)) for i, k in zip(PILLOWS, LABELS, strict=True)]),
        TensorDataset(torch.from_numpy(COLOUR).permute(0, 3, 1, 2), torch.from_numpy(LABELS)),
        Subset(Items(list(zip(PILLOWS, LABELS, strict=True))), range(N)),
        list(zip(PILLOWS, LABELS.tolist(), strict=True)),
    ],
)
def test_data_sets(dataset: Any) -> None:
    data = ImageData.from_dataset(dataset)
    assert data.fingerprint == ImageData.from_arrays(COLOUR, LABELS).fingerprint
    assert data.name == type(dataset).__name__


def test_mixed_modes_become_colours_and_sizes_are_brought_to_one() -> None:
    mixed = [Image.fromarray(GREY[0]), *PILLOWS[1:]]
    items = Items(list(zip(mixed, LABELS, strict=True)))
    assert ImageData.from_dataset(items).image_shape == (3, 6, 5)
    mixed[3] = Image.new("RGB", (9, 9))
    items = Items(list(zip(mixed, LABELS, strict=True)))
    with pytest.raises(ValueError, match=r"item 3 has 9x9 pixels, that of item 0 5x6; give image"):
        ImageData.from_dataset(items)
    assert ImageData.from_dataset(items, image_size=4).image_shape == (3, 4, 4)


def test_classes_of_torchvision_behind_a_subset(tmp_path: Path) -> None:
    folder = ImageFolder(str(paint(tmp_path) / "train"))
    data = ImageData.from_dataset(Subset(folder, range(5, 15)), validation_fraction=0.2)
    assert data.classes == ("ant", "bee")
    assert (len(data.train.labels), data.name) == (8, "Subset")


def pairs(**columns: Any) -> Items:
    return Items([dict(columns)] * 3)


@pytest.mark.parametrize(
    ("dataset", "why"),
    [
        (iter([]), "is a list_iterator, but must have a length and items"),
        (Items([]), "The data set is empty"),
        ({"train": [], "test": []}, "holds the splits 'train', 'test'; give one of them"),
        (Items([PILLOWS[0]]), "must be a pair"),
        (Items([(PILLOWS[0], 0, 1)]), "must be a pair"),
        (Items([(torch.rand(3, 6, 5), 0)]), "images are float32, but must be whole numbers"),
        (Items([(np.zeros(3, np.uint8), 0)]), r"item 0 has the shape \(3,\)"),
        (pairs(image=PILLOWS[0], a=1, b=2), "label_column is None, but must be one of 'a', 'b'"),
        (pairs(image=PILLOWS[0], x=PILLOWS[1], a=1), "image_column is None, but .* 'image', 'x'"),
        (pairs(image=PILLOWS[0], a=0.5), "label_column is None, but must be one of 'image', 'a'"),
    ],
)
def test_data_sets_that_are_refused(dataset: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ImageData.from_dataset(dataset)


def test_columns_are_chosen() -> None:
    rows = [{"a": p, "b": p, "x": int(k), "y": 1} for p, k in zip(PILLOWS, LABELS, strict=True)]
    data = ImageData.from_dataset(Items(rows), image_column="a", label_column="x")
    assert data.fingerprint == ImageData.from_arrays(COLOUR, LABELS).fingerprint
    with pytest.raises(ValueError, match="label_column is 'z', but must be one of 'x', 'y'"):
        ImageData.from_dataset(Items(rows), image_column="a", label_column="z")


def test_transforms_to_floats_are_refused(tmp_path: Path) -> None:
    folder = ImageFolder(str(paint(tmp_path) / "train"), transform=ToTensor())
    with pytest.raises(ValueError, match=r"images are float32, but must be whole numbers"):
        ImageData.from_dataset(folder)


def test_the_readme_example_is_digits() -> None:
    digits = load_digits()
    images = (digits.images * 255 / 16).astype("uint8")
    data = ImageData.from_arrays(images, digits.target, name="digits")
    assert (data.image_shape, len(data.classes)) == ((1, 8, 8), 10)


SPLIT = ImageData.from_arrays(COLOUR, LABELS).train


@pytest.mark.parametrize(
    ("split", "why"),
    [
        (Split(SPLIT.images.float() / 255, SPLIT.labels), "images must be torch.uint8"),
        (Split(SPLIT.images[:, 0], SPLIT.labels), r"images must be of the shape \(n, c, h, w\)"),
        (Split(SPLIT.images.permute(0, 2, 3, 1), SPLIT.labels), r"of the shape \(n, c, h, w\)"),
        (Split(SPLIT.images, SPLIT.labels + 1), r"labels must be in \[0, 1\], but is \(1, 2\)"),
        (Split(SPLIT.images, SPLIT.labels - 1), r"labels must be in \[0, 1\], but is \(-1, 0\)"),
        (Split(SPLIT.images, SPLIT.labels.int()), r"labels must be torch\.int64"),
        (Split(SPLIT.images, SPLIT.labels[1:]), r"labels must be of the shape \(18,\)"),
    ],
)
@pytest.mark.parametrize("name", ["train", "validation"])
def test_splits_by_hand_are_checked_too(split: Split, name: str, why: str) -> None:
    data, changes = ImageData.from_arrays(COLOUR, LABELS), {name: split}
    with pytest.raises(ValueError, match=why):
        replace(data, **changes)  # type: ignore[arg-type]
