"""Genomes, their variation and the survival of populations: how a child is made and who survives.

NumPy only; knows neither Optuna nor torch.
"""

from optuna_de.evolution.genome import Choices, Gene, Genome, Interval, Range, Unit, Value
from optuna_de.evolution.pareto import added_areas, depths, dominators
from optuna_de.evolution.population import Finished, Fold, Population, Rules
from optuna_de.evolution.variation import Alphabet, Catalog, Variation, draw, vary

__all__ = [
    "Alphabet",
    "Catalog",
    "Choices",
    "Finished",
    "Fold",
    "Gene",
    "Genome",
    "Interval",
    "Population",
    "Range",
    "Rules",
    "Unit",
    "Value",
    "Variation",
    "added_areas",
    "depths",
    "dominators",
    "draw",
    "vary",
]
