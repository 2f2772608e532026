"""Convolutional networks as sequences of units: text, counts, spaces, zoo and recipes.

What needs torch is imported by its path: :mod:`optuna_de.cnn.model`, ``data``, ``training`` and
``objective``.
"""

from optuna_de.cnn.layers import count_macs, count_parameters, trace
from optuna_de.cnn.recipes import RECIPES, Recipe, get_recipe
from optuna_de.cnn.space import CNNSpace
from optuna_de.cnn.units import parse, render, repair
from optuna_de.cnn.zoo import ZOO, known

__all__ = [
    "RECIPES",
    "ZOO",
    "CNNSpace",
    "Recipe",
    "count_macs",
    "count_parameters",
    "get_recipe",
    "known",
    "parse",
    "render",
    "repair",
    "trace",
]
