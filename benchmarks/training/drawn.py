"""The step of networks that a search draws: images per second beside a plain loop.

Run ``python -m benchmarks.training.drawn --folder FOLDER --save``, a folder with
``train/<class>/`` images such as CIFAR-10's. Eight networks of the default space, drawn by a seed,
train one after the other on one thread: by the package, by the package with gradients that have
gaps behind parallel paths (as torch makes them), and by a plain float32 loop
(:mod:`benchmarks.common.vanilla`). Images are counted per second of the processor.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.results import Row, header, markdown, results_of, versions, write
from benchmarks.training.training_rates import Job, enter, peak, rate
from benchmarks.training.tune_fast import Sizes, load
from optuna_de.cnn import CNNSpace, render
from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.genomes import Genome
from optuna_de.cnn.architecture.prices import MACS, Limit
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.modules.custom_layers import Join

RESULTS = results_of(__file__)
SEED, MOST_MACS, BATCH, IMAGES = 7, 100_000_000, 64, 512
SIDES = ("ours", "gaps", "vanilla")


def drawn(count: int) -> list[Genome]:
    """Return networks of the initial distribution, at most ``MOST_MACS`` each."""
    space = CNNSpace(priced=(MACS,), limits=(Limit(MACS, MOST_MACS),))
    rng = np.random.default_rng(SEED)
    candidates = (space.initial(rng) for _ in range(10**6))
    accepted = (space.decode(params) for params in candidates if space.accept(params))
    return [next(accepted) for _ in range(count)]


def enter_with_gaps(data: ImageData) -> None:
    """Begin a process of ours whose joined paths get slices of a gradient."""
    enter(data, keep=True)
    Join.concatenated = lambda self, parts: torch.cat(parts, dim=1)  # type: ignore[method-assign]


def lanes(data: ImageData) -> dict[str, Executor]:
    """Return a process for each side."""
    context = get_context("spawn")
    return {
        "ours": ProcessPoolExecutor(1, context, enter, (data, True)),
        "gaps": ProcessPoolExecutor(1, context, enter_with_gaps, (data,)),
        "vanilla": ProcessPoolExecutor(1, context, enter, (data, False)),
    }


def measure(data: ImageData, count: int, repeats: int) -> Iterator[Row]:
    """Yield images per processor second by network, side and repeat."""
    sides = lanes(data)
    for genome in drawn(count):
        text = render(genome)
        about = {"network": text, "macs": count_macs(genome, (3, 32, 32), 10)}
        about["parameters"] = count_parameters(genome, (3, 32, 32), 10)
        for repeat in range(repeats):
            for side, lane in sides.items():
                package = "vanilla" if side == "vanilla" else "ours"
                job = Job(package, text, text, BATCH, 1, IMAGES)
                _, cpu = lane.submit(rate, job).result()
                row = {**about, "side": side, "repeat": repeat, "rate": round(cpu, 1)}
                print(text, side, row["rate"], flush=True)
                yield row
    best = sides["ours"].submit(peak, 1, "cpu", torch.bfloat16).result()
    yield {"network": "peak", "side": "bfloat16", "rate": best}
    for lane in sides.values():
        lane.shutdown()


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return the medians, their ratios, and the geometric mean of the ratios."""
    peak_rate = next(row["rate"] for row in rows if row["network"] == "peak")
    lines, ratios = [], []
    for network in dict.fromkeys(row["network"] for row in rows if row["network"] != "peak"):
        mine = [row for row in rows if row["network"] == network]
        ours, gaps, vanilla = (
            statistics.median(row["rate"] for row in mine if row["side"] == side) for side in SIDES
        )
        ratios.append((ours / vanilla, ours / gaps))
        share = 6 * mine[0]["macs"] * ours / peak_rate
        size = [f"{mine[0]['parameters']:,}", f"{mine[0]['macs'] / 1e6:.0f}"]
        rates = [f"{ours:,.0f}", f"{gaps:,.0f}", f"{vanilla:,.0f}"]
        lines.append([f"`{network}`", *size, *rates, f"{ours / vanilla:.2f}", f"{share:.0%}"])
    names = ("network", "parameters", "MACs, millions", "ours", "with gaps", "plain loop")
    to_vanilla, to_gaps = (
        math.exp(statistics.mean(map(math.log, column))) for column in zip(*ratios, strict=True)
    )
    return (
        f"{markdown((*names, 'ours / plain', 'share of peak'), lines)}\n\n"
        f"Geometric means: {to_vanilla:.2f} times the plain loop, {to_gaps:.2f} times the package "
        f"with gaps. Peak of bfloat16 products: {peak_rate / 1e9:.0f} GFLOP/s; a training step "
        "counts six operations a MAC."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    data = load(Sizes(args.folder, train=IMAGES + 8, validation=100))
    rows = list(measure(data, args.networks, args.repeats))
    known = {**versions(), "torch": torch.__version__}
    head = header(args.repeats, versions=known, load=os.getloadavg())
    print(table(head, rows))
    if args.save:
        print(write(RESULTS / "drawn.jsonl", head, rows))


if __name__ == "__main__":
    main()
