"""Stochastic depth: units with a skip leave their path out for some images of a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torchvision.ops import stochastic_depth

from optuna_de.cnn.modules.custom_layers import Add


@contextmanager
def stochastic_paths(model: nn.Module, rate: float) -> Iterator[None]:
    """Leave out paths of a network by stochastic depth in training mode, within a block.

    The l-th of L units with a skip leaves its path out for an image with probability ``rate l /
    L`` (Huang et al. 2016, equation 4), and else divides it by the probability that it stays, so
    that evaluation needs no change. Torch's global generator draws, as it does for dropout.
    """
    joins = [module for module in model.modules() if isinstance(module, Add)] if rate else []
    handles = [
        join.branches[0].register_forward_hook(_Drop(rate * number / len(joins)))
        for number, join in enumerate(joins, 1)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Drop:
    """Hook behind a path."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, path: nn.Module, _: object, output: Tensor) -> Tensor:
        kept: Tensor = stochastic_depth(output, self.rate, "row", training=path.training)
        return kept
