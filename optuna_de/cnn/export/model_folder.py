"""Model folder: save and load a trained network, its weights and its description.

``model.json`` holds ``format``, ``architecture`` (text form), ``image_shape`` (channels, height,
width), ``classes`` (names in the order of the outputs), ``mean`` and ``std`` (one a channel, of
images in [0, 1], by which images are normalised); ``resize`` and ``background`` where they are not
"crop" and white; ``objectives`` where a search measured some; ``tta`` where logits are averaged
over views. No pickle is ever run.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from optuna_de._attributes import read_numbers
from optuna_de._files import replacing, write_text
from optuna_de.cnn.architecture.genomes import Genome, parse, render
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.units import Unit
from optuna_de.cnn.data.reading.resizing import Resizing, described_resizing
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.modules.tta import check_tta

FORMAT = "optuna_de model 1"
WEIGHTS = "model.pt"
DESCRIPTION = "model.json"
_KEYS = ("format", "architecture", "image_shape", "classes", "mean", "std")


@dataclass(frozen=True, eq=False, slots=True)
class TrainedModel:
    """Trained network of a model folder: its weights and its description.

    Args:
        genome: Its units.
        module: Maps normalised float (n, c, h, w) to logits (n, classes); on the CPU, in
            evaluation mode.
        image_shape: (channels, height, width).
        classes: Names, in the order of the logits.
        mean: Mean of each channel of images in [0, 1].
        std: Deviation of each channel, above 0.
        resizing: How images are brought to that shape.
        objectives: What a search measured of it, by metric name.
        tta: Views of an image whose logits it averages, see :mod:`optuna_de.cnn.modules.tta`.
    """

    genome: Genome
    module: nn.Sequential
    image_shape: ImageShape
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resizing: Resizing = Resizing()  # noqa: RUF009 (it is frozen)
    objectives: Mapping[str, float] = field(default_factory=dict)
    tta: str = "none"


def save_model(
    folder: Path,
    *,
    genome: Sequence[Unit],
    state: Mapping[str, Tensor],
    image_shape: ImageShape,
    classes: Sequence[str],
    mean: Sequence[float],
    std: Sequence[float],
    resizing: Resizing | None = None,
    objectives: Mapping[str, float] | None = None,
    tta: str = "none",
) -> None:
    """Save a trained network to a model folder; the fields are those of :class:`TrainedModel`.

    Args:
        folder: The folder; files of that name are replaced, each in one step.
        state: The module's ``state_dict()``, on any device.
    """
    description = {
        "format": FORMAT,
        "architecture": render(genome),
        "image_shape": list(image_shape),
        "classes": list(classes),
        "mean": list(mean),
        "std": list(std),
        **({} if resizing is None else resizing.described()),
        **({"objectives": dict(objectives)} if objectives else {}),
        **({} if tta == "none" else {"tta": tta}),
    }
    save_weights(folder / WEIGHTS, state)
    write_text(folder / DESCRIPTION, json.dumps(description, indent=1) + "\n")


def save_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Save the weights of a network as plain tensors on the CPU, in one step."""
    plain = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with replacing(path) as draft:
        torch.save(plain, draft)


def load_model(folder: str | Path) -> TrainedModel:
    """Load the trained network of a model folder, as :func:`save_model` wrote it.

    Raises:
        ValueError: If the folder holds none, or its files are damaged or do not belong together.
    """
    folder = Path(folder)
    content = _description(folder)
    try:
        model = _described(content)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise ValueError(f"{folder / DESCRIPTION} describes no network: {error}") from None
    _fill(model.module, folder / WEIGHTS)
    return model


def _described(content: Mapping[str, Any]) -> TrainedModel:
    """Build the network, with weights of no meaning yet."""
    genome, shape = parse(content["architecture"]), tuple(content["image_shape"])
    mean, std = (tuple(map(float, content[name])) for name in ("mean", "std"))
    if {len(mean), len(std)} != {shape[0]}:
        raise ValueError(f"mean and std must have {shape[0]} numbers, one a channel.")
    classes, tta = tuple(map(str, content["classes"])), content.get("tta", "none")
    check_tta(tta)
    return TrainedModel(
        *(genome, build(genome, shape, len(classes)).eval(), shape, classes, mean, std),
        described_resizing(content),
        read_numbers(content.get("objectives")) or {},
        tta,
    )


def _description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION
    if not path.is_file():
        raise ValueError(f"{folder} holds no trained network: there is no {DESCRIPTION} in it.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{path} is not JSON.") from None
    form = content.get("format") if isinstance(content, dict) else None
    if form != FORMAT:
        raise ValueError(f"The format of {path} is {form!r}, but must be {FORMAT!r}.")
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}.")
    return dict(content)


def _fill(module: nn.Module, path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"There are no weights {path}.")
    try:
        module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, TypeError, AttributeError):
        raise ValueError(
            f"{path} does not hold whole weights of the network that {DESCRIPTION} describes."
        ) from None
