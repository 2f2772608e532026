"""Training rates that one process measures, for the throughput and the card benchmark.

Images per second of one training of either side, of the data path alone, the peak of the device,
and what the package adds to a trial beyond its training.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import optuna
import torch

from benchmarks.common.vanilla import Vanilla, loader, network
from optuna_de import DESampler, open_storage
from optuna_de._allocator import keep_memory
from optuna_de.cnn import CNNSpace
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.architecture.prices import PARAMETERS, Limit
from optuna_de.cnn.architecture.zoo import MODEL_2
from optuna_de.cnn.data import augmentation as augment
from optuna_de.cnn.data.dataset import ImageData, Split
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import get_recipe
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.cnn.training.epochs import EpochLoop
from optuna_de.cnn.training.state import make_train_state

NETWORKS = {
    "narrow": "C16k3-C32k3-MP-C64k3-MP-C64k3-MP",
    "middle": "C32k3-C64k3-MP-C128k3-C128k3-MP-C128k3-MP",
    "model 2": MODEL_2,
}
BATCHES = (64, 256)
RECIPE = get_recipe("seed-search")
_PEAK_SIDE = 2048
_LOADER_SECONDS = 1.0


@dataclass(frozen=True)
class Job:
    """One training whose images per second are measured.

    Args:
        side: "ours" or "vanilla".
        name: Of the network.
        text: The network.
        batch_size: Images of a step.
        threads: Of torch.
        images: Of an epoch, at most all.
        loaders: Worker processes of the vanilla DataLoader.
        device: Where to train.
        pad: Whether ours pads channels.
    """

    side: str
    name: str
    text: str
    batch_size: int
    threads: int
    images: int
    loaders: int = 0
    device: str = "cpu"
    pad: bool = False


class _Process:
    """What a process of a side holds."""

    data: ImageData


def enter(data: ImageData, keep: bool) -> None:
    """Begin a process of a side, with or without the package's settings of the allocator."""
    if keep:
        keep_memory()
    _Process.data = data


def part(data: ImageData, images: int) -> ImageData:
    """Return the set with at most so many training images, evenly spread over the classes."""
    there = len(data.train.labels)
    chosen = torch.linspace(0, there - 1, min(images, there)).long()
    taken = data.train.images[chosen].contiguous(memory_format=torch.channels_last)
    return replace(data, train=Split(taken, data.train.labels[chosen]))


@cache
def prepare(job: Job) -> Callable[[], float]:
    """Return a function that trains one epoch and returns its seconds."""
    device = torch.device(job.device)
    data = part(_Process.data, job.images)
    torch.manual_seed(0)
    if job.side == "vanilla":
        model = network(job.text, data).to(device)
        pin = device.type == "cuda"
        batches = loader(data, job.batch_size, workers=job.loaders, pin=pin)
        optimiser = torch.optim.SGD(model.parameters(), lr=RECIPE.learning_rate)
        return Vanilla(model, batches, optimiser, device).epoch
    model = build(parse(job.text), data.image_shape, len(data.classes))
    run = make_train_state(model, data, RECIPE, device, 0, pad=job.pad)
    size = job.batch_size
    loop = EpochLoop(run, data, epochs=10**6, batch_size=size, micro=size, seed=0)

    def epoch() -> float:
        loop.epoch(lambda epoch: False)
        return loop.history[-1].seconds

    return epoch


def rate(job: Job) -> tuple[float, float]:
    """Return images per second and per CPU second of one epoch.

    The first epoch of a job is preceded by one that is not counted. CPU seconds are those of this
    process, its DataLoader's processes left out; on a busy machine they tell more.
    """
    torch.set_num_threads(job.threads)
    known = prepare.cache_info().misses
    epoch = prepare(job)
    if prepare.cache_info().misses > known:
        epoch()
    images, began = min(job.images, len(_Process.data.train.labels)), time.process_time()
    seconds = epoch()
    return images / seconds, images / (time.process_time() - began)


