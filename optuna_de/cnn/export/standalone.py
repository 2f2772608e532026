"""Standalone export: one Python file that needs torch but not this package.

Weights are named there as in :class:`optuna_de.cnn.export.classifier.Classifier`. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import jinja2

from optuna_de.cnn.architecture.cost import trace
from optuna_de.cnn.architecture.expand import expand
from optuna_de.cnn.architecture.layers import (
    BatchNorm2d,
    Branches,
    Conv2d,
    ImageShape,
    Linear,
    Plain,
    Primitive,
)
from optuna_de.cnn.architecture.units import Unit, render, split_head

_PLAIN = {
    "ReLU": "nn.ReLU(inplace=True)",
    "MaxPool2d": "nn.MaxPool2d(2)",
    "AvgPool2d": "nn.AvgPool2d(2)",
    "GlobalAvgPool2d": "nn.AdaptiveAvgPool2d(1)",
    "Flatten": "nn.Flatten()",
    "Dropout": "nn.Dropout(0.5)",
}
_INDENT = "    "


def standalone_source(
    genome: Sequence[Unit],
    image_shape: ImageShape,
    classes: Sequence[str],
    mean: Sequence[float],
    std: Sequence[float],
) -> str:
    """Return the text of a Python file that defines, loads and asks a network.

    Args:
        genome: Its units.
        image_shape: (channels, height, width).
        classes: Names, in the order of the logits.
        mean: Mean of each channel of images in [0, 1].
        std: Deviation of each channel, above 0.

    Raises:
        ValueError: If the genome does not fit the images.
    """
    stages = expand(genome, image_shape, len(classes))
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
        joins={p.join for stage in stages for p in stage if isinstance(p, Branches)},
        layers=list(_commented(genome, image_shape, len(classes))),
    )


def _quoted(name: str) -> str:
    """Return a literal, in double quotes wherever Python needs no single ones."""
    literal = repr(name)
    return literal if '"' in literal else f'"{literal[1:-1]}"'


def _commented(genome: Sequence[Unit], image_shape: ImageShape, classes: int) -> Iterator[str]:
    """Yield the layers' lines; before those of each unit its text and output shape."""
    ends = {row.unit: row.output_shape for row in trace(genome, image_shape, classes)}
    body, head = split_head(genome)
    names = [*(render([unit]) for unit in body), f"head {render(head)}".strip()]
    for i, stage in enumerate(expand(genome, image_shape, classes)):
        yield f"# {names[i]}: {' x '.join(map(str, ends[i]))}"
        yield from _lines(stage)


def _lines(primitives: Sequence[Primitive]) -> Iterator[str]:
    for primitive in primitives:
        match primitive:
            case Branches(join, branches):
                yield f"{join}("
                for branch in branches:
                    yield from (_INDENT + line for line in _path(branch))
                yield "),"
            case _:
                yield f"{_call(primitive)},"


def _path(primitives: Sequence[Primitive]) -> Iterator[str]:
    if not primitives:
        yield "nn.Sequential(),"
        return
    yield "nn.Sequential("
    yield from (_INDENT + line for line in _lines(primitives))
    yield "),"


def _call(primitive: Conv2d | BatchNorm2d | Linear | Plain) -> str:
    match primitive:
        case Conv2d():
            return _convolution(primitive)
        case BatchNorm2d(channels):
            return f"nn.BatchNorm2d({channels})"
        case Linear(inputs, outputs):
            return f"nn.Linear({inputs}, {outputs})"
        case Plain(name):
            return _PLAIN[name]


def _convolution(conv: Conv2d) -> str:
    options = {
        "stride": (conv.stride, 1),
        "padding": (conv.kernel // 2, 0),
        "groups": (conv.groups, 1),
        "bias": (conv.bias, True),
    }
    given = "".join(
        f", {key}={value}" for key, (value, usual) in options.items() if value != usual
    )
    return f"nn.Conv2d({conv.inputs}, {conv.outputs}, {conv.kernel}{given})"
