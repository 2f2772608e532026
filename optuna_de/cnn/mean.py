"""The running mean of the weights, and what a caller sees of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from optuna_de.cnn.padding import copy_back
from optuna_de.cnn.run import Run, floats


def update_mean(run: Run, steps: int) -> None:
    """Move the running mean after the ``steps``-th step, faster in the beginning."""
    if run.recipe.ema is None:
        return
    decay = min(run.recipe.ema, (1 + steps) / (10 + steps))
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    average(run.mean, [t.detach() for t in floats(run.model)], steps)


@contextmanager
def averaged(run: Run) -> Iterator[None]:
    """Put the running mean, where there is one, into the model for a while."""
    if not run.mean:
        yield
        return
    raw = [t.detach().clone() for t in floats(run.model)]
    _assign(run.model, run.mean)
    try:
        yield
    finally:
        _assign(run.model, raw)


@contextmanager
def published(run: Run) -> Iterator[None]:
    """Let the caller's network have, for a while at least, the weights that are scored."""
    with averaged(run):
        if run.given is not run.model:
            copy_back(run.model, run.given)
        yield


def publish(run: Run) -> None:
    """Put the weights that are scored into the caller's network for good."""
    if run.mean:
        _assign(run.model, run.mean)
    if run.given is not run.model:
        copy_back(run.model, run.given)


def _assign(model: nn.Module, values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for tensor, value in zip(floats(model), values, strict=True):
            tensor.copy_(value)
