"""Caps on networks in real searches, and the networks with which all arms of a seed begin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from optuna_de.cnn.architecture.prices import MACS, PARAMETERS, Limit
from optuna_de.cnn.architecture.space import CNNSpace

NEVER = 100_000
"""Start-up trials with which a DESampler never breeds: random search under the same caps."""


@dataclass(frozen=True)
class Caps:
    """The most parameters, and the most multiply-accumulates of one image."""

    parameters: int
    macs: int

    def limit(self, space: CNNSpace) -> CNNSpace:
        """Return the space with both as its limits."""
        return replace(space, limits=(Limit(PARAMETERS, self.parameters), Limit(MACS, self.macs)))

    def first(self, space: CNNSpace, seed: int, n: int) -> list[dict[str, Any]]:
        """Draw n networks within the caps from the space's initial distribution."""
        space, rng = self.limit(space), np.random.default_rng(seed)
        drawn = list[dict[str, Any]]()
        while len(drawn) < n:
            params = space.initial(rng)
            drawn += [params] if space.accept(params) else []
        return drawn
