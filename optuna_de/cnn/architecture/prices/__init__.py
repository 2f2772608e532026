"""WHAT DOES A NETWORK COST? One file a price, and limits on them. No torch."""

from optuna_de.cnn.architecture.prices.limit import Limit, parse_limit
from optuna_de.cnn.architecture.prices.macs import MACS
from optuna_de.cnn.architecture.prices.parameters import PARAMETERS
from optuna_de.cnn.architecture.prices.price import Price
from optuna_de.cnn.architecture.prices.table import PRICES, get_price

__all__ = [
    "MACS",
    "PARAMETERS",
    "PRICES",
    "Limit",
    "Price",
    "get_price",
    "parse_limit",
]
