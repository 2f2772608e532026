"""Caps on networks in real searches, and the networks with which all arms of a seed begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.search_space.distributions import Params

NEVER = 100_000
"""Start-up trials with which a DESampler never breeds: random search under the same caps."""


@dataclass(frozen=True)
class Caps:
    """The most parameters, and the most multiply-accumulates of one image."""

    parameters: int
    macs: int

    def accepts(self, space: CNNSpace, params: Params) -> bool:
        """Tell whether a network is within both."""
        return space.fits(params, max_parameters=self.parameters, max_macs=self.macs)

    def first(self, space: CNNSpace, seed: int, n: int) -> list[dict[str, Any]]:
        """Draw n networks within the caps from the space's initial distribution."""
        rng, drawn = np.random.default_rng(seed), list[dict[str, Any]]()
        while len(drawn) < n:
            params = space.initial(rng)
            drawn += [params] if self.accepts(space, params) else []
        return drawn
