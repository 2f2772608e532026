"""Standalone export: one Python file that needs torch but not this package.

Weights are named there as in :class:`optuna_de.cnn.export.classifier.Classifier`. No torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence

import jinja2

from optuna_de.cnn.architecture.expand import expand
from optuna_de.cnn.architecture.genomes import render, split_head
from optuna_de.cnn.architecture.layers import ImageShape, Primitive, Shape, flatten, through
from optuna_de.cnn.architecture.units import Unit
from optuna_de.cnn.data.reading.resizing import Resizing
from optuna_de.cnn.modules.custom_layers import CUSTOM_LAYERS
from optuna_de.cnn.modules.tta import averaged_logits

_INDENT = "    "


def standalone_source(
    genome: Sequence[Unit],
    image_shape: ImageShape,
    classes: Sequence[str],
    mean: Sequence[float],
    std: Sequence[float],
    resizing: Resizing | None = None,
    tta: str = "none",
) -> str:
    """Return the text of a Python file that defines, loads and asks a network.

    Args:
        genome: Its units.
        image_shape: (channels, height, width).
        classes: Names, in the order of the logits.
        mean: Mean of each channel of images in [0, 1].
        std: Deviation of each channel, above 0.
        resizing: How images are resized; None crops them, over white.
        tta: Views of an image whose logits are averaged.

    Raises:
        ValueError: If the genome does not fit the images.
    """
    units = expand(genome, image_shape, len(classes))
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("optuna_de.cnn.export", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("network.py.jinja").render(
        architecture=render(genome),
        shape=image_shape,
        classes=[_quoted(name) for name in classes],
        mean=tuple(mean),
        std=tuple(std),
        resize=(resizing or Resizing()).mode,
        background=(resizing or Resizing()).background,
        definitions=[
            *_definitions(p for layers in units for p, _ in flatten(layers, image_shape)),
            *([inspect.getsource(averaged_logits)] if tta != "none" else []),
        ],
        tta=tta,
        layers=list(_commented(genome, image_shape, len(classes))),
    )


def _quoted(name: str) -> str:
    """Return a literal, in double quotes wherever Python needs no single ones."""
    literal = repr(name)
    return literal if '"' in literal else f'"{literal[1:-1]}"'


def _commented(genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> Iterator[str]:
    """Yield the layers' lines; before those of each unit its text and output shape."""
    shape: Shape = image_shape
    body, head = split_head(genome)
    names = [*(render([unit]) for unit in body), f"head {render(head)}".strip()]
    for name, layers in zip(names, expand(genome, image_shape, classes), strict=True):
        shape = through(layers, shape)
        yield f"# {name}: {' x '.join(map(str, shape))}"
        yield from _lines(layers)


def _definitions(primitives: Iterable[Primitive]) -> list[str]:
    """Return the source of the custom layers that primitives use, bases first."""
    used = [CUSTOM_LAYERS[n] for p in primitives if (n := p.call.module) in CUSTOM_LAYERS]
    classes = [
        base
        for layer in used
        for base in reversed(layer.__mro__)
        if base.__module__ == layer.__module__
    ]
    return [inspect.getsource(each) for each in dict.fromkeys(classes)]


def _lines(primitives: Sequence[Primitive]) -> Iterator[str]:
    for primitive in primitives:
        call = primitive.call
        prefix = "" if call.module in CUSTOM_LAYERS else "nn."
        if not primitive.paths:
            yield f"{prefix}{call},"
            continue
        yield f"{prefix}{call.module}("
        for path in primitive.paths:
            yield from (_INDENT + line for line in _path(path))
        yield "),"


def _path(primitives: Sequence[Primitive]) -> Iterator[str]:
    if not primitives:
        yield "nn.Sequential(),"
        return
    yield "nn.Sequential("
    yield from (_INDENT + line for line in _lines(primitives))
    yield "),"
