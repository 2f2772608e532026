"""Convolutional networks as sequences of units: text, counts, spaces, zoo and recipes.

Torch is a property of a folder: ``data``, ``modules``, ``training``, ``search``, ``evaluation``
and ``export`` need it; nothing else does.
"""

from importlib import import_module
from typing import Any

from optuna_de.cnn.architecture.cost import count_macs, count_parameters, trace
from optuna_de.cnn.architecture.genomes import parse, render, repair
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.architecture.zoo import ZOO, get_architecture
from optuna_de.cnn.recipes import RECIPES, Recipe, get_recipe

__all__ = [
    "RECIPES",
    "ZOO",
    "CNNSpace",
    "ImageClassifierSearch",
    "Recipe",
    "count_macs",
    "count_parameters",
    "fit",
    "get_architecture",
    "get_recipe",
    "parse",
    "render",
    "repair",
    "trace",
]
_LAZY = {"fit": "time_budget", "ImageClassifierSearch": "image_classifier"}


def __getattr__(name: str) -> Any:
    """Return a name whose module needs torch and is imported at the first use."""
    if name in _LAZY:
        return getattr(import_module(f"optuna_de.cnn.fitting.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
