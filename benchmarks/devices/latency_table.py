"""Latency table against measured latencies of networks that it has not seen.

Run ``python -m benchmarks.devices.latency_table``. The table is measured as a search measures it,
on networks of one layer. Then 100 networks of a held-out draw are measured by the same protocol.
Rows are kept, so it goes on after a stop.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from benchmarks.common.results import Row, header, markdown, read, results_of
from benchmarks.devices.network_runs import EVERY_UNIT, random_networks
from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.genomes import parse, render
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.prices.latency import LatencyTable
from optuna_de.cnn.export.latency import LatencyMeter

RESULTS = results_of(__file__)
SHAPE: ImageShape = (3, 32, 32)


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return rank correlations with the measured latency, and the errors of the prediction."""
    known = LatencyTable(
        "", tuple((text, (c, h, w), ms) for text, (c, h, w), ms in head["table"]["rows"])
    )
    networks = [parse(row["network"]) for row in rows]
    real = np.array([row["ms"] for row in rows])
    found = np.array([known.predict(network, SHAPE, 10) for network in networks])
    others = {
        "latency table": found,
        "MACs": np.array([count_macs(network) for network in networks]),
        "parameters": np.array([count_parameters(network) for network in networks]),
    }
    errors = np.abs(found / real - 1)
    lines = [
        [name, len(rows), f"{spearmanr(values, real).statistic:.3f}"]
        for name, values in others.items()
    ]
    low, middle, high = np.quantile(errors, [0.25, 0.5, 0.75])
    return "\n\n".join(
        [
            markdown(["price", "networks", "rank correlation with measured latency"], lines),
            f"Relative error of the table: median {middle:.0%}, quartiles {low:.0%} and "
            f"{high:.0%}. Latencies are {real.min():.2f} to {real.max():.2f} ms. The table has "
            f"{len(known.rows)} measurements, taken in {head['table seconds']:.0f} s.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--seed", type=int, default=3)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    path, meter = RESULTS / "latency-table.jsonl", LatencyMeter()
    if not path.exists():
        start = time.perf_counter()
        measured = meter.table(EVERY_UNIT, SHAPE[1])
        head = header(args.networks, seed=args.seed, table=json.loads(measured.text))
        head["table seconds"] = round(time.perf_counter() - start, 1)
        path.write_text(json.dumps(head) + "\n")
    done = {row["number"] for row in read(path)[1]}
    for number, genome in enumerate(random_networks(args.seed, args.networks)):
        if number not in done:
            found = {"number": number, "network": render(genome)}
            found["ms"] = round(meter.measure(genome, SHAPE, 10), 5)
            with path.open("a") as file:
                file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
