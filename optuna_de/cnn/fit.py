"""Whether networks and batches fit into memory, told before they are built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from optuna_de.cnn.memory import (
    TrainingOutOfMemory,
    attempt,
    device_memory,
    estimate_memory,
    fitting_micro_batch,
)
from optuna_de.cnn.model import build
from optuna_de.cnn.recipes import Recipe
from optuna_de.cnn.scoring import uses_bfloat16
from optuna_de.cnn.space import CNNSpace
from optuna_de.cnn.units import Genome

if TYPE_CHECKING:
    from optuna_de.cnn.data import ImageData


def build_fitting(
    genome: Genome, space: CNNSpace, batch_size: int, device: torch.device, seed: int
) -> nn.Module:
    """Build a network in the main memory, after a pass on torch's meta device told its need.

    Args:
        genome: The network.
        space: What it is for: image shape and classes.
        batch_size: Images per step, of which at least half have to fit.
        device: Where it is to be trained.
        seed: Of its weights; torch's global generator is put back.

    Raises:
        TrainingOutOfMemory: Where network or batch do not fit.
    """
    shape, classes = space.image_shape, space.classes
    with torch.device("meta"):
        ghost = build(genome, shape, classes)
    fitting_micro_batch(
        lambda images: estimate_memory(ghost, shape, images), batch_size, device_memory(device)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        built = attempt(lambda: build(genome, shape, classes), device)
    if built is None:
        raise TrainingOutOfMemory("The network's weights do not fit into memory.")
    return built[0]


def micro_batch(
    model: nn.Module, data: ImageData, recipe: Recipe, batch: int, device: torch.device
) -> int:
    """Return how many images of a batch can go through the model at once: all or half.

    Raises:
        TrainingOutOfMemory: Where half does not fit either.
    """
    copies = 2 + (recipe.momentum > 0) + (recipe.ema is not None)
    half = uses_bfloat16(recipe.precision, device, data.image_shape)

    def need(images: int) -> int:
        return estimate_memory(model, data.image_shape, images, copies=copies, bfloat16=half)

    return fitting_micro_batch(need, batch, device_memory(device))
