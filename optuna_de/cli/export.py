"""The commands that use a trained network: ``export`` and ``predict``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from optuna_de.cli.console import console, say
from optuna_de.cli.options import Opt
from optuna_de.cnn.export.export import Exported, export_model
from optuna_de.cnn.export.formats import FORMATS, open_model
from optuna_de.cnn.export.predict import Prediction
from optuna_de.cnn.export.predict import predict as classify


def export(
    model: Annotated[Path, typer.Argument(help="Folder that optuna-de train wrote.")],
    fmt: Annotated[
        str, Opt("--format", help=f"{', '.join(FORMATS)}, or all; python comes with a .pt.")
    ] = "onnx",
    out: Annotated[
        Path | None,
        Opt(help="File, or for all: its name without suffix (default: the folder's name, here)."),
    ] = None,
    check: Annotated[
        Path | None,
        Opt(help="Folder of images to check the file with (default: scikit-learn's digits)."),
    ] = None,
) -> None:
    """Export a trained network, normalisation included, and check it against PyTorch.

    The network takes uint8 images (batch, channels, height, width) in 0..255 and returns logits.
    """
    stem = Path(model.resolve().name) if out is None else out
    for name in FORMATS if fmt == "all" else (fmt,):
        bare = (out is None or fmt == "all") and name in FORMATS
        path = stem.with_name(stem.name + FORMATS[name].suffix) if bare else stem
        _print(export_model(model, name, path, check=check))


def _print(done: Exported) -> None:
    also = f" and {done.path.with_suffix('.pt').name}" if done.path.suffix == ".py" else ""
    say(
        f"Wrote {done.path}{also}, {done.path.stat().st_size / 1e6:.2f} MB; on {done.images} its "
        f"logits differ from PyTorch's by at most {done.difference:.1e} (largest logit "
        f"{done.largest:.3g})."
    )


def predict(
    model: Annotated[
        Path, typer.Argument(help="Model folder, or exported .onnx, .safetensors or .pt2.")
    ],
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    top: Annotated[int, Opt(help="Classes to show of each image.")] = 3,
    as_json: Annotated[bool, Opt("--json", help="Print JSON.")] = False,
    trust: Annotated[
        bool, Opt("--trust", help="Read a .pt2, which can run any code of its writer.")
    ] = False,
) -> None:
    """Classify images with a trained or exported network."""
    predictions = classify(open_model(model, trust=trust), images, top=top)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in predictions], indent=1))
    else:
        console.print(_table(predictions))


def _plain(one: Prediction) -> dict[str, object]:
    likely = [{"class": name, "probability": chance} for name, chance in one.likely]
    return {"file": one.file, "likely": likely}


def _table(predictions: tuple[Prediction, ...]) -> Table:
    table = Table(Column("file", overflow="fold"), "class", "probability", "then")
    for one in predictions:
        (name, chance), *others = one.likely
        then = ", ".join(f"{other} {value:.1%}" for other, value in others)
        table.add_row(_shown(one.file), _shown(name), f"{chance:.1%}", _shown(then))
    return table


def _shown(name: str) -> Text:
    """Return a name as plain text; what no encoding has, as of foreign file names, is "?"."""
    return Text(name.encode(errors="replace").decode())
