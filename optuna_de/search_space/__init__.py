"""Genomes as ordinary Optuna parameters: how a genome is spelt in Optuna."""

from optuna_de.search_space.distributions import Distributions, Params, fitting, hull, range_of
from optuna_de.search_space.encoding import (
    catalog,
    find_sequences,
    parse_name,
    read,
    read_trials,
    write,
)
from optuna_de.search_space.sequence_space import Kind, SequenceSpace

__all__ = [
    "Distributions",
    "Kind",
    "Params",
    "SequenceSpace",
    "catalog",
    "find_sequences",
    "fitting",
    "hull",
    "parse_name",
    "range_of",
    "read",
    "read_trials",
    "write",
]
