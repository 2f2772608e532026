"""Fidelities: what a rung trains on, what it leaves, and the second scoring at the last rung."""

from dataclasses import replace

import optuna
import pytest
import torch

from optuna_de.cnn import CNNSpace, get_recipe, parse
from optuna_de.cnn.search.fidelity import Fidelity, reduced, unseen
from optuna_de.cnn.search.objective import CNNObjective
from tests.cnn.kit import digits

DATA = digits(200, 100)


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.contiguous().numpy().tobytes() for image in images}


@pytest.mark.parametrize(("taken", "most", "left"), [(150, 1_000, 50), (100, 25, 25)])
def test_unseen_images_are_none_of_the_rung(taken: int, most: int, left: int) -> None:
    others = unseen(DATA, taken, most)
    assert others is not None
    assert len(others.images) == len(others.labels) == left
    assert not rows(others.images) & rows(reduced(DATA, taken).train.images)


def test_nothing_is_unseen_by_a_rung_of_all_images() -> None:
    assert unseen(DATA, 200, 10) is None
    assert unseen(digits(8, 10), 4, 10) is None  # a rung has an image of each class at least


def test_the_last_rung_is_scored_on_unseen_images_too() -> None:
    torch.set_num_threads(1)
    space = CNNSpace((1, 8, 8))
    recipe = replace(get_recipe("fast"), crop_padding=1, flip=False, batch_size=50)
    study = optuna.create_study(directions=["minimize"] * 2)
    study.enqueue_trial(space.encode(parse("B8k3-MP-GAP")))
    ladder = (Fidelity(50, 1), Fidelity(150, 2))
    study.optimize(CNNObjective(DATA, space, recipe, epochs=2, ladder=ladder), 1)
    (trial,) = study.trials
    again = trial.user_attrs["rescored"]
    assert again["images"] == 150
    others = (again["error"] * 150 - trial.values[0] * 100) / 50
    assert 0 <= others <= 1
    assert others * 50 == pytest.approx(round(others * 50), abs=1e-3)
