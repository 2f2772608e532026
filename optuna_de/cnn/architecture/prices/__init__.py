"""WHAT DOES A NETWORK COST? One file a price, and limits on them. No torch."""

from optuna_de.cnn.architecture.prices.activation_memory import (
    ACTIVATION_MEMORY,
    ACTIVATION_MEMORY_FLOAT32,
)
from optuna_de.cnn.architecture.prices.latency import LATENCY, LatencyTable, MeasurementError
from optuna_de.cnn.architecture.prices.limit import Limit, parse_limit
from optuna_de.cnn.architecture.prices.macs import MACS
from optuna_de.cnn.architecture.prices.model_size import MODEL_SIZE, MODEL_SIZE_FLOAT32
from optuna_de.cnn.architecture.prices.parameters import PARAMETERS
from optuna_de.cnn.architecture.prices.price import Price
from optuna_de.cnn.architecture.prices.table import PRICES, get_price

__all__ = [
    "ACTIVATION_MEMORY",
    "ACTIVATION_MEMORY_FLOAT32",
    "LATENCY",
    "MACS",
    "MODEL_SIZE",
    "MODEL_SIZE_FLOAT32",
    "PARAMETERS",
    "PRICES",
    "LatencyTable",
    "Limit",
    "MeasurementError",
    "Price",
    "get_price",
    "parse_limit",
]
