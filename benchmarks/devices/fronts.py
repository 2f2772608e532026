"""Fronts of a search on error and latency beside one on error and parameters, at equal cost.

Run ``python -m benchmarks.devices.fronts --data digits``, then ``python -m benchmarks.devices``,
which draws both fronts in both planes. The searches share seed, data, epochs and number of
networks. Latencies are those of the table in ``latency-table.jsonl``. Arms that are done are kept.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from optuna.trial import TrialState

from benchmarks.common.results import Row, header, markdown, read, results_of
from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.architecture.prices.latency import LatencyTable
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.study.trials import network_of
from optuna_de.evolution.pareto import dominators
from optuna_de.worker.optimize import optimize

RESULTS = results_of(__file__)
ARMS = {"error, latency": ("error", "latency"), "error, parameters": ("error", "parameters")}
PLANES = ("latency", "parameters")


def known_table(path: Path) -> LatencyTable:
    """Write the latency table of this machine to a file and return it."""
    head, _ = read(RESULTS / "latency-table.jsonl")
    rows = tuple((text, (c, h, w), ms) for text, (c, h, w), ms in head["table"]["rows"])
    table = LatencyTable(head["table"]["source"], rows)
    table.save(path)
    return table


def rows(args: argparse.Namespace, done: set[str]) -> Iterator[Row]:
    """Yield every finished network of each arm that is not done."""
    for arm, objectives in ARMS.items():
        if arm in done:
            continue
        with tempfile.TemporaryDirectory() as place:
            table = known_table(Path(place, "table.json"))
            search = Search(
                data=args.data,
                storage=f"sqlite:///{place}/study.db",
                trials=args.networks,
                epochs=args.epochs,
                seed=args.seed,
                device="cpu",
                objectives=objectives,
                latency_table=Path(place, "table.json") if "latency" in objectives else None,
                artifacts=Path(place, "files"),
            )
            objective, began = search.objective(), time.process_time()
            study = search.study(objective)
            optimize(study, objective, total=search.total)
            spent = round(time.process_time() - began, 1)
        shape, classes = search.space.image_shape, search.space.classes
        for trial in study.get_trials(states=(TrialState.COMPLETE,)):
            network = network_of(trial)
            yield {
                "arm": arm,
                "network": trial.user_attrs["architecture"],
                "error": trial.values[0],
                "parameters": count_parameters(network, shape, classes),
                "latency": round(table.predict(network, shape, classes), 5),
                "core seconds of the arm": spent,
            }


def front(networks: Sequence[Row], plane: str) -> list[Row]:
    """Return the networks that none dominates in a plane, by that price."""
    points = np.array([[row["error"], row[plane]] for row in networks])
    best = [row for row, n in zip(networks, dominators(points), strict=True) if n == 0]
    return sorted(best, key=lambda row: (row[plane], row["error"]))


def area(networks: Sequence[Row], plane: str, most: float) -> float:
    """Return the share of the box below error 1 and a largest price that a front dominates."""
    total, error = 0.0, 1.0
    for row in front(networks, plane):
        if row["error"] < error and row[plane] < most:
            total += (error - row["error"]) * (most - row[plane]) / most
            error = row["error"]
    return total


def table(head: Row, networks: Sequence[Row]) -> str:
    """Return networks, cost and dominated area of each arm in both planes."""
    lines = []
    for arm in ARMS:
        own = [row for row in networks if row["arm"] == arm]
        if not own:
            continue
        areas = [area(own, plane, max(row[plane] for row in networks)) for plane in PLANES]
        sizes = [len(front(own, plane)) for plane in PLANES]
        spent = own[0]["core seconds of the arm"]
        lines.append([arm, len(own), spent, *sizes, *(f"{a:.4f}" for a in areas)])
    draw(networks, RESULTS.parent / "fronts.png")
    columns = ["objectives", "networks", "core seconds"]
    columns += [f"front by {plane}" for plane in PLANES]
    columns += [f"area by {plane}" for plane in PLANES]
    return markdown(columns, lines) + "\n\n![Both fronts in both planes](fronts.png)"


def draw(networks: Sequence[Row], path: Path) -> None:
    """Draw the fronts of both arms in both planes."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for axis, plane in zip(axes, PLANES, strict=True):
        for arm in ARMS:
            own = [row for row in networks if row["arm"] == arm]
            best = front(own, plane) if own else []
            x, y = ([row[name] for row in best] for name in (plane, "error"))
            axis.step(x, y, where="post", marker="o", label=arm)
        axis.set(xscale="log", xlabel="latency in ms" if plane == "latency" else plane)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("validation error")
    axes[1].legend(title="searched on")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    path = RESULTS / "fronts.jsonl"
    if not path.exists():
        path.write_text(json.dumps(header(args.networks, data=args.data, seed=args.seed)) + "\n")
    done = {row["arm"] for row in read(path)[1]}
    for row in list(rows(args, done)):
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
