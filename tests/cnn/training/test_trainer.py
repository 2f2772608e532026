import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from optuna_de.cnn.data.dataset import Split
from optuna_de.cnn.metrics import METRICS
from optuna_de.cnn.recipes import Recipe, get_recipe
from optuna_de.cnn.training import Epoch, evaluate
from optuna_de.cnn.training.epochs import ChanceLevel
from optuna_de.cnn.training.evaluate import confusion_counts
from optuna_de.cnn.training.memory import TrainingOutOfMemory
from optuna_de.cnn.training.trainer import TrainingResult, train
from tests.cnn.kit import digits, equal, network, weights
from tests.drills import POSIX

SEARCH = replace(get_recipe("seed-search"), crop_padding=1, flip=False)
FAST = replace(get_recipe("fast"), crop_padding=1, flip=False)
MEAN = replace(FAST, ema=0.99, cutout=2, mixup=0.4, cutmix=1.0)


def curve(result: TrainingResult) -> list[tuple[float | None, ...]]:
    return [
        (e.number, e.train_loss, e.train_error, e.validation_loss, e.validation_error)
        for e in result.epochs
    ]


def noting(seen: list[int]) -> Callable[[Epoch], bool]:
    def on_epoch(epoch: Epoch) -> bool:
        seen.append(epoch.number)
        return False

    return on_epoch


@pytest.mark.parametrize("recipe", [SEARCH, MEAN])
def test_same_seed_same_curve_whatever_the_global_generator(recipe: Recipe) -> None:
    runs = []
    for state in (1, 2):
        model = network()
        torch.manual_seed(state)
        before = torch.get_rng_state()
        result = train(model, digits(), recipe, epochs=2, seed=3)
        assert torch.equal(before, torch.get_rng_state())
        runs.append((curve(result), weights(model)))
    assert runs[0][0] == runs[1][0]
    assert equal(runs[0][1], runs[1][1])


def test_another_seed_another_curve() -> None:
    first, second = (train(network(), digits(), SEARCH, epochs=1, seed=s) for s in (0, 1))
    assert curve(first) != curve(second)


@pytest.mark.parametrize("norm", [True, False])
def test_fast_learns_and_beats_the_seeds_recipe(norm: bool) -> None:
    data = digits(1200, 500)
    fast = train(network(norm=norm), data, FAST, epochs=6)
    search = train(network(norm=norm), data, SEARCH, epochs=6)
    assert fast.status == search.status == "ok"
    assert fast.error < 0.15
    assert fast.error < search.error


def test_result_is_that_of_the_last_epoch() -> None:
    result = train(network(), digits(), SEARCH, epochs=3)
    assert [e.number for e in result.epochs] == [1, 2, 3]
    assert result.error == result.epochs[-1].validation_error
    assert result.seconds == pytest.approx(sum(e.seconds for e in result.epochs))


def test_only_the_asked_epochs_are_scored() -> None:
    seen: list[int] = []
    result = train(network(), digits(), SEARCH, epochs=5, score_epochs={2}, on_epoch=noting(seen))
    scored = [e.number for e in result.epochs if e.validation_error is not None]
    assert scored == seen == [2, 5]
    assert curve(result)[1] == curve(train(network(), digits(), SEARCH, epochs=5))[1]


def test_scoring_leaves_the_training_alone() -> None:
    often, once = network(), network()
    train(often, digits(), MEAN, epochs=3)
    train(once, digits(), MEAN, epochs=3, score_epochs=())
    assert equal(weights(often), weights(once))


def test_callback_stops() -> None:
    result = train(network(), digits(), SEARCH, epochs=5, on_epoch=lambda e: e.number == 2)
    assert (result.status, len(result.epochs)) == ("stopped", 2)
    assert result.error == result.epochs[-1].validation_error
    last = train(network(), digits(), SEARCH, epochs=2, on_epoch=lambda e: e.number == 2)
    assert last.status == "ok"


