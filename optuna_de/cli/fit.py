"""The commands ``fit`` (give images and time) and ``best`` (of a search): their options."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from optuna_de.cli.options import Opt, ResultFolder, Storage, TrainingOptions, spread
from optuna_de.cnn.data.options import DataOptions
from optuna_de.cnn.fitting.options import Fit


@spread("validation_fraction", "data")
def fit(
    options: DataOptions,
    settings: Fit,
    images: Annotated[
        str | None,
        typer.Argument(help="Folder of images, one folder a class, or digits, CIFAR10, ..."),
    ] = None,
) -> None:
    """Give images and time, get trained networks by size: search, train, test and export.

    Run the same command again to go on, also on another machine with the same --storage.

    Example: optuna-de fit photos --hours 3 --between 20k,1M --out models
    """
    from optuna_de.cli.runs.fit import fit_images

    raise typer.Exit(fit_images(replace(options, data=images), settings))


@spread("batch_size")
def best(
    training: TrainingOptions,
    study: Annotated[str | None, Opt(help="Study of the networks.")] = None,
    storage: Storage = "sqlite:///optuna_de.db",
    max_parameters: Annotated[
        str | None, Opt(help="Most parameters, e.g. 50k (default: any).")
    ] = None,
    out: ResultFolder = None,
) -> None:
    """Name the best network of a search up to a size, and train it fully.

    Example: optuna-de best --study photos-modern --max-parameters 50k
    """
    from optuna_de.cli.runs.fit import train_best

    raise typer.Exit(train_best(training, study, storage, max_parameters, out))
