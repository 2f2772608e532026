"""Splits, moments and fingerprints, on scikit-learn's digits and small folders."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor

from optuna_de.cnn.data import DataError
from optuna_de.cnn.data.dataset import ImageData, Split
from optuna_de.cnn.data.loading import load_data, load_test
from optuna_de.cnn.data.splits import divide
from tests.cnn.data.kit import paint


def counts(*splits: Split) -> list[int]:
    """Images of each class, of all splits together."""
    return torch.bincount(torch.cat([split.labels for split in splits])).tolist()


def rows(split: Split) -> list[bytes]:
    return sorted(image.numpy().tobytes() for image in split.images)


def parts(data: ImageData, test: Split) -> list[Split]:
    return [data.train, data.validation, test]


def test_digits_are_the_real_ones_divided_without_rest() -> None:
    bunch = load_digits()
    data, test = load_data("digits"), load_test("digits")
    together = torch.cat([split.images for split in parts(data, test)])
    expected = np.rint(bunch.images / 16 * 255).astype(np.uint8)
    assert sorted(i.numpy().tobytes() for i in together) == sorted(i.tobytes() for i in expected)
    assert data.image_shape == (1, 8, 8)
    assert data.classes == tuple("0123456789")
    assert [len(split.labels) for split in parts(data, test)] == [1294, 144, 359]
    assert (data.name, data.split_seed) == ("digits", 0)


def test_every_digit_keeps_its_label() -> None:
    bunch = load_digits()
    truth: dict[bytes, set[int]] = {}
    for image, label in zip(np.rint(bunch.images / 16 * 255), bunch.target, strict=True):
        truth.setdefault(image.astype(np.uint8).tobytes(), set()).add(int(label))
    for split in parts(load_data("digits"), load_test("digits")):
        for picture, target in zip(split.images, split.labels.tolist(), strict=True):
            assert target in truth[picture.numpy().tobytes()]


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.5, 0.9])
def test_splits_keep_the_proportions_of_the_classes(fraction: float) -> None:
    data, test = load_data("digits", validation_fraction=fraction), load_test("digits")
    everything = counts(*parts(data, test))
    pool = np.array(counts(data.train, data.validation))
    assert np.abs(np.array(counts(test)) - 0.2 * np.array(everything)).max() < 1
    assert np.abs(np.array(counts(data.validation)) - fraction * pool).max() <= 1
    assert len(data.validation.labels) == round(fraction * pool.sum())


def test_splits_are_disjoint(tmp_path: Path) -> None:
    folder = paint(tmp_path, n=50)
    data, test = load_data(folder), load_test(folder)
    together = [row for split in parts(data, test) for row in rows(split)]
    assert len(together) == len(set(together)) == 100
    assert [len(split.labels) for split in parts(data, test)] == [72, 8, 20]


def test_a_rare_class_is_in_every_split(tmp_path: Path) -> None:
    folder = paint(paint(tmp_path, ["ant"], n=100), ["bee"], n=3)
    data, test = load_data(folder), load_test(folder)
    assert [counts(split)[1] for split in parts(data, test)] == [1, 1, 1]
    assert counts(*parts(data, test)) == [100, 3]


def test_tensors_are_as_promised() -> None:
    for split in parts(load_data("digits"), load_test("digits")):
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == torch.int64
        assert split.images.is_contiguous(memory_format=torch.channels_last)


def test_the_same_seed_gives_the_same_splits() -> None:
    first, second = (load_data("digits", split_seed=3) for _ in range(2))
    assert torch.equal(first.train.images, second.train.images)
    assert torch.equal(first.validation.labels, second.validation.labels)
    assert first.fingerprint == second.fingerprint
    assert first.split_seed == 3


def test_fingerprints_tell_data_and_splits_apart(tmp_path: Path) -> None:
    options: list[dict[str, Any]] = [
        {"split_seed": 1},
        {"subset": 400},
        {"image_size": 9},
        {"validation_fraction": 0.2},
    ]
    prints = [load_data("digits", **given).fingerprint for given in [{}, *options]]
    prints += [load_data(paint(tmp_path / "a")).fingerprint]
    prints += [load_data(paint(tmp_path / "b", seed=1)).fingerprint]
    prints += [load_data(paint(tmp_path / "c", ["ant", "cow"])).fingerprint]
    assert len(set(prints)) == len(prints)


def test_a_copied_folder_has_the_same_fingerprint(tmp_path: Path) -> None:
    first, second = (load_data(paint(tmp_path / name)) for name in ("here", "there"))
    assert first.fingerprint == second.fingerprint
    assert (first.name, second.name) == ("here", "there")


def test_the_test_split_depends_on_the_seed_alone() -> None:
    base = rows(load_test("digits"))
    assert rows(load_test("digits", validation_fraction=0.5, subset=50)) == base
    assert rows(load_test("digits", split_seed=1)) != base


def test_moments_are_those_of_the_training_split_only() -> None:
    data = load_data("digits")

    def moments(images: Tensor) -> tuple[float, float]:
        values = images.double() / 255
        return values.mean().item(), values.std(correction=0).item()

    assert (data.mean[0], data.std[0]) == pytest.approx(moments(data.train.images), abs=1e-12)
    both = torch.cat([data.train.images, data.validation.images])
    assert (data.mean[0], data.std[0]) != pytest.approx(moments(both), abs=1e-12)


def test_moments_of_each_channel(tmp_path: Path) -> None:
    data = load_data(paint(tmp_path))
    for c in range(3):
        values = data.train.images[:, c].double() / 255
        assert data.mean[c] == pytest.approx(values.mean().item())
        assert data.std[c] == pytest.approx(values.std(correction=0).item())


def test_a_channel_that_never_varies_has_deviation_one(tmp_path: Path) -> None:
    folder = paint(tmp_path, mode="L")
    for file in folder.rglob("*.png"):
        Image.new("L", (6, 4), 7).save(file)
    assert load_data(folder).std == (1.0,)


def test_a_subset_is_stratified_and_within_the_pool() -> None:
    whole, some = load_data("digits"), load_data("digits", subset=200)
    assert len(some.train.labels) + len(some.validation.labels) == 200
    pool = np.array(counts(whole.train, whole.validation))
    assert np.abs(np.array(counts(some.train, some.validation)) - 200 * pool / 1438).max() < 1
    known = set(rows(whole.train) + rows(whole.validation))
    assert known.issuperset(rows(some.train) + rows(some.validation))


@pytest.mark.parametrize("subset", [20, 21, 1437, 1438])
def test_subsets_of_extreme_sizes(subset: int) -> None:
    data = load_data("digits", subset=subset, validation_fraction=0.5)
    assert sum(counts(data.train, data.validation)) == subset
    assert min(counts(data.train) + counts(data.validation)) >= 1


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"validation_fraction": 0.0}, "validation_fraction must be above 0 .* but is 0.0"),
        ({"validation_fraction": 1.0}, "validation_fraction must be above 0 .* but is 1.0"),
        ({"validation_fraction": float("nan")}, "validation_fraction must .* but is nan"),
        ({"validation_fraction": 0.001}, "validation_fraction 0.001 takes 1 of 1438 images"),
        ({"validation_fraction": 0.999}, "must take 10 to 1428"),
        ({"subset": 19}, "subset 19 takes 19 of 1438 images, but must take 20 to 1438"),
        ({"subset": 1439}, "must take 20 to 1438"),
        ({"subset": -1}, "subset -1 takes"),
        ({"split_seed": -1}, "split_seed must .* but is -1"),
        ({"split_seed": 2**32}, "split_seed must .* but is 4294967296"),
        ({"image_size": 0}, "image_size must be 2 to 4096 pixels a side, but is '0x0'"),
    ],
)
def test_numbers_out_of_range(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        load_data("digits", **given)


def test_a_class_of_one_image_cannot_be_divided() -> None:
    labels = np.array([0] * 10 + [1])
    with pytest.raises(DataError, match="Class 'bee' has 1 of 11 images"):
        divide(np.arange(11), labels, ("ant", "bee"), 2, 0, "the test split")


def test_to_moves_both_splits_and_keeps_the_rest() -> None:
    data = load_data("digits", subset=200)
    moved = data.to("meta")
    assert {moved.train.images.device.type, moved.validation.labels.device.type} == {"meta"}
    assert (moved.mean, moved.fingerprint) == (data.mean, data.fingerprint)


def test_no_test_split_within_reach_of_the_objective() -> None:
    assert not [field.name for field in dataclasses.fields(ImageData) if "test" in field.name]
