"""Errors of the computed prices: memory of 200 random networks and file sizes, beside real ones.

Run ``python -m benchmarks.devices.price_errors``. Each network, of every kind of unit, is exported
with random weights by torch's older exporter, which is quick, and run by onnxruntime under its
profiler. The memory is compared with the tensors alive in that run. The first ``--sizes`` networks
are also exported as the package does, and quantised; ``--seed 1 --sizes 80 --out
price-errors-files`` did that for another draw. Rows hold what was measured, so the page judges
the prices as they are now. They are kept, so it goes on after a stop.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.results import Row, header, markdown, read, results_of
from benchmarks.devices.network_runs import (
    export_quickly,
    export_untrained,
    peak_alive,
    random_networks,
    steps_of_run,
)
from optuna_de.cnn.architecture.genomes import Genome, parse, render
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.prices.activation_memory import count_activations
from optuna_de.cnn.architecture.prices.model_size import FLOAT32, INT8, count_file_bytes
from optuna_de.cnn.export.quantization import convert_to_int8

RESULTS = results_of(__file__)
SHAPE = (3, 32, 32)
NAMES = ("activations", "float32 bytes", "int8 bytes")


def row(number: int, genome: Genome, shape: ImageShape = SHAPE, *, sizes: bool = True) -> Row:
    """Return the real prices of a network by name, with or without those of files."""
    with tempfile.TemporaryDirectory() as folder:
        quick = export_quickly(genome, shape, Path(folder, "quick.onnx"))
        prices = {NAMES[0]: peak_alive(steps_of_run(quick, shape))}
        if sizes:
            prices |= dict(zip(NAMES[1:], file_sizes(genome, shape, Path(folder)), strict=True))
    return {"number": number, "network": render(genome), **prices}


def file_sizes(genome: Genome, shape: ImageShape, folder: Path) -> list[int]:
    """Return the bytes of the float32 and of the int8 file of a network."""
    images = np.random.default_rng(0).integers(0, 256, (8, *shape), dtype=np.uint8)
    exported = export_untrained(genome, shape, folder / "float.onnx")
    convert_to_int8(exported, folder / "int8.onnx", images)
    return [(folder / f"{name}.onnx").stat().st_size for name in ("float", "int8")]


def computed(genome: Genome, shape: ImageShape = SHAPE) -> dict[str, int]:
    """Return the computed prices of a network by name."""
    sizes = (count_file_bytes(cost, genome, shape, 10) for cost in (FLOAT32, INT8))
    return dict(zip(NAMES, (count_activations(genome, shape, 10), *sizes), strict=True))


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return the relative errors of each price."""
    lines, prices = [], [computed(parse(row["network"])) for row in rows]
    for name in (name for name in NAMES if any(name in row for row in rows)):
        pairs = [(p[name], row[name]) for p, row in zip(prices, rows, strict=True) if name in row]
        errors = np.array([price / real - 1 for price, real in pairs])
        size = np.abs(errors)
        shown = [f"{np.mean(size):.2%}", f"{np.quantile(size, 0.95):.2%}", f"{size.max():.1%}"]
        lines.append([name, len(pairs), f"{np.mean(errors == 0):.0%}", *shown])
    return markdown(["price", "networks", "exact", "mean error", "95 %", "largest"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", default="price-errors")
    parser.add_argument("--sizes", type=int, default=60, help="networks whose files are written")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    path = RESULTS / f"{args.out}.jsonl"
    if not path.exists():
        path.write_text(json.dumps(header(args.networks, seed=args.seed)) + "\n")
    done = {measured["number"] for measured in read(path)[1]}
    for number, genome in enumerate(random_networks(args.seed, args.networks)):
        if number not in done:
            with path.open("a") as file:
                measured = row(number, genome, sizes=number < args.sizes)
                file.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    main()
