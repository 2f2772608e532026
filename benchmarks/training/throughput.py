"""Images per second of training, against a plain loop (:mod:`benchmarks.common.vanilla`).

Run ``python -m benchmarks.training.throughput --folder FOLDER``, a folder with ``train/<class>/``
images such as CIFAR-10's. The sides take turns, each in processes of its own that live through the
whole run, so that a ratio compares neighbours in time. ``one``: one process with every core.
``two``: two single-threaded processes at once, each with a candidate, images summed. ``alone``:
one of them. Needs Linux.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.common.results import Row, header, results_of, versions, write
from benchmarks.training.throughput_tables import tables
from benchmarks.training.training_rates import (
    BATCHES,
    NETWORKS,
    Job,
    enter,
    loader_rates,
    package_seconds,
    peak,
    rate,
)
from benchmarks.training.tune_fast import Sizes, load
from optuna_de.cnn.architecture.cost import count_macs
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.data.dataset import ImageData

RESULTS = results_of(__file__)

IMAGES = {"narrow": 2048, "middle": 1024, "model 2": 512}
"""Images of an epoch on the CPU."""
_EPOCH = 45_000  # training images of CIFAR-10 in a search


def process(data: ImageData, keep: bool) -> Executor:
    """Return a process of a side, see :func:`benchmarks.training.training_rates.enter`."""
    return ProcessPoolExecutor(1, get_context("spawn"), enter, (data, keep))


class Lanes:
    """Processes that live through a run: two of ours, two of vanilla's, and one more of ours.

    The first keep their memory as the command line's do, the others have the allocator's defaults.

    Args:
        data: The images, copied into every process.
        lane: Makes a process.
    """

    def __init__(
        self, data: ImageData, lane: Callable[[ImageData, bool], Executor] = process
    ) -> None:
        self.ours = [lane(data, True), lane(data, True)]
        self.vanilla = [lane(data, False), lane(data, False)]
        self.default = lane(data, False)

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *_: object) -> None:
        for lane in (*self.ours, *self.vanilla, self.default):
            lane.shutdown()

    def of(self, side: str) -> list[Executor]:
        """Return the two processes of a side."""
        return self.ours if side == "ours" else self.vanilla


def together(
    lanes: Sequence[Executor], function: Callable[..., Any], *arguments: Any
) -> list[Any]:
    """Call a function in several processes at once."""
    futures = [lane.submit(function, *arguments) for lane in lanes]
    return [future.result() for future in futures]


def jobs(names: Sequence[str], cores: int) -> Iterator[tuple[str, Job]]:
    """Yield what is measured in each repeat, sides next to each other, with its setting."""
    for name, batch in product(names, BATCHES):
        job = Job("ours", name, NETWORKS[name], batch, cores, IMAGES[name])
        plain, single = replace(job, side="vanilla"), replace(job, threads=1)
        yield "default allocator", job
        yield "one", job
        yield "one", plain
        yield "one", replace(plain, loaders=2)
        yield "alone", single
        yield "two", single
        yield "two", replace(plain, threads=1)


def measure(lanes: Lanes, setting: str, job: Job) -> Row:
    """Return one measurement as a row."""
    if setting == "two":
        rates = together(lanes.of(job.side), rate, job)
    elif setting == "default allocator":
        rates = together([lanes.default], rate, job)
    else:
        rates = together(lanes.of(job.side)[:1], rate, job)
    about = {"network": job.name, "batch": job.batch_size, "side": job.side}
    wall, cpu = zip(*rates, strict=True)
    speeds = {"rate": round(sum(wall), 1), "cpu_rate": round(statistics.mean(cpu), 1)}
    return {"what": setting, **about, "loaders": job.loaders, **speeds}


def macs(names: Sequence[str]) -> Iterator[Row]:
    """Yield the multiply-accumulates of one image by network."""
    for name in names:
        count = count_macs(parse(NETWORKS[name]), (3, 32, 32), 10)
        yield {"what": "macs", "network": name, "macs": count}


def rows(lanes: Lanes, repeats: int, names: Sequence[str] = tuple(NETWORKS)) -> Iterator[Row]:
    """Yield the measurements of so many repeats on the CPU."""
    yield from macs(names)
    cores = os.cpu_count() or 1
    for repeat in range(repeats):
        for setting, job in jobs(names, cores):
            row = {**measure(lanes, setting, job), "repeat": repeat, "peak": None}
            if job.side == "ours" and setting in ("one", "two"):
                beside = lanes.ours[: 2 if setting == "two" else 1]
                row["peak"] = sum(together(beside, peak, job.threads))
            print(*row.values(), flush=True)
            yield row
        ours, theirs = lanes.ours[0].submit(loader_rates, BATCHES[0]).result()
        yield {"what": "loader", "repeat": repeat, "ours": ours, "vanilla": theirs}
    beyond = lanes.ours[0].submit(package_seconds, 20, _EPOCH).result()
    yield {"what": "package", "seconds": beyond, "images": _EPOCH}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one repeat of the narrow network")
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    data = load(Sizes(args.folder, train=2050, validation=100))
    repeats = 1 if args.quick else args.repeats
    names = ("narrow",) if args.quick else tuple(NETWORKS)
    with Lanes(data) as lanes:
        measured = list(rows(lanes, repeats, names))
    known = {**versions(), "torch": torch.__version__}
    head = header(repeats, versions=known, load=os.getloadavg())
    print(tables(head, measured))
    if args.save:
        print(write(RESULTS / "throughput.jsonl", head, measured))


if __name__ == "__main__":
    main()
