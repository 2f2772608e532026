"""Latency table against measured latencies of networks that it has not seen.

Run ``python -m benchmarks.devices.latency_table``. The table is measured as a search measures it,
on networks of one layer and on whole ones. Then 100 networks of a held-out draw are measured by
the same protocol. All files are written by torch's older exporter, in a twentieth of the time; of
the first ``--both`` networks those of the package are measured, too. Rows are kept, so it goes on
after a stop.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks.common.results import Row, header, markdown, read, results_of
from benchmarks.devices.network_runs import (
    EVERY_UNIT,
    export_quickly,
    export_untrained,
    random_networks,
)
from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.genomes import Genome, parse, render
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.prices.latency import LatencyTable
from optuna_de.cnn.architecture.units import Unit
from optuna_de.cnn.export import latency
from optuna_de.cnn.export.latency import LatencyMeter, time_onnx_file

RESULTS = results_of(__file__)
SHAPE: ImageShape = (3, 32, 32)


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return rank correlations with the measured latency, and the errors of the prediction."""
    known = LatencyTable(
        "", tuple((text, (c, h, w), ms) for text, (c, h, w), ms in head["table"]["rows"])
    )
    networks = [parse(row["network"]) for row in rows]
    real = np.array([row["ms"] for row in rows])
    predicted = np.array([known.predict(network, SHAPE, 10) for network in networks])
    others = {
        "latency table": predicted,
        "MACs": np.array([count_macs(network) for network in networks]),
        "parameters": np.array([count_parameters(network) for network in networks]),
    }
    errors = np.abs(predicted / real - 1)
    lines = [
        [name, len(rows), f"{spearmanr(values, real).statistic:.3f}"]
        for name, values in others.items()
    ]
    low, middle, high = np.quantile(errors, [0.25, 0.5, 0.75])
    single = LatencyTable("", tuple(row for row in known.rows if row[0].count("-") == 1))
    predicted = np.array([single.predict(network, SHAPE, 10) for network in networks])
    lines.insert(
        1, ["table without whole networks", len(rows), f"{spearmanr(predicted, real)[0]:.3f}"]
    )
    both = [row for row in rows if "package ms" in row]
    apart = np.abs([row["package ms"] / row["ms"] - 1 for row in both] or [0.0])
    whole = sum(row["undisturbed"] >= 10 for row in rows)
    return "\n\n".join(
        [
            markdown(["price", "networks", "rank correlation with measured latency"], lines),
            f"Relative error of the table: median {middle:.0%}, quartiles {low:.0%} and "
            f"{high:.0%}. Latencies are {real.min():.2f} to {real.max():.2f} ms. The table has "
            f"{len(known.rows)} measurements, {len(single.rows)} of one layer, taken in "
            f"{head['table seconds']:.0f} s. {whole} of the {len(rows)} networks had 10 runs or "
            "more that no other work disturbed; the thread's own time counts of the others.",
            f"Files of the package's own exporter: {len(both)} networks, latencies apart by "
            f"{np.median(apart):.1%} in the median, {apart.max():.0%} at most.",
        ]
    )


def _quickly(genome: Sequence[Unit], image_shape: ImageShape, classes: int, path: Path) -> None:
    export_quickly(tuple(genome), image_shape, path)


def measured_row(number: int, genome: Genome, *, both: bool) -> Row:
    """Return the latency of a network, of both exporters' files or of the quick one's alone."""
    with tempfile.TemporaryDirectory() as folder:
        timing = time_onnx_file(export_quickly(genome, SHAPE, Path(folder, "a.onnx")), SHAPE)
        times = {
            "number": number,
            "network": render(genome),
            "ms": round(timing.milliseconds, 5),
            "interference": round(timing.interference, 3),
            "undisturbed": timing.undisturbed,
            "runs": timing.runs,
        }
        if both:
            slow = time_onnx_file(export_untrained(genome, SHAPE, Path(folder, "b.onnx")), SHAPE)
            times["package ms"] = round(slow.milliseconds, 5)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--both", type=int, default=12)
    parser.add_argument("--runs", type=int, default=latency.RUNS, help="least runs of a network")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    path, meter = RESULTS / "latency-table.jsonl", LatencyMeter()
    if not path.exists():
        start = time.perf_counter()
        latency.export_untrained = _quickly
        measured = meter.table(EVERY_UNIT, SHAPE[1])
        head = header(args.networks, seed=args.seed, table=json.loads(measured.text))
        head["table seconds"] = round(time.perf_counter() - start, 1)
        path.write_text(json.dumps(head) + "\n")
    latency.RUNS, latency.WARM_UP = args.runs, min(latency.WARM_UP, args.runs)
    latency.ATTEMPTS = 3 if args.runs >= 30 else 1
    done = {row["number"] for row in read(path)[1]}
    for number, genome in enumerate(random_networks(args.seed, args.networks)):
        if number not in done:
            times = measured_row(number, genome, both=number < args.both)
            with path.open("a") as file:
                file.write(json.dumps(times) + "\n")


if __name__ == "__main__":
    main()
