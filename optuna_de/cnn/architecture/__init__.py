"""Architectures as text and values: what networks there are and what they cost. No torch."""

from optuna_de.cnn.architecture.cost import Layer, count_macs, count_parameters, trace
from optuna_de.cnn.architecture.expand import expand
from optuna_de.cnn.architecture.layer_table import LAYER_HEAD, layer_csv, layer_rows
from optuna_de.cnn.architecture.layers import (
    BatchNorm2d,
    Branches,
    Conv2d,
    ImageShape,
    Linear,
    Plain,
    Primitive,
    Shape,
)
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.architecture.units import (
    Genome,
    Parallel,
    Residual,
    Separable,
    Unit,
    parse,
    render,
    repair,
    split_head,
)
from optuna_de.cnn.architecture.zoo import ZOO, get_architecture

__all__ = [
    "LAYER_HEAD",
    "ZOO",
    "BatchNorm2d",
    "Branches",
    "CNNSpace",
    "Conv2d",
    "Genome",
    "ImageShape",
    "Layer",
    "Linear",
    "Parallel",
    "Plain",
    "Primitive",
    "Residual",
    "Separable",
    "Shape",
    "Unit",
    "count_macs",
    "count_parameters",
    "expand",
    "get_architecture",
    "layer_csv",
    "layer_rows",
    "parse",
    "render",
    "repair",
    "split_head",
    "trace",
]
