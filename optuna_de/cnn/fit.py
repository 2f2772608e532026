"""Building a network on a device, its memory checked before."""

from __future__ import annotations

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
from optuna_de.cnn.space import CNNSpace
from optuna_de.cnn.units import Genome


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
