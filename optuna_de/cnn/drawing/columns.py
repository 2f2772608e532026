"""The columns of a network's picture: its units, each with its layers, shapes and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

from optuna_de._text import times
from optuna_de.cnn.architecture.cost import Layer, trace
from optuna_de.cnn.architecture.layers import ImageShape, Shape
from optuna_de.cnn.architecture.units import Unit, render, split_head

SIDE, BAR = 96.0, 36.0  # pixels: height of the image, and of the longest bar
_FEATURE = 1.5  # pixels per root of a feature, at most


@dataclass(frozen=True, slots=True)
class Stage:
    """A column of the picture: a unit of the body, or one layer of the head with parameters.

    Args:
        label: Text form of the unit, or ``classes``.
        kind: Kind of the unit, ``"image"`` for the input.
        input_shape: What enters it.
        output_shape: What leaves it.
        layers: Its rows of the layer table.
        unit: The unit; ``None`` for the image and for derived layers.
    """

    label: str
    kind: str
    input_shape: Shape
    output_shape: Shape
    layers: tuple[Layer, ...] = ()
    unit: Unit | None = None

    @property
    def parameters(self) -> int:
        """Trainable parameters of the column."""
        return sum(layer.parameters for layer in self.layers)


def stages(genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> tuple[Stage, ...]:
    """Return the columns of a network, the image first and the classifier last."""
    table = trace(genome, image_shape, classes)
    body = split_head(genome)[0]
    found = [Stage("image", "image", image_shape, image_shape)]
    for i, unit in enumerate(body):
        layers = tuple(layer for layer in table if layer.unit == i)
        before, after = found[-1].output_shape, layers[-1].output_shape
        found.append(Stage(render([unit]), unit.kind, before, after, layers, unit))
    head = [layer for layer in table if layer.unit == len(body)]
    return (*found, *_head(head, found[-1].output_shape))


def _head(layers: Sequence[Layer], before: Shape) -> Iterator[Stage]:
    shown = [i for i, layer in enumerate(layers) if layer.name.startswith(("Linear", "Global"))]
    for start, end in zip(shown, [*shown[1:], len(layers)], strict=True):
        layer = layers[start]
        label = f"FC{layer.output_shape[0]}" if layer.parameters else "GAP"
        rows = tuple(layers[0 if start == shown[0] else start : end])
        kind = "fc" if layer.parameters else "gap"
        name = "classes" if layer is layers[-1] else label
        yield Stage(name, kind, before, layer.output_shape, rows)
        before = layer.output_shape


def note(stage: Stage) -> str:
    """Return what a column says when it is pointed at, one layer per line."""
    rows = (
        f"{layer.name}: {times(layer.output_shape)}"
        + (f", {layer.parameters:,} parameters, {layer.macs:,} MACs" if layer.parameters else "")
        for layer in stage.layers
    )
    return "\n".join([f"{stage.label}: {times(stage.output_shape)}", *rows])


@dataclass(frozen=True, slots=True)
class Scale:
    """Pixels per side of a map, per parameter, and per root of a feature.

    The pictures of a comparison share it.
    """

    side: float
    parameter: float
    feature: float = _FEATURE

    @classmethod
    def of(cls, columns: Sequence[Stage]) -> Scale:
        """Return the scale that fits all of these columns."""
        sides = (max(s.output_shape[1:]) for s in columns if s.kind == "image")
        most = max(stage.parameters for stage in columns)
        widest = max(s.output_shape[0] for s in columns if len(s.output_shape) == 1)
        feature = min(_FEATURE, SIDE / sqrt(widest))
        return cls(SIDE / max(sides), BAR / max(most, 1), feature)
