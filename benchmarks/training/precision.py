"""bfloat16 against float32 on this CPU: steps per second by image size, and the error of both.

Run ``python -m benchmarks.training.precision --folder FOLDER``, a folder with ``train/<class>/``
images such as CIFAR-10's. Networks are drawn as a search draws them, of at most ten million MACs;
the two sides of a network take turns, on one thread, at batch 64. Errors are of equal trainings of
recipe ``fast`` on images that did not serve to tune it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.results import Row, cell, header, markdown, results_of, versions, write
from benchmarks.training.accuracy import NORMED, TUNED
from benchmarks.training.tune_fast import Sizes, load
from optuna_de._allocator import keep_memory
from optuna_de.cnn import get_recipe
from optuna_de.cnn.architecture.cost import count_macs
from optuna_de.cnn.architecture.genomes import Genome, parse, render
from optuna_de.cnn.architecture.initial import sample_modern
from optuna_de.cnn.architecture.space import MODERN_UNITS
from optuna_de.cnn.data.augmentation import AUGMENTATION_COLUMNS
from optuna_de.cnn.data.dataset import ImageData, Split
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import Precision
from optuna_de.cnn.training.state import make_train_state
from optuna_de.cnn.training.step import captured_step
from optuna_de.cnn.training.trainer import train

RESULTS = results_of(__file__)

FAST = get_recipe("fast")
SHAPES = ((1, 8, 8), (3, 12, 12), (3, 16, 16), (3, 24, 24), (3, 32, 32))
LARGEST = 10**7
BATCH = 64
TRAINED = (NORMED, "B24k3-B48k3-MP-R48k3-MP-B96k3-GAP", "C16k3-C32k3-MP-C64k3-MP-C64k3-MP")


def networks(shape: tuple[int, int, int], n: int) -> Iterator[Genome]:
    """Yield ``n`` networks of at most :data:`LARGEST` MACs from the first population's source."""
    rng = np.random.default_rng(0)
    while n:
        genome = sample_modern(rng, shape, MODERN_UNITS)
        if count_macs(genome, shape, 10) <= LARGEST:
            n -= 1
            yield genome


def noise(shape: tuple[int, int, int]) -> ImageData:
    """Return a set of one batch of random images: speed does not depend on what they show."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (BATCH, *shape), generator=generator, dtype=torch.uint8)
    split = Split(images.contiguous(memory_format=torch.channels_last), torch.arange(BATCH) % 10)
    names, half = tuple("0123456789"), (0.5,) * shape[0]
    return ImageData("noise", names, split, split, half, half, 0, "noise")


def stepper(genome: Genome, shape: tuple[int, int, int], half: bool) -> partial[None]:
    """Return a function that takes one step of training."""
    model = build(genome, shape, 10)
    recipe = replace(FAST, crop_padding=min(shape[1:]) // 8)
    run = replace(
        make_train_state(model, noise(shape), recipe, torch.device("cpu"), 0), bfloat16=half
    )
    plan = torch.zeros(BATCH, len(AUGMENTATION_COLUMNS), dtype=torch.int64)
    plan[:, 0] = torch.arange(BATCH)
    return partial(captured_step(run, BATCH, BATCH), plan)


def ratio(genome: Genome, shape: tuple[int, int, int], repeats: int) -> float:
    """Return the seconds of float32 over those of bfloat16, medians of steps taken in turn."""
    sides = [stepper(genome, shape, half) for half in (False, True)]
    seconds: list[list[float]] = [[], []]
    for number in range(repeats + 2):
        for side, taken in zip(sides, seconds, strict=True):
            began = time.perf_counter()
            side()
            if number > 1:
                taken.append(time.perf_counter() - began)
    return statistics.median(seconds[0]) / statistics.median(seconds[1])


def error(job: tuple[str, Precision, int, Sizes]) -> float:
    """Return the validation error of one training on one thread."""
    text, precision, seed, sizes = job
    keep_memory()
    torch.set_num_threads(1)
    data = load(sizes, TUNED)
    torch.manual_seed(seed)
    return train(
        build(parse(text), data.image_shape, len(data.classes)),
        data,
        replace(FAST, precision=precision),
        epochs=sizes.epochs,
        seed=seed,
        score_epochs=(),
    ).error


def rows(sizes: Sizes, n: int, repeats: int, workers: int) -> Iterator[Row]:
    """Yield a row for each ratio and for each training."""
    for shape in SHAPES:
        for genome in networks(shape, n):
            value = ratio(genome, shape, repeats)
            yield {"side": shape[1], "network": render(genome), "ratio": round(value, 3)}
    precisions: tuple[Precision, ...] = ("auto", "float32")
    jobs = [(t, p, s, sizes) for t in TRAINED for s in range(sizes.seeds) for p in precisions]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for (text, precision, seed, _), value in zip(jobs, pool.map(error, jobs), strict=True):
            yield {"network": text, "precision": precision, "seed": seed, "error": value}


def tables(measured: list[Row]) -> str:
    """Return the tables of ratios and of errors."""
    sides = sorted({row["side"] for row in measured if "side" in row})
    ratios = {side: [r["ratio"] for r in measured if r.get("side") == side] for side in sides}
    speed = markdown(
        ["image side", "float32 / bfloat16, seconds of a step", "least", "most", "networks"],
        [[s, cell(v, 2), f"{min(v):.2f}", f"{max(v):.2f}", len(v)] for s, v in ratios.items()],
    )
    lines = []
    for text in TRAINED:
        half, full = (
            np.array([r["error"] for r in measured if keyed(r) == (text, precision)])
            for precision in ("auto", "float32")
        )
        if len(half):
            lines.append([f"`{text}`", cell(half), cell(full), cell(half - full), len(half)])
    columns = ["network", "error in bfloat16", "in float32", "paired difference", "seeds"]
    return f"{speed}\n\n{markdown(columns, lines)}"


def keyed(row: Row) -> tuple[str, str | None]:
    return row["network"], row.get("precision")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--train", type=int, default=4000)
    parser.add_argument("--validation", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    keep_memory()
    torch.set_num_threads(1)
    sizes = Sizes(args.folder, args.train, args.validation, args.epochs, args.seeds)
    about = {"train": args.train, "validation": args.validation, "epochs": args.epochs}
    measured = list(rows(sizes, args.networks, args.repeats, args.workers))
    head = header(args.seeds, **about, versions={**versions(), "torch": torch.__version__})
    print(tables(measured))
    if args.save:
        print(write(RESULTS / "precision.jsonl", head, measured))


if __name__ == "__main__":
    main()
