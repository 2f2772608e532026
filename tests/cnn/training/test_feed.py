"""Feed: batches that are gathered equal those of a set kept whole, bit for bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.data import load_data
from optuna_de.cnn.data.augmentation import crop_and_flip, draw_augmentations
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import get_recipe
from optuna_de.cnn.training.feed import make_feed
from optuna_de.cnn.training.trainer import train
from tests.cnn.data.kit import paint

CPU = torch.device("cpu")


@pytest.mark.parametrize(("reflect", "share"), [(False, 0.0), (True, 0.0), (True, 1.0)])
def test_gathered_batches_are_those_of_the_whole_set(
    tmp_path: Path, reflect: bool, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = paint(tmp_path, n=40)
    whole, other = (load_data(folder, memory_share=held) for held in (1.0, share))
    recipe = replace(get_recipe("fast"), crop_padding=1, reflect=reflect)
    n = len(whole.train.labels)
    plan = draw_augmentations(n, (4, 6), torch.Generator().manual_seed(1), padding=1, flip=True)
    feeds = [make_feed(whole.train, recipe, 16, CPU)]
    monkeypatch.setattr("optuna_de.cnn.training.feed._COPIED", 100)  # a set in memory is large
    feeds.append(make_feed(other.train, recipe, 16, CPU))
    assert feeds[0].source is None
    assert feeds[1].source is not None
    batches = [
        [
            (crop_and_flip(feed.images, part), feed.labels[part[:, 0]].clone())
            for part in feed.batches(plan, 16)
        ]
        for feed in feeds
    ]
    assert [len(labels) for _, labels in batches[1]] == [16, 16, 16, 10]
    for one, other in zip(*batches, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_a_training_on_mapped_images_is_the_same_training(tmp_path: Path) -> None:
    folder, errors = paint(tmp_path, n=30), []
    for share in (1.0, 0.0):
        data = load_data(folder, memory_share=share)
        torch.manual_seed(0)
        model = build(parse("C4k3-GAP"), data.image_shape, 2)
        result = train(model, data, get_recipe("fast"), epochs=2, batch_size=7, seed=3)
        errors.append([(e.train_loss, e.validation_loss) for e in result.epochs])
    assert errors[0] == errors[1]
