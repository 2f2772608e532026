"""Table of prices by name."""

from __future__ import annotations

from optuna_de.cnn.architecture.prices.activation_memory import (
    ACTIVATION_MEMORY,
    ACTIVATION_MEMORY_FLOAT32,
)
from optuna_de.cnn.architecture.prices.latency import LATENCY
from optuna_de.cnn.architecture.prices.macs import MACS
from optuna_de.cnn.architecture.prices.model_size import MODEL_SIZE, MODEL_SIZE_FLOAT32
from optuna_de.cnn.architecture.prices.parameters import PARAMETERS
from optuna_de.cnn.architecture.prices.price import Price

PRICES: dict[str, Price] = {
    price.name: price
    for price in (
        *(PARAMETERS, MACS, LATENCY),
        *(ACTIVATION_MEMORY, ACTIVATION_MEMORY_FLOAT32),
        *(MODEL_SIZE, MODEL_SIZE_FLOAT32),
    )
}
"""Prices of the package, as ``--objectives`` and ``--limit`` name them."""


def get_price(name: str) -> Price:
    """Return a price of the table.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in PRICES:
        raise ValueError(f"There is no price {name!r}; choose from {', '.join(PRICES)}.")
    return PRICES[name]
