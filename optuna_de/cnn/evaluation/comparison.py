"""Networks side by side: same data, recipe and budget, several seeds each.

All are trained before the test split is opened, and picks come from a search's validation errors,
so that no choice can have seen it. What a search measured cheaply is held against what full
training came to: Spearman's rank correlation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from scipy.stats import spearmanr

from optuna_de._files import write_text
from optuna_de._machine import machine, versions
from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.genomes import render
from optuna_de.cnn.data.dataset import Split
from optuna_de.cnn.evaluation.candidates import Candidate
from optuna_de.cnn.evaluation.comparison_page import LEAST_PICKS, comparison_page
from optuna_de.cnn.evaluation.final_training import TrainingFailedError, fit, score
from optuna_de.cnn.evaluation.job import TrainingJob
from optuna_de.cnn.evaluation.results import claim_result_folder, read_result, write_all
from optuna_de.cnn.training.epochs import Epoch

FORMAT = "optuna_de comparison 1"
Watch = Callable[[str], AbstractContextManager[Callable[[Epoch], None]]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is compared.

    Args:
        networks: With names that differ.
        seeds: Seeds of the trainings of each, one or more, that differ.
        training: Describes the training of a network from a seed; all share data and recipe.

    Raises:
        ValueError: Where names, networks or seeds repeat, or there are none.
    """

    networks: tuple[Candidate, ...]
    seeds: tuple[int, ...]
    training: Callable[[Candidate, int], TrainingJob]

    def __post_init__(self) -> None:
        for what, values in (
            ("networks", [render(n.genome) for n in self.networks]),
            ("seeds", list(self.seeds)),
        ):
            twice = next((v for i, v in enumerate(values) if v in values[:i]), None)
            if not values or twice is not None:
                told = "there is none" if twice is None else f"{twice} is there twice"
                raise ValueError(f"A comparison needs {what} that differ, but {told}.")

    def jobs(self) -> Iterator[tuple[Candidate, int, TrainingJob]]:
        """Yield every training, all networks of the first seed first."""
        for seed in self.seeds:
            for network in self.networks:
                yield network, seed, self.training(network, seed)

    def setup(self) -> dict[str, Any]:
        """Return what a resumption has to share."""
        _, _, first = next(self.jobs())
        own = ("architecture", "origin", "seed")
        shared = {k: v for k, v in first.setup().items() if k not in own}
        networks = {n.name: render(n.genome) for n in self.networks}
        return {**shared, "networks": networks, "seeds": list(self.seeds)}


def compare(
    comparison: Comparison, load_test: Callable[[], Split], folder: Path, watch: Watch
) -> dict[str, Any]:
    """Train what is not trained yet, then open the test split and score all.

    Args:
        comparison: What to compare.
        load_test: Opens the test split; called once, after the last training, and not at all
            where all is scored already.
        folder: Gets ``runs/``, one folder a training, ``compare.json`` and ``compare.md``.
        watch: Given what is trained, a context that is called with every epoch.

    Returns:
        What ``compare.json`` holds.

    Raises:
        ValueError: Where the folder holds another comparison.
    """
    setup = comparison.setup()
    claim_result_folder(folder, setup, "comparison")
    failed = _train_all(comparison, folder, watch)
    runs = _score_all(comparison, load_test, folder, failed)
    rows = [_row(network, comparison, runs) for network in comparison.networks]
    machines = sorted({run["machine"] for run in runs.values() if "machine" in run})
    result = {
        "format": FORMAT,
        "setup": setup,
        "rows": rows,
        "rank correlation": rank_correlation(rows),
        "machine": "; ".join(machines) or machine(),
        "versions": versions(),
    }
    write_text(folder / "compare.json", json.dumps(result, indent=1) + "\n")
    write_text(folder / "compare.md", comparison_page(result))
    return result


def _place(folder: Path, comparison: Comparison, network: Candidate, seed: int) -> Path:
    """Return the folder of a run; the position stands for the name, which may be any text."""
    return folder / "runs" / f"{comparison.networks.index(network) + 1:02d}-seed{seed}"


def _train_all(comparison: Comparison, folder: Path, watch: Watch) -> dict[Path, str]:
    failed = {}
    total = len(comparison.networks) * len(comparison.seeds)
    for number, (network, seed, job) in enumerate(comparison.jobs(), 1):
        place = _place(folder, comparison, network, seed)
        claim_result_folder(place, job.setup())
        if read_result(place) is not None:
            continue
        with watch(f"{number} of {total}, {network.name}, seed {seed}:") as look:
            try:
                fit(job, place, look)
            except TrainingFailedError as error:
                failed[place] = str(error)
    return failed


def _score_all(
    comparison: Comparison, load_test: Callable[[], Split], folder: Path, failed: dict[Path, str]
) -> dict[tuple[str, int], dict[str, Any]]:
    """Score the trained networks, whose fits are read from their checkpoints."""
    test, runs = None, {}
    for network, seed, job in comparison.jobs():
        place = _place(folder, comparison, network, seed)
        if place in failed:
            runs[network.name, seed] = {"failed": failed[place]}
            continue
        result = read_result(place)
        if result is None:
            test = load_test() if test is None else test
            fitted = fit(job, place)
            result = write_all(job, fitted, score(job, fitted, test), place)
        runs[network.name, seed] = result
    return runs


def _row(
    network: Candidate, comparison: Comparison, runs: dict[tuple[str, int], dict[str, Any]]
) -> dict[str, Any]:
    mine = [runs[network.name, seed] for seed in comparison.seeds]
    done = [run for run in mine if "failed" not in run]
    accuracies = [run["figures"]["last"]["test accuracy"] for run in done]
    data = comparison.training(network, comparison.seeds[0]).data
    shape, classes = data.image_shape, len(data.classes)
    return {
        "network": network.name,
        "architecture": render(network.genome),
        "parameters": count_parameters(network.genome, shape, classes),
        "macs": count_macs(network.genome, shape, classes),
        "search error": network.error,
        "test accuracies": accuracies,
        "mean": fmean(accuracies) if accuracies else None,
        "standard deviation": stdev(accuracies) if len(accuracies) > 1 else None,
        "seconds": fmean(run["training seconds"] for run in done) if done else None,
        "failed": [run["failed"] for run in mine if "failed" in run],
    }


def rank_correlation(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return Spearman's correlation of search error and mean test error over the picks.

    ``spearman`` is None with fewer than three picks, or where one side is all the same.
    """
    pairs = [
        (row["search error"], 1 - row["mean"])
        for row in rows
        if row["search error"] is not None and row["mean"] is not None
    ]
    value = float("nan")
    if len(pairs) >= LEAST_PICKS:
        with catch_warnings():
            simplefilter("ignore")  # a constant side gives NaN
            value = float(spearmanr(*zip(*pairs, strict=True)).statistic)
    return {"spearman": None if np.isnan(value) else value, "picks": len(pairs)}
