"""Price: latency of a network for one image, measured on a device or predicted by a table.

A table holds measurements of single layers, kind and shapes -> ms, and of some whole networks that
calibrate them. A network's latency is the sum of its layers', each a non-negative linear function
of its multiply-accumulates, numbers read, written and trained, fitted for each kind to the
relative errors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite, prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optuna_de._files import write_text
from optuna_de.cnn.architecture.expand import expand
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.architecture.layers import (
    BatchNorm2d,
    Conv2d,
    ImageShape,
    Primitive,
    Shape,
    flatten,
    through,
)
from optuna_de.cnn.architecture.prices.price import Price
from optuna_de.cnn.architecture.units import Unit

FORMAT = "optuna_de latency table 1"
_LEAST = 20  # measurements of a table
_FREE = ("Dropout", "Flatten")
_BLOCK = 8  # channels of a group from which runtimes compute in blocks, several times as fast


class MeasurementError(RuntimeError):
    """Price of a network, such as its latency, that no device measured; try again."""


def _unmeasured(genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> float:
    raise ValueError("latency has no device; replace(LATENCY, of=...) names what measures it.")


LATENCY = Price("latency", "ms", _unmeasured, known=False, spec=",.3g")
"""Milliseconds for one image. ``optuna_de.cnn.export.LatencyMeter.measure`` measures it."""


@dataclass(frozen=True)
class LatencyTable:
    """Table of latency, measured on a device: a price that is predicted for any network.

    Args:
        source: What measured them, in words.
        rows: Text of a network, image shape and ms of each.

    Raises:
        ValueError: If there are fewer than 20, or one is no positive number.
    """

    source: str
    rows: tuple[tuple[str, ImageShape, float], ...]

    def __post_init__(self) -> None:
        right = all(ms > 0 and isfinite(ms) for *_, ms in self.rows)
        if len(self.rows) < _LEAST or not right:
            raise ValueError(
                f"A latency table needs {_LEAST} or more measurements above 0 ms, but has "
                f"{len(self.rows)}."
            )

    @property
    def digest(self) -> str:
        """Eight characters that tell tables apart."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:8]

    @property
    def text(self) -> str:
        """The content of its file."""
        return json.dumps({"format": FORMAT, "source": self.source, "rows": self.rows}, indent=0)

    def save(self, path: Path) -> None:
        """Write the table to a file, in one step."""
        write_text(path, self.text + "\n")

    @classmethod
    def load(cls, path: Path) -> LatencyTable:
        """Read a table from its file.

        Raises:
            ValueError: If it is none.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            assert content["format"] == FORMAT
            rows = [(text, (c, h, w), float(ms)) for text, (c, h, w), ms in content["rows"]]
            for text, *_ in rows:
                parse(text)
            return cls(str(content["source"]), tuple(rows))
        except (OSError, ValueError, LookupError, TypeError, AssertionError):
            raise ValueError(
                f"{path} is no latency table; name a new file, and the search measures one."
            ) from None

    @cached_property
    def _kinds(self) -> dict[str, int]:
        names = {
            _kind(layer)
            for text, shape, _ in self.rows
            for layer, _ in _layers(parse(text), shape, 10)
        }
        return {name: i for i, name in enumerate(sorted(names))}

    @cached_property
    def _coefficients(self) -> NDArray[np.float64]:
        from scipy.optimize import nnls  # slow to import

        features = np.stack([self._features(parse(t), shape, 10) for t, shape, _ in self.rows])
        times = np.array([ms for *_, ms in self.rows])
        coefficients: NDArray[np.float64] = nnls(features / times[:, None], np.ones(len(times)))[0]
        return coefficients

    def _features(
        self, genome: Sequence[Unit], image_shape: ImageShape, classes: int
    ) -> NDArray[np.float64]:
        """Return 1, the image's numbers, and the sums over the layers of each kind."""
        sums = np.zeros((len(self._kinds), 5))
        for layer, before in _layers(genome, image_shape, classes):
            if _kind(layer) in self._kinds:
                sums[self._kinds[_kind(layer)]] += _work(layer, before)
        return np.concatenate([[1.0, prod(image_shape) / 1e5], sums.ravel()])

    def predict(self, genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> float:
        """Return the predicted latency of a network in ms; kinds of layers not seen count 0.

        Raises:
            ValueError: If the genome does not fit the images.
        """
        return float(self._features(genome, image_shape, classes) @ self._coefficients)

    @property
    def price(self) -> Price:
        """The latency as a price that is known before the training."""
        return replace(LATENCY, of=self.predict, known=True)


def _layers(
    genome: Sequence[Unit], image_shape: ImageShape, classes: int
) -> list[tuple[Primitive, Shape]]:
    primitives, shape = [], tuple(image_shape)
    for layers in expand(genome, image_shape, classes):
        primitives += [row for row in flatten(layers, shape) if _kind(row[0])]
        shape = through(layers, shape)
    return primitives


def _kind(layer: Primitive) -> str:
    """Return the kind of a layer; empty if it costs nothing."""
    if isinstance(layer, BatchNorm2d) or layer.name in _FREE:
        return ""
    if not isinstance(layer, Conv2d):
        return layer.name
    if layer.groups == 1:
        return "pointwise convolution" if layer.kernel == 1 else "convolution"
    if layer.groups == layer.inputs:
        return "depthwise convolution"
    whole = all(count // layer.groups % _BLOCK == 0 for count in (layer.inputs, layer.outputs))
    return f"grouped convolution{', blocks' if whole else ''}"


def _work(layer: Primitive, before: Shape) -> tuple[float, ...]:
    """Return 1, millions of MACs, and 100,000s of numbers read, written and trained."""
    after = layer.shape_after(before)
    sizes = (prod(before) / 1e5, prod(after) / 1e5, layer.parameters / 1e5)
    return 1.0, layer.macs(after) / 1e6, *sizes