def peak(threads: int, device: str = "cpu", dtype: torch.dtype = torch.float32) -> float:
    """Return the operations per second of large matrix products, the best of five.

    On a CPU they are counted per second of the processor and times the threads, so that other
    processes do not slow them.
    """
    clock = time.perf_counter if device != "cpu" else lambda: time.process_time() / threads
    torch.set_num_threads(threads)
    side = _PEAK_SIDE if device == "cpu" else 8192
    left, right = torch.randn(2, side, side, device=device, dtype=dtype).unbind()
    seconds = []
    for _ in range(6):
        began = clock()
        torch.mm(left, right)
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(clock() - began)
    return 2 * side**3 / min(seconds[1:])


def loader_rates(batch_size: int) -> tuple[float, float]:
    """Return images per CPU second of the data path alone: ours and the DataLoader's."""
    torch.set_num_threads(1)
    data = _Process.data
    ours, theirs = partial(_ours, data, batch_size), partial(iter, loader(data, batch_size))
    return _per_cpu_second(ours), _per_cpu_second(theirs)


def _ours(data: ImageData, batch_size: int) -> Iterator[Any]:
    padding, images = data.image_shape[1] // 8, data.train.images
    side = (images.shape[2], images.shape[3])
    normalise = augment.normaliser(data.mean, data.std, side, torch.device("cpu"))
    padded, generator = augment.pad(images, padding), torch.Generator().manual_seed(0)
    plan = augment.draw_augmentations(len(images), side, generator, padding=padding, flip=True)
    for rows in torch.split(plan, batch_size):
        yield (
            normalise(augment.crop_and_flip(padded, rows)),
            data.train.labels.index_select(0, rows[:, 0]),
        )


def _per_cpu_second(passes: Callable[[], Iterator[Any]]) -> float:
    """Go through whole passes for about a second, after one that is not counted."""
    images, began = 0, 0.0
    for number in range(10**6):
        if number == 1:
            images, began = 0, time.process_time()
        images += sum(len(labels) for _, labels in passes())
        if number and time.process_time() - began > _LOADER_SECONDS:
            break
    return images / (time.process_time() - began)


def package_seconds(trials: int, images: int, first: int = 20) -> float:
    """Return the median seconds of a trial outside its training: sampler, storage, objective.

    Args:
        trials: How many are counted, on SQLite.
        images: Training images of the set that the epoch is compared with. Making ready for so
            many is measured apart, as the trials train on few.
        first: Trials before them, by default the first population.
    """
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    data = part(_Process.data, 128)
    few = Split(data.validation.images[:64], data.validation.labels[:64])
    shape, classes = data.image_shape, len(data.classes)
    objective = CNNObjective(
        replace(data, validation=few),
        CNNSpace(shape, classes, limits=(Limit(PARAMETERS, 20_000),)),
        get_recipe("fast"),
        epochs=1,
    )
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        study = optuna.create_study(
            storage=open_storage(f"sqlite:///{folder}/study.db"),
            sampler=DESampler(seed=0, initial=objective.space.initial),
            directions=["minimize"] * 2,
        )
        study.optimize(
            objective, first + trials, callbacks=[lambda *_: ends.append(time.perf_counter())]
        )
        trained = [float(trial.user_attrs.get("seconds", 0)) for trial in study.trials]
    beyond = [
        later - earlier - seconds
        for earlier, later, seconds in zip(
            ends[first - 1 :], ends[first:], trained[first:], strict=False
        )
    ]
    return statistics.median(beyond) + _making_ready(data, images)


def _making_ready(data: ImageData, images: int) -> float:
    """Return the seconds that a training of many images takes before its first step."""
    random = torch.randint(256, (images, *data.image_shape), dtype=torch.uint8)
    many = random.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(images, dtype=torch.int64)
    seconds: list[float] = []
    for _ in range(3):
        model = build(parse(NETWORKS["narrow"]), data.image_shape, len(data.classes))
        began = time.perf_counter()
        make_train_state(
            model, replace(data, train=Split(many, labels)), RECIPE, torch.device("cpu"), 0
        )
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
