"""The command ``train``: train one network fully, once scored on the test split; its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optuna_de.cli.options import (
    BUDGET,
    DATA,
    Opt,
    ResultFolder,
    Storage,
    TrainingOptions,
    Tta,
    spread,
)
from optuna_de.cnn.data.options import DataOptions

KeepValidation = Annotated[
    bool,
    Opt(
        "--keep-validation",
        rich_help_panel=DATA,
        help="Keep the validation split out of training and let it choose the best epoch.",
    ),
]
QuantizeAware = Annotated[
    bool,
    Opt(
        "--quantize-aware",
        rich_help_panel=BUDGET,
        help="Add a fifth as many epochs with weights and activations rounded to int8.",
    ),
]
Teacher = Annotated[
    Path | None,
    Opt(
        help="Folder of a trained model whose answers it learns, too (distillation). Each step "
        "takes a pass through it more."
    ),
]


@spread("validation_fraction")
def train(
    options: DataOptions,
    training: TrainingOptions,
    study_name: Annotated[str | None, Opt(help="Study of the network.")] = None,
    storage: Storage = "sqlite:///optuna_de.db",
    trial: Annotated[int | None, Opt(help="Number of its trial.")] = None,
    architecture: Annotated[
        str | None, Opt(help="Instead of a trial: text such as B16k3-MP-B32k3-GAP, or resnet20.")
    ] = None,
    keep_validation: KeepValidation = False,
    quantize_aware: QuantizeAware = False,
    seed: Annotated[int, Opt(help="Seed of weights, order and augmentation.")] = 0,
    tta: Tta = None,
    teacher: Teacher = None,
    out: ResultFolder = None,
) -> None:
    """Train one network fully: a final training, scored once on the test split.

    After an interruption, run the same command again: it continues to the same result.

    Example: optuna-de train --study-name photos-modern --trial 17
    """
    if (trial is None) == (architecture is None):
        raise ValueError("Give either --trial (with --study-name) or --architecture.")
    from optuna_de.cli.runs.train import train_network

    more = {
        "seed": seed,
        "keep_validation": keep_validation,
        "tta": tta or "none",
        "quantize_aware": quantize_aware,
    }
    network = trial if trial is not None else architecture or ""
    source = study_name, storage
    raise typer.Exit(train_network(options, training, source, network, teacher, out, **more))
