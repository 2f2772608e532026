"""Comparison of networks: same data, recipe and budget, several seeds each.

The test split is opened after the last training, and networks are picked by validation error only.
Spearman's rank correlation compares the errors of the search with those after full training.
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

from optuna_de._files import reason, warn_once, write_side_text
from optuna_de._machine import machine, versions
from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.genomes import render
from optuna_de.cnn.architecture.prices import Price
from optuna_de.cnn.data.dataset import ImageData, Split
from optuna_de.cnn.evaluation.candidates import Candidate
from optuna_de.cnn.evaluation.comparison_page import (
    LEAST_PICKS,
    comparison_page,
    confusion_drawings,
)
from optuna_de.cnn.evaluation.final_training import (
    FinalWeights,
    TrainingFailedError,
    run_final_training,
    score_final_training,
)
from optuna_de.cnn.evaluation.results import (
    check_disk,
    claim_result_folder,
    final_result,
    read_result,
    write_result,
    write_weights,
)
from optuna_de.cnn.evaluation.training_job import TrainingJob
from optuna_de.cnn.export.model_folder import DESCRIPTION
from optuna_de.cnn.study.objectives import MEASURES, objective_of
from optuna_de.cnn.training.epochs import Epoch

FORMAT = "optuna_de comparison 1"
Progress = Callable[[str], AbstractContextManager[Callable[[Epoch], None]]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Comparison: networks with the same data, recipe and seeds.

    Args:
        networks: Networks with different names.
        seeds: Different seeds, at least one; each network is trained from each.
        training: Describes the training of a network from a seed; all share data and recipe.

    Raises:
        ValueError: If names, networks or seeds repeat, or there are none.
    """

    networks: tuple[Candidate, ...]
    seeds: tuple[int, ...]
    training: Callable[[Candidate, int], TrainingJob]

    def __post_init__(self) -> None:
        for name, values in (
            ("networks", [render(n.genome) for n in self.networks]),
            ("seeds", list(self.seeds)),
        ):
            twice = next((v for i, v in enumerate(values) if v in values[:i]), None)
            if not values or twice is not None:
                fault = "there is none" if twice is None else f"{twice} is there twice"
                raise ValueError(f"A comparison needs {name} that differ, but {fault}.")

    def jobs(self) -> Iterator[tuple[Candidate, int, TrainingJob]]:
        """Yield every training, all networks of the first seed first."""
        for seed in self.seeds:
            for network in self.networks:
                yield network, seed, self.training(network, seed)

    def setup(self) -> dict[str, Any]:
        """Return all that a resumed comparison must share."""
        _, _, first = next(self.jobs())
        own = ("architecture", "origin", "objectives", "seed")
        shared = {k: v for k, v in first.setup().items() if k not in own}
        networks = {n.name: render(n.genome) for n in self.networks}
        return {**shared, "networks": networks, "seeds": list(self.seeds)}


def run_comparison(
    comparison: Comparison, load_test: Callable[[], Split], folder: Path, progress: Progress
) -> dict[str, Any]:
    """Run a comparison: train all networks, then open the test split and score them.

    Args:
        comparison: The networks.
        load_test: Opens the test split; called once, after the last training, and not at all
            if all networks are scored already.
        folder: Gets ``runs/``, one folder a training, ``compare.json`` and ``compare.md``.
        progress: From the name of a training to a context that is called with every epoch.

    Returns:
        The content of ``compare.json``.

    Raises:
        ValueError: If the folder holds another comparison or cannot hold this one.
    """
    setup = comparison.setup()
    claim_result_folder(folder, setup, "comparison")
    _check_disk(comparison, folder)
    trained, failed = _train_all(comparison, folder, progress)
    results = _score_all(comparison, load_test, folder, trained, failed)
    rows = [_row(network, comparison, results) for network in comparison.networks]
    machines = sorted({result["machine"] for result in results.values() if "machine" in result})
    content = {
        "format": FORMAT,
        "setup": setup,
        "rows": rows,
        "rank correlation": rank_correlation(rows),
        "machine": "; ".join(machines) or machine(),
        "versions": versions(),
    }
    write_side_text(folder / "compare.json", json.dumps(content, indent=1) + "\n")
    for name, drawing in confusion_drawings(content).items():
        write_side_text(folder / name, drawing)
    write_side_text(folder / "compare.md", comparison_page(content))
    return content


def _run_folder(folder: Path, comparison: Comparison, network: Candidate, seed: int) -> Path:
    """Return the folder of a run; the position stands for the name, which may be any text."""
    return folder / "runs" / f"{comparison.networks.index(network) + 1:02d}-seed{seed}"


def _check_disk(comparison: Comparison, folder: Path) -> None:
    jobs = [
        job
        for network, seed, job in comparison.jobs()
        if read_result(_run_folder(folder, comparison, network, seed)) is None
    ]
    check_disk(folder, jobs)


