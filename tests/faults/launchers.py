"""Launchers of one study that start at the same moment; imported by name in each process."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from optuna_de.cnn.search.search import Search
from tests.faults import storage_worker

FIRST = ("B8k3-GAP", "B9k3-GAP", "B10k3-GAP")


def _search(url: str, folder: Path, **changes: object) -> Search:
    small = {"subset": 150, "population": 4, "device": "cpu", "trials": 4, "epochs": 1}
    return Search(**{"storage": url, "artifacts": folder, **small, **changes})  # type: ignore[arg-type]


def join(task: tuple[str, str, int]) -> str:
    """Open the study as a launcher with its own number of epochs; return the refusal, or ""."""
    url, folder, epochs = task
    return _launch(_search(url, Path(folder), epochs=epochs))


def warm(task: tuple[str, str, int]) -> str:
    """Open the study as a launcher with a warm start; return the refusal, or ""."""
    url, folder, _ = task
    return _launch(_search(url, Path(folder), warm_start=FIRST))


def _launch(search: Search) -> str:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    objective = search.objective()
    storage_worker.wait_at_barrier()
    try:
        search.study(objective)
    except ValueError as error:
        return str(error)
    return ""
