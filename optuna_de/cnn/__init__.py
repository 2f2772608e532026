"""Convolutional networks as sequences of units: text, counts, spaces, zoo and recipes.

Torch is a property of a folder: ``data``, ``modules``, ``training``, ``search``, ``evaluation``
and ``export`` need it; nothing else does.
"""

from optuna_de._lazy import lazy
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
__getattr__ = lazy(
    __name__, {"fit": "fitting.time_budget", "ImageClassifierSearch": "fitting.image_classifier"}
)
