"""Tune the recipe ``fast``: one number after the other, on images that no score is reported on.

Run ``python -m benchmarks.training.tune_fast --data FOLDER``, a folder with ``train/<class>/``
images such as CIFAR-10. The images are drawn from the training folder by a seed of their own.
Three small networks stand for what a search meets: with norms, the seed's alphabet, and that
alphabet deep. Every line of the result is one recipe with its mean validation error over networks
and seeds.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmarks.common.results import header, results_of
from optuna_de.cnn.data.dataset import ImageData, Split
from optuna_de.cnn.recipes import Recipe, get_recipe
from optuna_de.cnn.training.trainer import train

RESULTS = results_of(__file__)

RESULT = RESULTS / "tune_fast.jsonl"
SPLIT_SEED = 20260
START = replace(
    get_recipe("fast version 1"),
    learning_rate=0.08,
    weight_decay=5e-4,
    schedule="triangular",
    warmup=0.3,
    label_smoothing=0.1,
    clip_norm=2.0,
    initialisation="he",
    ema=None,
    cutout=0,
    batch_exponent=0.5,
)
CHANGES: tuple[tuple[dict[str, Any], ...], ...] = (
    tuple({"learning_rate": rate} for rate in (0.04, 0.16)),
    ({"initialisation": "torch"},),
    ({"clip_norm": None}, {"clip_norm": 0.5}),
    ({"warmup": 0.15}, {"schedule": "one-cycle"}),
    ({"label_smoothing": 0.0}, {"label_smoothing": 0.05}),
    ({"weight_decay": 1e-4}, {"weight_decay": 2e-3}),
    ({"ema": 0.98},),
    ({"cutout": 8},),
)
MARGIN = 0.005  # below it a difference is within the spread of six trainings
EXPONENTS = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Sizes:
    """How much to spend: images of each split, epochs, seeds."""

    folder: Path
    train: int = 2000
    validation: int = 1000
    epochs: int = 5
    seeds: int = 2


def conv(a: int, b: int, kernel: int = 3, *, norm: bool = False) -> list[nn.Module]:
    middle: list[nn.Module] = [nn.BatchNorm2d(b)] if norm else []
    return [
        nn.Conv2d(a, b, kernel, padding=kernel // 2, bias=not norm),
        *middle,
        nn.ReLU(inplace=True),
    ]


def head(features: int, classes: int) -> list[nn.Module]:
    """Return the seed's Part 2."""
    a, b = max(10, features // 2), max(10, features // 4)
    return [
        nn.Flatten(),
        nn.Dropout(0.5),
        *(nn.Linear(features, a), nn.ReLU(inplace=True), nn.Dropout(0.5)),
        *(nn.Linear(a, b), nn.ReLU(inplace=True), nn.Linear(b, classes)),
    ]


def normed(classes: int) -> nn.Module:
    layers = [*conv(3, 12, norm=True), nn.MaxPool2d(2), *conv(12, 24, norm=True), nn.MaxPool2d(2)]
    layers += [*conv(24, 48, norm=True), *conv(48, 48, norm=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, classes))


def plain(classes: int) -> nn.Module:
    layers = [*conv(3, 7), *conv(7, 16, 5), nn.MaxPool2d(2), nn.MaxPool2d(2)]
    layers += [*conv(16, 32, 5), *conv(32, 24, 5), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, *head(24 * 16, classes))


def deep(classes: int) -> nn.Module:
    layers = [*conv(3, 8), *conv(8, 8), nn.MaxPool2d(2), *conv(8, 16), *conv(16, 16)]
    layers += [*conv(16, 16), nn.MaxPool2d(2), *conv(16, 32), *conv(32, 32), *conv(32, 32)]
    return nn.Sequential(*layers, nn.MaxPool2d(2), *head(32 * 16, classes))


NETWORKS = {build.__name__: build for build in (normed, plain, deep)}


@cache
def load(sizes: Sizes, skip: int = 0) -> ImageData:
    """Return a stratified subset of the training folder, after ``skip`` images of each class."""
    classes = sorted(p.name for p in (sizes.folder / "train").iterdir() if p.is_dir())
    cut, rest = sizes.train // len(classes), sizes.validation // len(classes)
    drawn = []
    for label, name in enumerate(classes):
        paths = sorted((sizes.folder / "train" / name).iterdir())
        random.Random(SPLIT_SEED).shuffle(paths)
        drawn.append(
            [
                (np.asarray(Image.open(p).convert("RGB")), label)
                for p in paths[skip : skip + cut + rest]
            ]
        )
    return ImageData(
        name="tune_fast",
        classes=tuple(classes),
        train=_split([pair for part in drawn for pair in part[:cut]]),
        validation=_split([pair for part in drawn for pair in part[cut:]]),
        mean=(0.491, 0.482, 0.447),
        std=(0.247, 0.243, 0.262),
        split_seed=SPLIT_SEED,
        fingerprint=f"tune-{SPLIT_SEED}",
    )


def _split(pairs: list[tuple[Any, int]]) -> Split:
    images = torch.from_numpy(np.stack([image for image, _ in pairs])).permute(0, 3, 1, 2)
    return Split(
        images.contiguous(memory_format=torch.channels_last),
        torch.tensor([label for _, label in pairs]),
    )


def error(job: tuple[Recipe, int, str, int, Sizes]) -> float:
    """Return the validation error of one training on one thread."""
    recipe, batch_size, network, seed, sizes = job
    torch.set_num_threads(1)
    data = load(sizes)
    torch.manual_seed(seed)
    return train(
        NETWORKS[network](len(data.classes)),
        data,
        recipe,
        epochs=sizes.epochs,
        batch_size=batch_size,
        seed=seed,
        score_epochs=(),
    ).error


class Trials:
    """Tries recipes in parallel, each once, and writes a line for each."""

    def __init__(self, sizes: Sizes, pool: ProcessPoolExecutor, result: Path) -> None:
        self._sizes, self._pool, self._result = sizes, pool, result
        self._known: dict[tuple[Recipe, int], float] = {}

    def score(self, recipe: Recipe, batch_size: int = 64) -> float:
        """Return the mean error over networks and seeds."""
        key = (recipe, batch_size)
        if key not in self._known:
            cases = list(product(NETWORKS, range(self._sizes.seeds)))
            jobs = [(recipe, batch_size, name, seed, self._sizes) for name, seed in cases]
            errors = dict(zip(cases, self._pool.map(error, jobs), strict=True))
            self._known[key] = statistics.mean(errors.values())
            self._write(recipe, batch_size, errors)
        return self._known[key]

    def _write(self, recipe: Recipe, batch_size: int, cases: dict[tuple[str, int], float]) -> None:
        errors = {
            name: [round(e, 4) for (n, _), e in cases.items() if n == name] for name in NETWORKS
        }
        mean = round(statistics.mean(cases.values()), 4)
        line = {"error": mean, "batch_size": batch_size, "errors": errors, **asdict(recipe)}
        with self._result.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(mean, batch_size, errors, flush=True)


def descend(trials: Trials) -> Recipe:
    """Take, number by number, the best alternative where it wins by more than the margin."""
    best = START
    for changes in CHANGES:
        rival = min((replace(best, **change) for change in changes), key=trials.score)
        if trials.score(rival) < trials.score(best) - MARGIN:
            best = rival
        print("kept", best, flush=True)
    return best


def exponent(trials: Trials, best: Recipe) -> Recipe:
    """Take the rule of batch sizes that does best at four times the batch."""
    tried = [replace(best, batch_exponent=value) for value in EXPONENTS]
    return min(tried, key=lambda recipe: trials.score(recipe, 4 * best.batch_size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", type=int, default=Sizes.train)
    parser.add_argument("--validation", type=int, default=Sizes.validation)
    parser.add_argument("--epochs", type=int, default=Sizes.epochs)
    parser.add_argument("--seeds", type=int, default=Sizes.seeds)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--result", type=Path, default=RESULT)
    args = parser.parse_args()
    sizes = Sizes(args.data, args.train, args.validation, args.epochs, args.seeds)
    about = {**asdict(sizes), "folder": args.data.name, "split_seed": SPLIT_SEED}
    head = header(len(NETWORKS) * args.seeds, **about, torch=torch.__version__)
    args.result.write_text(json.dumps({**head, "command": "tune_fast"}) + "\n")
    with ProcessPoolExecutor(args.workers) as pool:
        trials = Trials(sizes, pool, args.result)
        trials.score(get_recipe("seed-search"))
        print("chosen", exponent(trials, descend(trials)))


if __name__ == "__main__":
    main()
