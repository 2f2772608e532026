"""The runs of ``export`` (write and check files) and ``predict`` (print image classes)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Column, Table
from rich.text import Text

from optuna_de._files import make_folder
from optuna_de.cli.console import console, errors, say
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.architecture.prices import MACS, PARAMETERS
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.data.options import DataOptions
from optuna_de.cnn.data.store.mapped_images import take
from optuna_de.cnn.evaluation.int8_export import Int8Export, export_int8
from optuna_de.cnn.evaluation.model_card import tta_figures
from optuna_de.cnn.evaluation.model_data import load_model_data
from optuna_de.cnn.evaluation.results import read_result
from optuna_de.cnn.export.classifier import ModelMetadata
from optuna_de.cnn.export.export import CHECKED, Exported, export_model
from optuna_de.cnn.export.formats import FORMATS, open_model
from optuna_de.cnn.export.predict import Prediction
from optuna_de.cnn.export.predict import predict as classify
from optuna_de.cnn.modules.tta import TTA
from optuna_de.cnn.study.objectives import MEASURES, objective_text


def export_files(
    model: Path,
    fmt: str,
    out: Path | None,
    options: DataOptions,
    *,
    check: Path | None,
    quantize: str | None,
    tta: str | None,
) -> None:
    """Write and check the file of each format, and print what it holds."""
    choice = DataChoice.of(options)
    _check_mirrored(model, tta)
    if out is not None:
        make_folder(out.parent)
    if quantize:
        _print_int8(export_int8(model, out or Path(f"{model.resolve().name}-int8.onnx"), choice))
        return
    images = None if check else _own_images(model, choice)
    for name, path in _files(fmt, out, model).items():
        _print(export_model(model, name, path, check=check, images=images, tta=tta))
    if tta not in (None, "none"):
        _print_tta(model, str(tta))


def _files(fmt: str, out: Path | None, model: Path) -> dict[str, Path]:
    """Return the file of each format that is to be written."""
    every = [name for name, form in FORMATS.items() if form.extra == "export" or form.installed]
    if out is not None and fmt != "all":
        return {fmt: out}
    stem = Path(model.resolve().name) if out is None else out
    names = [name for name in (every if fmt == "all" else [fmt]) if name in FORMATS]
    return {n: stem.with_name(stem.name + FORMATS[n].suffix) for n in names} or {fmt: stem}


def _own_images(model: Path, choice: DataChoice) -> tuple[NDArray[np.uint8], str] | None:
    """Return the validation images; None where they are unknown or, not asked for, not here."""
    try:
        loaded = load_model_data(model, choice)
    except ValueError:
        if choice.data is not None:
            raise
        return None
    if loaded is None:
        return None
    data = loaded[1]
    first = np.arange(min(len(data.validation.labels), CHECKED))
    return take(data.validation.images, first).numpy(), f"validation images of {data.name}"


def _print(done: Exported) -> None:
    also = f" and {done.path.with_suffix('.pt').name}" if done.path.suffix == ".py" else ""
    say(
        f"Wrote {done.path}{also}, {done.path.stat().st_size / 1e3:,.1f} kB; on {done.images} its "
        f"logits differ from PyTorch's by at most {done.difference:.1e} (largest logit "
        f"{done.largest:.3g})."
    )


def _check_mirrored(model: Path, tta: str | None) -> None:
    """Refuse to average mirrored images where the training is known to have had none."""
    recipe = ((read_result(model) or {}).get("setup") or {}).get("recipe", {})
    if tta not in (None, "none") and not recipe.get("flip", True):
        raise ValueError(
            f"tta is {tta!r}, but the images of {model}'s training were not mirrored, so it must "
            "be none."
        )


def _print_tta(model: Path, tta: str) -> None:
    """Tell cost and, where the training measured it, gain of test-time augmentation."""
    result = read_result(model)
    known = [] if result is None or result["setup"].get("tta") != tta else tta_figures(result)
    unknown = (
        f"Test-time augmentation ({tta}) takes {TTA[tta]} passes an image, so {TTA[tta]} times "
        "the MACs and the time. Its accuracy was not measured; train with --tta."
    )
    for sentence in known or [unknown]:
        say(sentence)


def _print_int8(done: Int8Export) -> None:
    scores = ", ".join(
        f"{name} accuracy {rough:.2%} instead of {exact:.2%} on {images:,} images"
        for name, (images, exact, rough) in done.accuracies.items()
    )
    say(
        f"Wrote {done.path}, {done.int8_bytes / 1e3:,.1f} kB (float32: "
        f"{done.float_bytes / 1e3:,.1f} kB), calibrated on {done.calibration:,} validation "
        f"images; {scores}."
    )
    if done.advice:
        say(done.advice)


def predict_images(
    model: Path, images: Sequence[Path], top: int, *, as_json: bool, trust: bool
) -> int:
    """Print the classes of each image; return 1 if a file could not be read."""
    opened = open_model(model, trust=trust)
    predictions = classify(opened, images, top=top)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in predictions], indent=1))
    else:
        console.print(_table(predictions))
        say(_described(opened.metadata))
    unread = sum(bool(one.problem) for one in predictions)
    if unread:
        say(f"{unread} of {len(predictions)} files could not be read.", errors)
    return int(unread > 0)


def _described(model: ModelMetadata) -> str:
    """Return what the network costs, and the objectives of its search, with units."""
    genome, shape, classes = parse(model.architecture), model.image_shape, len(model.classes)
    known = {price.metric: price.value(genome, shape, classes) for price in (PARAMETERS, MACS)}
    prices = {**known, **model.objectives}
    clauses = [
        f"{'validation ' if n in MEASURES else ''}{objective_text(n, value)}"
        for n, value in prices.items()
    ]
    return f"Network: {', '.join(clauses)}."


def _plain(one: Prediction) -> dict[str, object]:
    if one.problem:
        return {"file": one.file, "problem": one.problem}
    likely = [{"class": name, "probability": chance} for name, chance in one.likely]
    return {"file": one.file, "likely": likely}


def _table(predictions: tuple[Prediction, ...]) -> Table:
    table = Table(Column("file", overflow="fold"), "class", "probability", "then")
    for one in predictions:
        if one.problem:
            table.add_row(_shown(one.file), "", "", _shown(one.problem))
            continue
        (name, chance), *others = one.likely
        then = ", ".join(f"{other} {value:.1%}" for other, value in others)
        table.add_row(_shown(one.file), _shown(name), f"{chance:.1%}", _shown(then))
    return table


def _shown(name: str) -> Text:
    """Return a name as plain text; what no encoding has, as of foreign file names, is "?"."""
    return Text(name.encode(errors="replace").decode())
