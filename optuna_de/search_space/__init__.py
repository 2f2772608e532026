"""Genomes as ordinary Optuna parameters: how a genome is spelt in Optuna."""

from optuna_de.search_space.distributions import Distributions, Params, fitting, hull, range_of
from optuna_de.search_space.encoding import catalog, parse_name, read, write
from optuna_de.search_space.sequence_space import Kind, SequenceSpace

__all__ = [
    "Distributions",
    "Kind",
    "Params",
    "SequenceSpace",
    "catalog",
    "fitting",
    "hull",
    "parse_name",
    "range_of",
    "read",
    "write",
]
