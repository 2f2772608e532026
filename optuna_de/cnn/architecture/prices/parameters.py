"""Price: trainable parameters of a network."""

from __future__ import annotations

from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.architecture.prices.price import Price

PARAMETERS = Price("parameters", "", count_parameters)
"""Trainable parameters; see :func:`optuna_de.cnn.architecture.cost.count_parameters`."""