class Spoilt(nn.Module):
    """Turns into NaN at a training pass."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.passes = at, 0

    def forward(self, images: Tensor) -> Tensor:
        self.passes += self.training and not images.is_meta
        return images * float("nan") if self.passes == self.at else images


@pytest.mark.parametrize("at", [1, 4, 7, 10])
def test_a_loss_that_is_no_number_is_divergence(at: int) -> None:
    model = nn.Sequential(Spoilt(at), *network())
    result = train(model, digits(), SEARCH, epochs=4)  # 5 steps an epoch
    assert result.status == "diverged"
    assert result.error == 0.9
    assert len(result.epochs) == 1 + (at - 1) // 5
    assert all(math.isfinite(e.train_loss) for e in result.epochs[:-1])


def test_divergence_is_seen_within_the_epoch() -> None:
    model = nn.Sequential(Spoilt(1), *network())
    train(model, digits(300), SEARCH, epochs=1, batch_size=1)
    assert model[0].passes == 64


def test_too_high_a_rate_diverges_to_chance_not_nan() -> None:
    wild = replace(SEARCH, learning_rate=1e8)
    result = train(network(norm=False), digits(), wild, epochs=3)
    assert (result.status, result.error) == ("diverged", 0.9)


def deaf() -> nn.Module:
    """Return a network whose answer never depends on the image."""
    model = network(norm=False)
    model[4] = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.Threshold(1e9, 0.0))
    return model


@pytest.mark.parametrize("metric", ["balanced-error", "macro-f1-error"])
def test_validation_error_is_the_metric_of_the_data(metric: str) -> None:
    data = replace(digits(), metric=metric)
    model = network()
    scored = train(model, data, SEARCH, epochs=1).epochs[0].validation_error
    counts = confusion_counts(10, "cpu")
    error, _ = evaluate(model, data.validation, data.mean, data.std, confusion=counts)
    assert scored == METRICS[metric].of(counts.numpy()) != error
    wild = replace(SEARCH, learning_rate=1e8)
    assert train(network(norm=False), data, wild, epochs=1).error == METRICS[metric].chance(10)


def test_weighed_classes_are_dead_at_the_entropy_of_equal_ones() -> None:
    rare = digits()
    kept = (rare.train.labels != 3) | (torch.arange(len(rare.train.labels)) < 40)
    train_split = Split(rare.train.images[kept], rare.train.labels[kept])
    data = replace(rare, train=train_split, weigh_classes=True)
    level = ChanceLevel.of(data, replace(SEARCH, class_weights="balanced"))
    assert level.loss == pytest.approx(math.log(10))
    assert ChanceLevel.of(data, SEARCH).loss < math.log(10) - 0.01


def test_a_dead_network_stops_after_its_first_epoch_where_asked() -> None:
    data = digits()
    dead = train(deaf(), data, SEARCH, epochs=4, stop_dead=True, score_epochs=())
    assert (dead.status, len(dead.epochs)) == ("dead", 1)
    assert dead.error == dead.epochs[0].validation_error
    assert dead.error > 0.8
    unasked = train(deaf(), data, SEARCH, epochs=4)
    assert (unasked.status, len(unasked.epochs)) == ("ok", 4)


def test_a_live_network_is_not_taken_for_dead() -> None:
    result = train(network(), digits(1200, 500), FAST, epochs=2, stop_dead=True)
    assert (result.status, len(result.epochs)) == ("ok", 2)


def test_out_of_memory_ends_the_training_with_its_own_error() -> None:
    class Exhausted(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            if images.is_meta:
                return images
            raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(TrainingOutOfMemory):
        train(nn.Sequential(Exhausted(), *network()), digits(), SEARCH, epochs=1)
    assert train(network(), digits(), SEARCH, epochs=1).status == "ok"


class Crowded(nn.Module):
    """Scores no more images at once than so many."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def forward(self, images: Tensor) -> Tensor:
        if not self.training and len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return images


