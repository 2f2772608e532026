"""The commands ``export`` (a trained network) and ``predict`` (classify images): options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optuna_de.cli.options import Opt, Tta, spread
from optuna_de.cnn.data.options import DataOptions

FORMAT_NAMES = ("safetensors", "state-dict", "torch-export", "onnx", "python", "tflite")
"""Names of the table of formats, which torch is needed to load."""


@spread("subset", "validation_fraction", "split_seed", "download")
def export(
    options: DataOptions,
    model: Annotated[Path, typer.Argument(help="Folder that optuna-de train wrote.")],
    fmt: Annotated[
        str, Opt("--format", help=f"{', '.join(FORMAT_NAMES)}, or all; python comes with a .pt.")
    ] = "onnx",
    out: Annotated[
        Path | None,
        Opt(help="File, or for all: its name without suffix (default: the folder's name, here)."),
    ] = None,
    check: Annotated[
        Path | None,
        Opt(
            help="Folder of images to check the file with (default: the validation images, or "
            "scikit-learn's digits where the data are unknown)."
        ),
    ] = None,
    quantize: Annotated[
        str | None,
        Opt(help="int8: quantise an onnx file, calibrated on the validation images."),
    ] = None,
    tta: Tta = None,
) -> None:
    """Export a trained network, normalisation included, and check it against PyTorch.

    The network takes uint8 images (batch, channels, height, width) in 0..255 and returns logits.

    Example: optuna-de export models/small --format all --out exported/small
    """
    if quantize not in (None, "int8") or (quantize and fmt != "onnx"):
        raise ValueError(f"quantize is {quantize!r} for {fmt}, but must be int8 for onnx.")
    if quantize and tta is not None:
        raise ValueError("tta and quantize do not go together; train with --tta instead.")
    from optuna_de.cli.runs.export import export_files

    export_files(model, fmt, out, options, check=check, quantize=quantize, tta=tta)


def predict(
    model: Annotated[
        Path, typer.Argument(help="Model folder, or exported .onnx, .safetensors or .pt2.")
    ],
    images: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    top: Annotated[int, Opt(help="Classes to show of each image.")] = 3,
    as_json: Annotated[bool, Opt("--json", help="Print JSON.")] = False,
    trust: Annotated[
        bool, Opt("--trust", help="Read a .pt2, which can run any code of its writer.")
    ] = False,
) -> None:
    """Classify images with a trained or exported network.

    A file that cannot be read gets a row that says so, and the exit code is 1.

    Example: optuna-de predict models/small photos/new --top 2
    """
    from optuna_de.cli.runs.export import predict_images

    raise typer.Exit(predict_images(model, images, top, as_json=as_json, trust=trust))
