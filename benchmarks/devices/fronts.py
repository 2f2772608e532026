"""Fronts of a search on error and latency beside one on error and parameters, at equal cost.

Run ``python -m benchmarks.devices.fronts --data CIFAR --subset 4000``, then ``python -m
benchmarks.devices``, which draws both fronts in both planes. The searches of a seed share data,
epochs and seconds of processor time. Latencies are those of the table in ``latency-table.jsonl``.
Arms that are done are kept.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from optuna import Study
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


def rows(args: argparse.Namespace, done: set[tuple[int, str]]) -> Iterator[Row]:
    """Yield every finished network of each seed and arm that is not done."""
    for seed, arm in product(range(args.seed, args.seed + args.seeds), ARMS):
        if (seed, arm) not in done:
            yield from arm_rows(args, seed, arm)


def arm_rows(args: argparse.Namespace, seed: int, arm: str) -> Iterator[Row]:
    """Search for some seconds of processor time; yield every finished network."""
    objectives = ARMS[arm]
    with tempfile.TemporaryDirectory() as place:
        table = known_table(Path(place, "table.json"))
        search = Search(
            data=args.data,
            subset=args.subset,
            storage=f"sqlite:///{place}/study.db",
            epochs=args.epochs,
            seed=seed,
            device="cpu",
            objectives=objectives,
            latency_table=Path(place, "table.json") if "latency" in objectives else None,
            artifacts=Path(place, "files"),
        )
        objective = search.objective()
        study, began = search.study(objective), time.process_time()

        def stop(study: Study, _: object) -> None:
            if time.process_time() - began > args.seconds:
                study.stop()

        optimize(study, objective, callback=stop)
        spent = round(time.process_time() - began, 1)
        trials = study.get_trials(states=(TrialState.COMPLETE,))
    shape, classes = search.space.image_shape, search.space.classes
    for trial in trials:
        network = network_of(trial)
        yield {
            "seed": seed,
            "arm": arm,
            "network": trial.user_attrs["architecture"],
            "error": round(trial.values[0], 6),
            "parameters": count_parameters(network, shape, classes),
            "latency": round(table.predict(network, shape, classes), 5),
            "core seconds": spent,
        }


def of_arm(networks: Sequence[Row], seed: int, arm: str) -> list[Row]:
    """Return the networks of one search."""
    return [row for row in networks if (row["seed"], row["arm"]) == (seed, arm)]


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
    """Return networks, cost and dominated area of each seed and arm in both planes."""
    lines = []
    for seed, arm in sorted({(row["seed"], row["arm"]) for row in networks}):
        own = of_arm(networks, seed, arm)
        areas = [area(own, plane, max(row[plane] for row in networks)) for plane in PLANES]
        sizes = [len(front(own, plane)) for plane in PLANES]
        spent = f"{own[0]['core seconds']:.0f}"
        lines.append([seed, arm, len(own), spent, *sizes, *(f"{a:.4f}" for a in areas)])
    draw(networks, RESULTS.parent / "fronts.png")
    columns = ["seed", "objectives", "networks", "core seconds"]
    columns += [f"front by {plane}" for plane in PLANES]
    columns += [f"area by {plane}" for plane in PLANES]
    return markdown(columns, lines) + "\n\n![Both fronts in both planes](fronts.png)"


def draw(networks: Sequence[Row], path: Path) -> None:
    """Draw the fronts of both arms in both planes."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for axis, plane in zip(axes, PLANES, strict=True):
        for colour, arm in enumerate(ARMS):
            for number, seed in enumerate(sorted({row["seed"] for row in networks})):
                own = of_arm(networks, seed, arm)
                best = front(own, plane) if own else []
                x, y = ([row[name] for row in best] for name in (plane, "error"))
                style = {"label": "" if number else arm, "color": f"C{colour}"}
                axis.step(x, y, where="post", marker="os^v"[number % 4], **style)
        axis.set(xscale="log", xlabel="latency in ms" if plane == "latency" else plane)
        axis.xaxis.set_minor_formatter(NullFormatter())  # they would overlap
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("validation error")
    axes[1].legend(title="searched on")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--subset", type=int, help="images for training and validation")
    parser.add_argument("--seconds", type=float, default=200.0, help="of processor time of an arm")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    path = RESULTS / "fronts.jsonl"
    if not path.exists():
        about = {"data": Path(args.data).name, "subset": args.subset, "epochs": args.epochs}
        path.write_text(json.dumps(header(args.seeds, **about)) + "\n")
    done = {(row["seed"], row["arm"]) for row in read(path)[1]}
    for row in rows(args, done):
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
