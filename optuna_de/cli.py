"""The command ``optuna-de``: options, errors in one sentence, exit codes."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import optuna
import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from optuna_de.cnn.progress import front_table, live
from optuna_de.cnn.search import Search
from optuna_de.cnn.workers import default_workers, work, work_together
from optuna_de.storage import redact
from optuna_de.worker import TooManyFailuresError

app = typer.Typer(
    help="Neural architecture search by differential evolution, on Optuna.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = Console()
errors = Console(stderr=True)

Opt = typer.Option


@app.callback()
def main() -> None:
    """Neural architecture search by differential evolution, on Optuna."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.basicConfig(
        level=logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=errors, show_time=False, show_path=False)],
    )


@app.command()
def search(
    data: Annotated[
        str,
        Opt(
            help="digits, CIFAR10, CIFAR100, MNIST, FashionMNIST, SVHN, "
            "or a folder with train/<class>/."
        ),
    ] = "digits",
    data_dir: Annotated[Path | None, Opt(help="Folder of torchvision's data sets.")] = None,
    download: Annotated[
        bool, Opt("--download", help="Let torchvision download the data set.")
    ] = False,
    image_size: Annotated[
        int | None, Opt(help="Side to which a folder's images are resized.")
    ] = None,
    subset: Annotated[
        int | None, Opt(help="Use so many training images only, stratified.")
    ] = None,
    validation_fraction: Annotated[float, Opt(help="Share of them that scores candidates.")] = 0.1,
    split_seed: Annotated[int, Opt(help="Seed of the splits.")] = 0,
    storage: Annotated[
        str, Opt(help="Optuna storage; workers with the same URL share the study.")
    ] = "sqlite:///optuna_de.db",
    study_name: Annotated[str | None, Opt(help="Default: data set and preset.")] = None,
    preset: Annotated[
        str, Opt(help="modern, or seed: the seed report's own experiment.")
    ] = "modern",
    trials: Annotated[
        int | None,
        Opt(help="Finished trials of the study at which it is done.  [modern: 40, seed: 100]"),
    ] = None,
    timeout: Annotated[float | None, Opt(help="Seconds after which no trial is started.")] = None,
    epochs: Annotated[
        int | None, Opt(help="Epochs per candidate.  [default: the recipe's]")
    ] = None,
    batch_size: Annotated[
        int | None,
        Opt("--batch-size", "--batch", help="Images per step.  [default: the recipe's]"),
    ] = None,
    population: Annotated[int, Opt(help="Population size, at least 4.")] = 20,
    weights: Annotated[
        str | None, Opt(help="Weights of error and parameters, e.g. 0.7,0.3.  [default: Pareto]")
    ] = None,
    recipe: Annotated[
        str | None, Opt(help="fast, seed-search or seed-final.  [default: the preset's]")
    ] = None,
    evolve_head: Annotated[
        bool, Opt("--evolve-head", help="Seed space: evolve the FC units too.")
    ] = False,
    seed: Annotated[int, Opt(help="Seed of the search and of all trainings.")] = 0,
    device: Annotated[str, Opt(help="auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    max_parameters: Annotated[int | None, Opt(help="Larger networks are not trained.")] = None,
    max_macs: Annotated[int | None, Opt(help="Costlier networks are not trained.")] = None,
    halving: Annotated[
        bool | None,
        Opt(help="Stop networks that others dominate at equal epochs.  [modern: on, seed: off]"),
    ] = None,
    workers: Annotated[
        int | None, Opt(help="Processes on this machine.  [default: one per GPU or core]")
    ] = None,
    warm_start: Annotated[str, Opt(help="First networks, e.g. resnet,B16k3-MP-B32k3-GAP.")] = "",
) -> None:
    """Search small, accurate networks; the same command again goes on, anywhere."""
    described = Search(
        data=data,
        data_dir=data_dir,
        download=download,
        image_size=image_size,
        subset=subset,
        validation_fraction=validation_fraction,
        split_seed=split_seed,
        storage=storage,
        study_name=study_name,
        preset=preset,  # type: ignore[arg-type]
        trials=trials,
        epochs=epochs,
        batch_size=batch_size,
        population=population,
        weights=_weights(weights),
        recipe=recipe,
        evolve_head=evolve_head,
        seed=seed,
        device=device,
        max_parameters=max_parameters,
        max_macs=max_macs,
        halving=halving,
        warm_start=tuple(filter(None, warm_start.split(","))),
    )
    raise typer.Exit(run_search(described, workers, timeout))


def run_search(described: Search, workers: int | None, timeout: float | None) -> int:
    """Search, print the front, and return the exit code."""
    if workers is not None and workers < 1:
        raise ValueError(f"workers is {workers}, but must be 1 or more.")
    study = described.study(described.objective())
    data = described.image_data
    console.print(
        f"Study {study.study_name} in {redact(described.storage)}: {data.name}, "
        f"{len(data.train.labels):,} images train, {len(data.validation.labels):,} score.",
        highlight=False,
        soft_wrap=True,
    )
    count = min(workers or default_workers(described.device), described.total)
    with live(study, described.total, console) as look:
        if count == 1:
            outcome = work(described, study, timeout=timeout, callback=lambda *_: look())
            ended_by = outcome.signal
        else:
            ended_by = work_together(described, count, timeout=timeout, watch=look)
    console.print(front_table(study))
    if ended_by:
        console.print("Interrupted: trials in flight are queued again; the same command goes on.")
        return 128 + ended_by
    return 0


def _weights(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"weights are {text!r}, but must be numbers such as 0.7,0.3.") from None


def run(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code; bad input is one sentence and code 2."""
    try:
        app(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except (ValueError, TooManyFailuresError) as error:
        errors.print(f"[bold red]Error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(run())
