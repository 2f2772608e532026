"""Layer table of a network as rows and as CSV."""

from __future__ import annotations

from collections.abc import Sequence

from optuna_de._files import csv_text
from optuna_de._text import times
from optuna_de.cnn.architecture.cost import trace
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.units import Unit

LAYER_HEAD = ("layer", "output", "parameters", "MACs")


def layer_rows(
    genome: Sequence[Unit], image_shape: ImageShape, classes: int
) -> tuple[tuple[str, str, str, str], ...]:
    """Return a row of text for each layer: name, output shape, parameters, MACs.

    Raises:
        ValueError: If the network does not fit the images.
    """
    return tuple(
        (layer.name, times(layer.output_shape), f"{layer.parameters:,}", f"{layer.macs:,}")
        for layer in trace(genome, image_shape, classes)
    )


def layer_csv(genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> str:
    """Return the layer table as CSV, with the sums in its last row.

    Raises:
        ValueError: If the network does not fit the images.
    """
    layers = trace(genome, image_shape, classes)
    rows: list[tuple[object, ...]] = [
        (layer.name, "x".join(map(str, layer.output_shape)), layer.parameters, layer.macs)
        for layer in layers
    ]
    sums = ("total", "", sum(n.parameters for n in layers), sum(n.macs for n in layers))
    return csv_text(LAYER_HEAD, [*rows, sums])
