"""Training on a graphics card: images per second, share of its peak, and the seed's whole search.

Run ``python -m benchmarks.training.gpu --folder FOLDER`` where there is a card; FOLDER holds
``train/<class>/`` images such as CIFAR-10's. Ours computes in bfloat16 by captured graphs; vanilla
is :mod:`benchmarks.common.vanilla` with eight loader processes, in torch's defaults. Peaks are of
``torch.mm`` in bfloat16. ``two``: two processes share the card. ``padding``: a network of odd
numbers of channels, with and without padding to multiples of eight. The search is the preset
``seed``: 100 networks, 10 epochs each.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch

from benchmarks.common.results import Row, header, results_of, versions, write
from benchmarks.training.throughput import Lanes, macs, measure, together
from benchmarks.training.throughput_tables import card_tables
from benchmarks.training.training_rates import BATCHES, NETWORKS, Job, peak, rate
from benchmarks.training.tune_fast import Sizes, load
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.search.worker_pool import work_together

RESULTS = results_of(__file__)

ODD = "B17k3-B35k3-MP-B67k3-MP-B67k3-MP-GAP"


def jobs(device: str, names: Sequence[str], images: int) -> Iterator[tuple[str, Job]]:
    """Yield what is measured in each repeat, sides next to each other, with its setting."""
    loaders = 0 if device == "cpu" else min(8, os.cpu_count() or 1)
    for name, batch in product(names, BATCHES):
        card = device != "cpu"
        job = Job("ours", name, NETWORKS[name], batch, 1, images, device=device, pad=card)
        plain = replace(job, side="vanilla", loaders=loaders)
        yield from (("one", job), ("one", plain), ("two", job), ("two", plain))


def padding(lanes: Lanes, device: str, images: int) -> Iterator[Row]:
    """Yield images per second with and without padded channels, next to each other."""
    for size in BATCHES:
        job = Job("ours", "odd", ODD, size, 1, images, device=device)
        pairs = (together(lanes.ours[:1], rate, replace(job, pad=pad)) for pad in (True, False))
        padded, plain = (rates[0][0] for rates in pairs)
        yield {"what": "padding", "images": size, "padded": padded, "plain": plain}


def rows(
    lanes: Lanes, device: str, repeats: int, names: Sequence[str], images: int
) -> Iterator[Row]:
    """Yield the measurements of so many repeats."""
    yield from macs(names)
    for repeat in range(repeats):
        for setting, job in jobs(device, names, images):
            row = {**measure(lanes, setting, job), "repeat": repeat, "peak": None}
            if job.side == "ours":
                half = torch.bfloat16 if device != "cpu" else torch.float32
                (row["peak"],) = together(lanes.ours[:1], peak, 1, device, half)
            print(*row.values(), flush=True)
            yield row
        yield from padding(lanes, device, images)


def search(described: Search, workers: int) -> Row:
    """Run a search from its beginning and return its seconds, loading included."""
    with tempfile.TemporaryDirectory() as folder:
        own = replace(
            described,
            storage=f"sqlite:///{folder}/study.db",
            checkpoints=Path(folder),
        )
        own.study(own.objective())
        began = time.perf_counter()
        work_together(own, workers, watch=lambda: None)
        seconds = time.perf_counter() - began
    return {"what": "search", "workers": workers, "trials": own.total, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--device", default="cuda", help="cpu only tries the script")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--images", type=int, default=40_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=4, help="of the search, on one card")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--subset", type=int, help="images of the search")
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    if args.device != "cpu" and not torch.cuda.is_available():
        print("There is no CUDA card here, so nothing was measured.")
        return
    names = args.networks.split(",")
    described = Search(
        data=str(args.folder),
        preset="seed",
        trials=args.trials,
        epochs=args.epochs,
        subset=args.subset,
        device=args.device,
    )
    with Lanes(load(Sizes(args.folder, train=args.images, validation=100))) as lanes:
        measured = list(rows(lanes, args.device, args.repeats, names, args.images))
    measured.append(search(described, args.workers))
    card = torch.cuda.get_device_name() if args.device != "cpu" else "No card: the CPU."
    known = {**versions(), "torch": torch.__version__}
    head = header(args.repeats, versions=known, card=card)
    print(card_tables(head, measured))
    if args.save:
        print(write(RESULTS / "gpu.jsonl", head, measured))


if __name__ == "__main__":
    main()
