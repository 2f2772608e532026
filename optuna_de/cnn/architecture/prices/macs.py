"""Price: multiply-accumulates (MACs) of a network for one image."""

from __future__ import annotations

from optuna_de.cnn.architecture.cost import count_macs
from optuna_de.cnn.architecture.prices.price import Price

MACS = Price("macs", "", count_macs)
"""Multiply-accumulates; see :func:`optuna_de.cnn.architecture.cost.count_macs`."""
