"""Folders of images: decoding, the cache beside them, and what is wrong with them."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from optuna_de.cnn.data import DataError
from optuna_de.cnn.data.dataset import Split
from optuna_de.cnn.data.loading import load_data, load_test
from tests.cnn.data.kit import paint


def rows(split: Split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.images}


def test_pixels_and_labels_are_those_of_the_files(tmp_path: Path) -> None:
    folder = paint(tmp_path)
    data = load_data(folder)
    assert data.classes == ("ant", "bee")
    assert data.image_shape == (3, 4, 6)
    seen = {image.numpy().tobytes(): int(label) for split in (data.train, data.validation)
            for image, label in zip(split.images, split.labels, strict=True)}  # fmt: skip
    for label, name in enumerate(data.classes):
        files = (folder / "train" / name).glob("*.png")
        pixels = [np.asarray(Image.open(file)).transpose(2, 0, 1).tobytes() for file in files]
        assert [seen[p] for p in pixels if p in seen] == [label] * 8


def test_a_test_folder_is_the_test_split_and_is_not_decoded_for_a_search(tmp_path: Path) -> None:
    folder = paint(paint(tmp_path), n=3, part="test")
    assert len(load_test(folder).labels) == 6
    assert (
        sum(len(s.labels) for s in (load_data(folder).train, load_data(folder).validation)) == 20
    )
    file = folder / "test/bee/1.png"
    file.write_bytes(file.read_bytes()[:70])  # the header is whole
    load_data(folder)
    with pytest.raises(DataError, match=r"test/bee/1\.png cannot be read"):
        load_test(folder)


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("1", 1), ("P", 3), ("RGBA", 3), ("RGB", 3)]
)
def test_grey_keeps_one_channel_only_among_grey_images(
    tmp_path: Path, mode: str, channels: int
) -> None:
    folder = paint(tmp_path, mode="L")
    file = folder / "train/bee/7.png"
    Image.open(file).convert(mode).save(file)
    assert load_data(folder).image_shape == (channels, 4, 6)


def test_a_grey_test_image_joins_a_coloured_set_but_not_the_reverse(tmp_path: Path) -> None:
    coloured = paint(paint(tmp_path / "a"), part="test", mode="L")
    assert load_test(coloured).images.shape[1] == 3
    grey = paint(paint(tmp_path / "b", mode="L"), part="test")
    with pytest.raises(DataError, match="holds coloured images, but the training images are grey"):
        load_test(grey)


def test_mixed_sizes_choose_an_image_size(tmp_path: Path) -> None:
    folder = paint(paint(tmp_path, ["ant"]), ["bee"], side=(5, 9))
    data = load_data(folder)
    assert data.image_shape == (3, 4, 4)
    assert "resized to 4x4 (crop): their median smaller side, at most 64" in data.summary
    assert load_data(folder, image_size=4).fingerprint == data.fingerprint


def test_resizing_crops_about_the_centre(tmp_path: Path) -> None:
    folder = paint(tmp_path, side=(6, 4))
    whole, square = load_data(folder), load_data(folder, image_size=4)
    assert torch.equal(square.train.images, whole.train.images[..., 1:5])


def test_photos_are_turned_upright(tmp_path: Path) -> None:
    folder = paint(tmp_path)
    turned = Image.new("RGB", (4, 6))
    exif = turned.getexif()
    exif[0x0112] = 6  # EXIF orientation: turned by 90 degrees
    turned.save(folder / "train/ant/0.png", exif=exif)
    assert load_data(folder).image_shape == (3, 4, 6)


def test_hidden_and_other_files_do_not_count(tmp_path: Path) -> None:
    folder = paint(tmp_path)
    (folder / "train/.trash").mkdir()
    (folder / "train/ant/notes.txt").write_text("no image")
    (folder / "train/ant/._3.png").write_bytes(b"no image")
    data = load_data(folder)
    assert data.classes == ("ant", "bee")
    assert len(rows(data.train) | rows(data.validation)) == 16


def layout(tmp_path: Path, *parts: str) -> Path:
    """Write ten images a class in each folder; an empty name is the folder itself."""
    for seed, part in enumerate(parts):
        paint(tmp_path, part=part, seed=seed)
    return tmp_path


@pytest.mark.parametrize(
    ("parts", "sizes", "words"),
    [
        ([""], (14, 2, 4), "a folder for each class, 2 classes, 14 images for training, 2 for"),
        (["train"], (14, 2, 4), "folders train/, 2 classes"),
        (["Train", "TEST"], (18, 2, 20), "folders Train/, TEST/, 2 classes"),
        (["train", "val"], (16, 20, 4), "20 for validation (official), 4 for the test (drawn)."),
        (["train", "valid", "test"], (20, 20, 20), "(official), an official test split."),
        (["training", "validation", "testing"], (20, 20, 20), "folders training/, validation/"),
    ],
)
def test_layouts(
    tmp_path: Path, parts: list[str], sizes: tuple[int, int, int], words: str
) -> None:
    folder = layout(tmp_path / "pets", *parts)
    data, test = load_data(folder), load_test(folder)
    assert tuple(len(s.labels) for s in (data.train, data.validation, test)) == sizes
    assert data.summary.startswith("pets: ")
    assert words in data.summary


def test_an_official_validation_split_is_that_folder(tmp_path: Path) -> None:
    folder = layout(tmp_path, "train", "val", "test")
    data = load_data(folder)
    for part, split in (
        ("train", data.train),
        ("val", data.validation),
        ("test", load_test(folder)),
    ):
        files = sorted((folder / part).rglob("*.png"))
        pixels = [np.asarray(Image.open(file)).transpose(2, 0, 1) for file in files]
        np.testing.assert_array_equal(split.images.numpy(), np.stack(pixels))
        assert split.labels.tolist() == [0] * 10 + [1] * 10


def test_class_folders_are_the_same_set_with_and_without_train(tmp_path: Path) -> None:
    bare, train = paint(tmp_path / "a", part=""), tmp_path / "b/train"
    shutil.copytree(bare, train)
    assert load_data(bare).fingerprint == load_data(train.parent).fingerprint
    (bare / "ant/deep/er").mkdir(parents=True)
    (bare / "ant/7.png").rename(bare / "ant/deep/er/7.png")
    assert len(load_data(bare).train.labels) == 14
    assert load_data(bare).train.labels.sum() == 7


OLD = ["9412f4a964ca5f8e", "837778fed72818be", "f626e11128e9977c"]


def test_stored_studies_accept_their_folders() -> None:
    """The fingerprint that version 0.1.0 gave to these images."""
    with tempfile.TemporaryDirectory() as place:
        folder = paint(paint(Path(place)), part="test")
        plain = [
            load_data(folder),
            load_data(folder, image_size=3),
            load_data(folder, split_seed=7),
        ]
    assert [data.fingerprint for data in plain] == OLD


def test_a_subset_of_official_splits_keeps_their_proportion(tmp_path: Path) -> None:
    folder = layout(tmp_path, "train", "val")
    data = load_data(folder, subset=18)
    assert (len(data.train.labels), len(data.validation.labels)) == (8, 10)
    assert data.train.labels.tolist() == [0] * 4 + [1] * 4
    assert load_data(folder, subset=36).fingerprint == load_data(folder).fingerprint
    for subset in (3, 37):
        with pytest.raises(DataError, match=f"subset is {subset}, but must be 4 to 36"):
            load_data(folder, subset=subset)


def test_what_is_odd_is_left_out_and_told(tmp_path: Path) -> None:
    folder = layout(tmp_path, "train", "test")
    good = load_data(folder).fingerprint
    for name in ("train/Thumbs.db", "train/ant/notes.txt", "train/.DS_Store", "readme.md"):
        (folder / name).write_text("no image")
    for name in ("train/__MACOSX/ant", "train/cow", "train/bee/__MACOSX", "extra"):
        (folder / name).mkdir(parents=True)
    (folder / "train/__MACOSX/ant/._1.png").write_bytes(b"no image")
    (folder / "train/__MACOSX/ant/1.png").write_bytes(b"no image")
    data = load_data(folder)
    assert (data.fingerprint, data.classes) == (good, ("ant", "bee"))
    assert "; 5 other files or folders ignored ('Thumbs.db', '__MACOSX', " in data.summary


def test_folders_inside_a_class_and_rare_endings_count(tmp_path: Path) -> None:
    folder = layout(tmp_path, "train")
    inner = folder / "train/ant/2024/may"
    inner.mkdir(parents=True)
    for ending, form in ((".jpe", "JPEG"), (".jfif", "JPEG"), (".PNG", "PNG")):
        Image.new("RGB", (6, 4), "red").save(inner / f"x{ending}", form)
    data = load_data(folder)
    assert len(data.train.labels) + len(data.validation.labels) == 18  # of 23, 5 for the test
    assert "3 of 23 images have one colour only ('" in data.summary


def test_a_flat_test_folder_has_no_labels(tmp_path: Path) -> None:
    folder = layout(tmp_path, "train")
    good = load_data(folder).fingerprint
    (folder / "test").mkdir()
    Image.new("RGB", (6, 4)).save(folder / "test/1.png")
    data = load_data(folder)
    assert data.fingerprint == good
    assert "4 for the test (drawn); test/ ignored, as it has no folders of images" in data.summary


def test_classes_that_train_lacks_are_left_out_of_the_test(tmp_path: Path) -> None:
    folder = paint(paint(tmp_path), ["bee", "cow"], part="test")
    assert load_test(folder).labels.tolist() == [1] * 10
    note = "10 images of the test split left out, as train lacks 'cow'; the test split has no "
    assert f"{note}image of 'ant'" in load_data(folder).summary
    with pytest.raises(DataError, match="test holds no class of the training images"):
        load_data(paint(paint(tmp_path / "b"), ["cow"], part="test"))


@pytest.mark.parametrize(
    ("parts", "left"), [(["train"], 2), (["train", "test"], 1), (["train", "val", "test"], 0)]
)
def test_a_class_with_too_few_images_for_the_splits_is_left_out(
    tmp_path: Path, parts: list[str], left: int
) -> None:
    folder = layout(tmp_path, *parts)
    good = load_data(folder, validation_fraction=0.2).fingerprint
    if left:
        data = load_data(paint(folder, ["rat"], n=left), validation_fraction=0.2)
        assert (data.fingerprint, data.classes) == (good, ("ant", "bee"))
        rat = f"the class 'rat' ({left} image{'s' * (left > 1)}) left out"
        assert f"{rat}, as each class needs {left + 1} images or more for the" in data.summary
    data = load_data(paint(folder, ["rat"], n=left + 1), validation_fraction=0.2)
    assert data.classes == ("ant", "bee", "rat")
    with pytest.raises(DataError, match=r"too few images of the class 'b' \(1 image\): each"):
        load_data(paint(paint(tmp_path / "few", ["a"]), ["b"], n=1))


def test_the_folder_that_an_archive_puts_around_all_is_opened(tmp_path: Path) -> None:
    good = load_data(paint(tmp_path / "x", part="")).fingerprint
    folder = paint(tmp_path / "y", part="around")
    for file in folder.rglob("*.png"):
        file.write_bytes((tmp_path / "x" / file.relative_to(folder / "around")).read_bytes())
    (folder / "__MACOSX").mkdir()
    data = load_data(folder)
    assert data.fingerprint == good
    assert "y: in around/, a folder for each class, 2 classes" in data.summary


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (
            ["train", "training"],
            "holds 'train' and 'training', but must hold one folder for train",
        ),
        (["train", "val", "valid"], "must hold one folder for validation"),
        (["", "test"], "holds the folder 'test' beside folders of classes"),
        (["a/b/c"], "holds only the class 'a', but there must be two classes or more"),
    ],
)
def test_layouts_that_cannot_be_understood(tmp_path: Path, parts: list[str], why: str) -> None:
    with pytest.raises(DataError, match=why):
        load_data(layout(tmp_path, *parts))


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no images; it must hold one folder of images for"):
        load_data(tmp_path)


def test_a_few_bad_images_are_skipped_and_named(tmp_path: Path, own_cache: Path) -> None:
    folder = paint(paint(tmp_path, n=100), part="val")
    for name in ("ant/0.png", "bee/3.png"):
        (folder / "train" / name).write_bytes(b"no image")
    for _ in range(2):  # decoded, then from the cache
        data = load_data(folder)
        assert len(data.train.labels) + len(load_test(folder).labels) == 198
        assert "2 of 200 images in train/ unreadable, named in " in data.summary
        (log,) = {p.read_text(): p for p in own_cache.glob("*.txt")}.values()
        lines = log.read_text().splitlines()
        assert [line.partition(" ")[0] for line in lines] == [
            str(folder / "train" / name) for name in ("ant/0.png", "bee/3.png")
        ]
    with pytest.raises(
        DataError, match=r"ant/0\.png cannot .* 2 of 200 .* allows 0\.9%; they are named"
    ):
        load_data(folder, max_bad_images=0.009)
    with pytest.raises(ValueError, match=r"max_bad_images must be in \[0, 1\], but is 2"):
        load_data(folder, max_bad_images=2)
    kept = {image.numpy().tobytes() for s in (data.train, load_test(folder)) for image in s.images}
    files = [f for f in (folder / "train").rglob("*.png") if str(f) not in log.read_text()]
    assert kept == {np.asarray(Image.open(file)).transpose(2, 0, 1).tobytes() for file in files}


def test_a_set_of_bad_images_only(tmp_path: Path) -> None:
    folder = paint(tmp_path)
    for file in folder.rglob("*.png"):
        file.write_bytes(b"no image")
    with pytest.raises(DataError, match="20 of 20 images"):
        load_data(folder, max_bad_images=1)


@pytest.mark.parametrize(
    ("mode", "side", "why"),
    [
        ("RGB", (6, 4), "holds coloured images, but the training images are grey"),
        (None, (6, 4), r"3\.png cannot be read as an image"),
    ],
)
@pytest.mark.parametrize("part", ["val", "test"])
def test_other_splits_are_checked_before_a_training(
    tmp_path: Path, part: str, mode: str | None, side: tuple[int, int], why: str
) -> None:
    folder = paint(paint(tmp_path, mode="L"), part=part, mode=mode or "L", side=side)
    if mode is None:
        (folder / part / "bee/3.png").write_bytes(b"no image")
    for _ in range(2):
        with pytest.raises(DataError, match=why):
            load_data(folder)


def test_sizes_of_a_test_split_do_not_matter_with_image_size(tmp_path: Path) -> None:
    folder = paint(paint(tmp_path), part="test", side=(9, 7))
    assert load_data(folder, image_size=3).image_shape == (3, 3, 3)
    assert load_test(folder, image_size=3).images.shape == (20, 3, 3, 3)


def test_few_images_are_told_a_fraction_that_works(tmp_path: Path) -> None:
    folder = paint(tmp_path, ["a", "b", "c"], n=5)
    with pytest.raises(DataError, match=r"\(--validation-fraction\) 0\.25 or more\."):
        load_data(folder)
    assert len(load_data(folder, validation_fraction=0.25).validation.labels) == 3


def test_an_unbalanced_set_is_told_what_a_constant_answer_is_worth(tmp_path: Path) -> None:
    folder = paint(paint(tmp_path, ["cat"], n=10), ["dog"], n=110)
    sentence = load_data(folder).summary.partition(". ")[2]
    assert sentence == (
        "Always answering 'dog' has a validation error of 10.0%, with a standard error of 9.5%: "
        "10 validation images are few, so give more (--validation-fraction). Classes have 7 to 79 "
        "training images: --metric balanced-error counts classes alike."
    )
    balanced = load_data(folder, metric="balanced-error").summary.partition(". ")[2]
    assert balanced == (
        "Always answering 'dog' has a validation balanced-error of 50.0%, with a standard error "
        "of 25.0%: 10 validation images are few, so give more (--validation-fraction)."
    )
    many = load_data("digits", validation_fraction=0.5).summary
    assert many == (
        "digits: 10 classes, 719 images for training, 719 for validation (drawn), 359 for the "
        "test (drawn). Always answering '1' has a validation error of 89.8%."
    )
