"""Validation error of ``fast`` against loops that users write, and of the seed's Model 2.

Run ``python -m benchmarks.training.accuracy --folder FOLDER``, a folder with ``train/<class>/``
images such as CIFAR-10's. Every arm of a network sees the same images, epochs, batches of 64 and
seeds. ``adam`` and ``sgd`` are :mod:`benchmarks.common.vanilla` with Adam at torch's defaults, and
with SGD of momentum .9, weight decay 5e-4 and a cosine from .05. No image served to tune ``fast``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks.common.results import Row, header, results_of, versions, write
from benchmarks.common.vanilla import Vanilla, loader, network
from benchmarks.training.accuracy_table import MODEL_2_NORMED, table
from benchmarks.training.tune_fast import Sizes, load
from optuna_de._allocator import keep_memory
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.architecture.zoo import MODEL_2
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import RECIPES
from optuna_de.cnn.training.trainer import train

RESULTS = results_of(__file__)

TUNED = (Sizes.train + Sizes.validation) // 10
"""Images of each of ten classes that ``tune_fast`` saw."""
NARROW = "C16k3-C32k3-MP-C64k3-MP-C64k3-MP"
NORMED = NARROW.replace("C", "B") + "-GAP"


@dataclass(frozen=True)
class Case:
    """One training.

    Args:
        network: The text form.
        arm: A recipe's name, "adam" or "sgd".
        epochs: How many.
        seed: Of weights, order and augmentation.
        sizes: Which images.
    """

    network: str
    arm: str
    epochs: int
    seed: int
    sizes: Sizes


def cases(sizes: Sizes) -> Iterator[Case]:
    """Yield the trainings, costly ones first, so that two processes end together."""
    for seed in range(min(2, sizes.seeds)):
        for arm, text in (("seed-search", MODEL_2), ("fast", MODEL_2), ("fast", MODEL_2_NORMED)):
            yield Case(text, arm, max(1, sizes.epochs - 1), seed, sizes)
    for seed in range(sizes.seeds):
        for text in (NARROW, NORMED):
            for arm in ("fast", "adam", "sgd"):
                yield Case(text, arm, sizes.epochs, seed, sizes)


def error(case: Case) -> float:
    """Return the validation error after the last epoch, on one thread."""
    keep_memory()
    torch.set_num_threads(1)
    data = load(case.sizes, TUNED)
    torch.manual_seed(case.seed)
    if case.arm not in RECIPES:
        return _vanilla(case, data)
    model = build(parse(case.network), data.image_shape, len(data.classes))
    recipe = RECIPES[case.arm]
    return train(
        model, data, recipe, epochs=case.epochs, batch_size=64, seed=case.seed, score_epochs=()
    ).error


def _vanilla(case: Case, data: ImageData) -> float:
    model = network(case.network, data)
    optimiser: torch.optim.Optimizer = torch.optim.Adam(model.parameters())
    if case.arm == "sgd":
        optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    training = Vanilla(model, loader(data, 64), optimiser)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, case.epochs)
    for _ in range(case.epochs):
        training.epoch()
        if case.arm == "sgd":
            cosine.step()
    return training.error(loader(data, 256, train=False))


def measure(sizes: Sizes, workers: int) -> list[Row]:
    """Return one row for each training."""
    todo = list(cases(sizes))
    rows: list[Row] = []
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for case, wrong in zip(todo, pool.map(error, todo), strict=True):
            about = {"network": case.network, "arm": case.arm, "epochs": case.epochs}
            rows.append({**about, "seed": case.seed, "error": round(wrong, 4)})
            print(case.network, case.arm, case.seed, wrong, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--validation", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    sizes = Sizes(args.folder, args.train, args.validation, args.epochs, args.seeds)
    known = {**versions(), "torch": torch.__version__}
    about = {"train": args.train, "validation": args.validation, "versions": known}
    rows = measure(sizes, args.workers)
    head = header(args.seeds, **about)
    print(table(head, rows))
    if args.save:
        print(write(RESULTS / "accuracy.jsonl", head, rows))


if __name__ == "__main__":
    main()
