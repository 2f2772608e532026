"""Launchers of one study that start at the same moment; imported by name in each process."""

from __future__ import annotations

import dataclasses
import time
import warnings
from pathlib import Path
from typing import Any

import optuna
import torch

from optuna_de.cnn.search.search import Search
from tests.faults import storage_worker

FIRST = ("B8k3-MP-GAP", "B9k3-MP-GAP", "B10k3-MP-GAP")


def join(task: tuple[list[str], str, int]) -> list[str]:
    """Join the study of each storage with an own number of epochs; return refusals, or ""."""
    urls, folder, epochs = task
    return _launch(urls, Search(artifacts=Path(folder), epochs=epochs))


def warm(task: tuple[list[str], str, int]) -> list[str]:
    """Join the study of each storage with a warm start; return refusals, or ""."""
    urls, folder, _ = task
    return _launch(urls, Search(artifacts=Path(folder), epochs=1, warm_start=FIRST))


def _launch(urls: list[str], search: Search) -> list[str]:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    optuna.Study.get_trials = _slowly(optuna.Study.get_trials)  # type: ignore[method-assign]
    small = dataclasses.replace(search, subset=150, population=4, device="cpu")
    objective = small.objective()
    return [_join(dataclasses.replace(small, storage=url), objective) for url in urls]


def _slowly(read: Any) -> Any:
    """Return a read after which others have time to write: whoever reads, then writes, loses."""

    def slow(*args: Any, **kwargs: Any) -> Any:
        record = read(*args, **kwargs)
        time.sleep(0.5)
        return record

    return slow


def _join(search: Search, objective: object) -> str:
    _ = search.image_data, search.space  # loaded before the others are waited for
    storage_worker.wait_at_barrier()
    try:
        search.study(objective)  # type: ignore[arg-type]
    except ValueError as error:
        return str(error)
    return ""
