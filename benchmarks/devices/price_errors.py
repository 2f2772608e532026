"""Errors of the computed prices: memory and file sizes of 200 random networks, beside real ones.

Run ``python -m benchmarks.devices.price_errors``. Each network, of every kind of unit, is exported
with random weights, run by onnxruntime under its profiler, and quantised. The memory is compared
with the tensors alive in that run. Rows are kept, so it goes on after a stop.
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
    export_untrained,
    peak_alive,
    random_networks,
    steps_of_run,
)
from optuna_de.cnn.architecture.genomes import Genome, render
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.prices.activation_memory import count_activations
from optuna_de.cnn.architecture.prices.model_size import FLOAT32, INT8, count_file_bytes
from optuna_de.cnn.export.quantization import convert_to_int8

RESULTS = results_of(__file__)
SHAPE = (3, 32, 32)
NAMES = ("activations", "float32 bytes", "int8 bytes")


def row(number: int, genome: Genome, shape: ImageShape = SHAPE) -> Row:
    """Return computed and real prices of a network: pairs by name."""
    images = np.random.default_rng(0).integers(0, 256, (8, *shape), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        exported = export_untrained(genome, shape, Path(folder, "float.onnx"))
        convert_to_int8(exported, Path(folder, "int8.onnx"), images)
        sizes = [Path(folder, f"{name}.onnx").stat().st_size for name in ("float", "int8")]
        alive = peak_alive(steps_of_run(exported, shape))
    computed = (
        count_activations(genome, shape, 10),
        *(count_file_bytes(cost, genome, shape, 10) for cost in (FLOAT32, INT8)),
    )
    pairs = dict(zip(NAMES, zip(computed, (alive, *sizes), strict=True), strict=True))
    return {"number": number, "network": render(genome), **pairs}


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return the relative errors of each price."""
    lines = []
    for name in NAMES:
        errors = np.array([row[name][0] / row[name][1] - 1 for row in rows])
        size = np.abs(errors)
        shown = [f"{np.mean(size):.2%}", f"{np.quantile(size, 0.95):.2%}", f"{size.max():.1%}"]
        lines.append([name, len(rows), f"{np.mean(errors == 0):.0%}", *shown])
    return markdown(["price", "networks", "exact", "mean error", "95 %", "largest"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    path = RESULTS / "price-errors.jsonl"
    if not path.exists():
        path.write_text(json.dumps(header(args.networks, seed=args.seed)) + "\n")
    done = {found["number"] for found in read(path)[1]}
    for number, genome in enumerate(random_networks(args.seed, args.networks)):
        if number not in done:
            with path.open("a") as file:
                file.write(json.dumps(row(number, genome)) + "\n")


if __name__ == "__main__":
    main()