def test_scoring_that_runs_out_of_memory_goes_on_with_the_micro_batch() -> None:
    crowded = train(nn.Sequential(Crowded(64), *network()), digits(), SEARCH, epochs=2)
    assert crowded.error == train(network(), digits(), SEARCH, epochs=2).error
    with pytest.raises(TrainingOutOfMemory, match="Scoring"):
        train(nn.Sequential(Crowded(63), *network()), digits(), SEARCH, epochs=1)


def test_a_model_that_cannot_fit_is_refused_before_it_trains() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10**9), nn.Linear(10**9, 10**4))
    with pytest.raises(TrainingOutOfMemory, match=r"needs about \d+ MiB"):
        train(model, digits(), SEARCH, epochs=1)


def test_a_lost_device_is_not_caught() -> None:
    class Lost(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    with pytest.raises(torch.AcceleratorError):
        train(nn.Sequential(Lost(), *network()), digits(), SEARCH, epochs=1)


@pytest.mark.parametrize(("epochs", "batch_size"), [(0, 64), (1, 0), (-1, None)])
def test_bad_numbers_are_refused(epochs: int, batch_size: int | None) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        train(network(), digits(), SEARCH, epochs=epochs, batch_size=batch_size)


class Killed(Exception):  # noqa: N818
    pass


def kill_after(number: int) -> Callable[[Epoch], bool]:
    def on_epoch(epoch: Epoch) -> bool:
        if epoch.number == number:
            raise Killed
        return False

    return on_epoch


@pytest.mark.parametrize("recipe", [SEARCH, MEAN])
def test_a_resumed_training_equals_an_uninterrupted_one(recipe: Recipe, tmp_path: Path) -> None:
    data, whole, broken, resumed = digits(), network(), network(), network(seed=9)
    expected = train(whole, data, recipe, epochs=4)
    path = tmp_path / "trial.ckpt"
    with pytest.raises(Killed):
        train(broken, data, recipe, epochs=4, checkpoint=path, on_epoch=kill_after(2))
    result = train(resumed, data, recipe, epochs=4, checkpoint=path)
    assert equal(weights(whole), weights(resumed))
    assert curve(result) == curve(expected)
    again = train(network(seed=8), data, recipe, epochs=4, checkpoint=path)
    assert again == result


SCRIPT = """
import os, signal, sys
from pathlib import Path
from optuna_de.cnn.training.trainer import train
from tests.cnn.training.test_trainer import MEAN, digits, network
def on_epoch(epoch):
    if epoch.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return False
train(network(), digits(), MEAN, epochs=4, checkpoint=Path(sys.argv[1]), on_epoch=on_epoch)
"""


@POSIX
def test_a_real_kill_loses_no_finished_epoch(tmp_path: Path) -> None:
    path = tmp_path / "trial.ckpt"
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    root = Path(__file__).parents[3]
    killed = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], check=False, env=environment, cwd=root
    )
    assert killed.returncode == -signal.SIGKILL
    seen: list[int] = []
    whole, resumed = network(), network()
    train(whole, digits(), MEAN, epochs=4)
    train(
        resumed,
        digits(),
        MEAN,
        epochs=4,
        checkpoint=path,
        on_epoch=noting(seen),
    )
    assert seen == [2, 3, 4]
    assert equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("change", ["recipe", "seed", "epochs", "batch", "data", "model"])
def test_another_trainings_checkpoint_is_not_used(change: str, tmp_path: Path) -> None:
    path = tmp_path / "trial.ckpt"
    data, recipe, seed, epochs, batch = digits(), SEARCH, 0, 2, 64
    train(network(), data, recipe, epochs=epochs, checkpoint=path)
    model = network(norm=change != "model")
    match change:
        case "recipe":
            recipe = replace(recipe, version=2)
        case "seed":
            seed = 1
        case "epochs":
            epochs = 3
        case "batch":
            batch = 32
        case "data":
            data = replace(data, fingerprint="other")
    seen: list[int] = []
    train(
        model,
        data,
        recipe,
        epochs=epochs,
        batch_size=batch,
        seed=seed,
        checkpoint=path,
        on_epoch=noting(seen),
    )
    assert seen[0] == 1
