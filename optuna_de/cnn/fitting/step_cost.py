"""Cost of a training step on this machine, measured on networks of the space."""

from __future__ import annotations

import time
from itertools import pairwise
from statistics import fmean

import numpy as np
import torch

from optuna_de.cnn.modules.build import build
from optuna_de.cnn.search.fidelity import reduced
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.cnn.training.trainer import train

_NETWORKS, _STEPS = 6, 3


def measure_pass(objective: CNNObjective, seed: int = 0) -> float:
    """Return the seconds that one training image costs, in the mean over networks of the space.

    It trains a few networks of the initial distribution, spread over the region, for some steps;
    the fastest of each counts, as other work on the machine only slows a step. On a card the
    figure is of one training alone.
    """
    rng = np.random.default_rng(seed)
    return fmean(_seconds(objective, rng) for _ in range(_NETWORKS))


def _seconds(objective: CNNObjective, rng: np.random.Generator) -> float:
    space, recipe = objective.space, objective.recipe
    images = len(objective.data.train.labels)
    batch = min(objective.batch_size or recipe.batch_size, images)
    data = reduced(objective.data, batch * min(_STEPS, images // batch))  # whole batches alone
    marks: list[float] = []
    model = build(space.decode(space.initial(rng)), space.image_shape, space.classes)

    def mark() -> None:
        if torch.device(objective.device).type == "cuda":
            torch.cuda.synchronize(objective.device)
        marks.append(time.perf_counter())

    train(
        model,
        data,
        recipe,
        epochs=2,
        batch_size=batch,
        device=objective.device,
        score_epochs=(),
        on_step=mark,
    )
    steps = [after - before for before, after in pairwise(marks)]
    return min(steps) / batch