def _train_all(
    comparison: Comparison, folder: Path, progress: Progress
) -> tuple[dict[Path, FinalWeights], dict[Path, str]]:
    """Return weights that stand in no whole checkpoint, and why trainings failed."""
    kept, failed = {}, {}
    total = len(comparison.networks) * len(comparison.seeds)
    for number, (network, seed, job) in enumerate(comparison.jobs(), 1):
        run = _run_folder(folder, comparison, network, seed)
        claim_result_folder(run, job.setup())
        if read_result(run) is not None:
            continue
        with progress(f"{number} of {total}, {network.name}, seed {seed}:") as on_epoch:
            try:
                weights = run_final_training(job, run, on_epoch)
            except TrainingFailedError as error:
                failed[run] = str(error)
                continue
        if not _written(job, weights, run, folder):
            kept[run] = weights
    return kept, failed


def _written(job: TrainingJob, weights: FinalWeights, run: Path, folder: Path) -> bool:
    """Write the weights; return whether they can be read again from the checkpoint."""
    try:
        write_weights(job, weights, run, folder)
    except OSError as error:
        warn_once(f"The weights of {run} cannot be written yet: {reason(error)}.")
    return weights.result.saved


def _score_all(
    comparison: Comparison,
    load_test: Callable[[], Split],
    folder: Path,
    kept: dict[Path, FinalWeights],
    failed: dict[Path, str],
) -> dict[tuple[str, int], dict[str, Any]]:
    """Score the trained networks, whose weights are read from their checkpoints."""
    test, results = None, {}
    for network, seed, job in comparison.jobs():
        run = _run_folder(folder, comparison, network, seed)
        if run in failed:
            results[network.name, seed] = {"failed": failed[run]}
            continue
        result = read_result(run)
        if result is None:
            weights = kept.get(run) or run_final_training(job, run)
            test = load_test() if test is None else test
            result = final_result(job, weights, score_final_training(job, weights, test))
            _write_again(job, weights, result, run, folder)
        results[network.name, seed] = result
    return results


def _write_again(
    job: TrainingJob, weights: FinalWeights, result: dict[str, Any], run: Path, folder: Path
) -> None:
    """Write the result, and before it weights that could not be written earlier."""
    try:
        if not (run / DESCRIPTION).is_file():
            write_weights(job, weights, run, folder)
        write_result(result, run)
    except OSError as error:
        warn_once(f"The result of {run} cannot be written: {reason(error)}.")


def _row(
    network: Candidate, comparison: Comparison, results: dict[tuple[str, int], dict[str, Any]]
) -> dict[str, Any]:
    own = [results[network.name, seed] for seed in comparison.seeds]
    done = [result for result in own if "failed" not in result]
    accuracies = [result["figures"]["last"]["test accuracy"] for result in done]
    data = comparison.training(network, comparison.seeds[0]).data
    shape, classes = data.image_shape, len(data.classes)
    errors = [result["figures"]["last"][f"test {data.metric}"] for result in done]
    return {
        "network": network.name,
        "architecture": render(network.genome),
        "parameters": count_parameters(network.genome, shape, classes),
        "macs": count_macs(network.genome, shape, classes),
        "search error": network.error,
        "objectives": _objectives(network, comparison, data),
        "test accuracies": accuracies,
        "test errors": errors,
        "mean": fmean(accuracies) if accuracies else None,
        "standard deviation": stdev(accuracies) if len(accuracies) > 1 else None,
        "seconds": fmean(result["training seconds"] for result in done) if done else None,
        "failed": [result["failed"] for result in own if "failed" in result],
        "confusion": _summed([r["figures"]["last"].get("confusion") for r in done]),
    }


def _objectives(
    network: Candidate, comparison: Comparison, data: ImageData
) -> dict[str, float | None]:
    """Return the prices that the study of the picks minimised, of any network where known."""
    names = [name for other in comparison.networks for name in other.objectives]
    measured: dict[str, float | None] = {}
    for name in dict.fromkeys(names):
        price = objective_of(name)
        if isinstance(price, Price) and price.known and name not in network.objectives:
            value = price.value(network.genome, data.image_shape, len(data.classes))
            measured[name] = value
        elif name not in MEASURES:
            measured[name] = network.objectives.get(name)
    return measured


def _summed(matrices: Sequence[list[list[int]] | None]) -> list[list[int]]:
    """Return the sum of confusion matrices; empty if one is too large to be kept."""
    kept = [matrix for matrix in matrices if matrix]
    total: list[list[int]] = np.sum(kept, axis=0).tolist() if len(kept) == len(matrices) else []
    return total if kept else []


def rank_correlation(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return Spearman's correlation of search error and mean test error over the picks.

    Both are by the metric of the study.

    ``spearman`` is None with fewer than three picks, or if all values of one side are equal.
    """
    from scipy.stats import spearmanr  # slow to import

    pairs = [
        (row["search error"], fmean(row["test errors"]))
        for row in rows
        if row["search error"] is not None and row["test errors"]
    ]
    value = float("nan")
    if len(pairs) >= LEAST_PICKS:
        with catch_warnings():
            simplefilter("ignore")  # a constant side gives NaN
            value = float(spearmanr(*zip(*pairs, strict=True)).statistic)
    return {"spearman": None if np.isnan(value) else value, "picks": len(pairs)}
