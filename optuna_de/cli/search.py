"""The command ``search``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optuna_de.cli.console import console, errors, say
from optuna_de.cli.options import Opt
from optuna_de.cli.search_progress import front_table, live
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.search.worker_pool import default_workers, work_together
from optuna_de.cnn.search.worker_process import GAVE_BACK, work
from optuna_de.cnn.study.trials import count_finished
from optuna_de.storage.url import redact
from optuna_de.worker.optimize import noticing_deletion

_ENDS = {GAVE_BACK: "The device is lost or full"}
_AGAIN = "trials in flight are queued again; the same command goes on."


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
    study_name: Annotated[
        str | None, Opt(help="Name of the study (default: data set and preset).")
    ] = None,
    preset: Annotated[
        str, Opt(help="modern, or seed: the seed report's own experiment.")
    ] = "modern",
    trials: Annotated[
        int | None,
        Opt(help="Finished trials at which it is done (modern: 40, seed: 100)."),
    ] = None,
    timeout: Annotated[float | None, Opt(help="Seconds after which no trial is started.")] = None,
    epochs: Annotated[
        int | None, Opt(help="Epochs per candidate (default: the recipe's).")
    ] = None,
    batch_size: Annotated[
        int | None,
        Opt("--batch-size", "--batch", help="Images per step (default: the recipe's)."),
    ] = None,
    population: Annotated[int, Opt(help="Population size, at least 4.")] = 20,
    weights: Annotated[
        str | None, Opt(help="Weights of error and parameters, e.g. 0.7,0.3 (default: Pareto).")
    ] = None,
    recipe: Annotated[
        str | None, Opt(help="fast, final, seed-search or seed-final (default: the preset's).")
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
        Opt(help="Stop networks that others dominate (modern: on, seed: off)."),
    ] = None,
    screening: Annotated[
        bool, Opt(help="Let a model of past errors choose what is trained (seed: never).")
    ] = True,
    artifacts: Annotated[
        Path, Opt(help="Folder of the trials' files; machines that share it share checkpoints.")
    ] = Path("optuna_de_artifacts"),
    workers: Annotated[
        int | None,
        Opt(help="Processes on this machine (default: one per GPU or core); GPUs are shared."),
    ] = None,
    warm_start: Annotated[str, Opt(help="First networks, e.g. resnet20,B16k3-MP-B32k3-GAP.")] = "",
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
        screening=screening,
        artifacts=artifacts,
        warm_start=tuple(filter(None, warm_start.split(","))),
    )
    raise typer.Exit(run_search(described, workers, timeout))


def run_search(described: Search, workers: int | None, timeout: float | None) -> int:
    """Search, print the front, and return the exit code."""
    for name, value in (("workers", workers), ("timeout", timeout)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} is {value}, but must be above 0.")
    objective = described.objective()
    count = min(workers or default_workers(described.device), described.total)
    study = described.study(objective)
    data = described.image_data
    say(
        f"Study {study.study_name} in {redact(described.storage)}: {data.name}, "
        f"{len(data.train.labels):,} images train, {len(data.validation.labels):,} score."
    )
    code, done = 0, count_finished(study)
    if done >= described.total:
        say(f"All {described.total} trials are done ({done} finished); more --trials go on.")
    else:
        with noticing_deletion(study), live(study, described.total, errors) as look:
            if count == 1:
                code = work(described, study, timeout=timeout, callback=lambda *_: look())
            else:
                code = work_together(described, count, timeout=timeout, watch=look)
    console.print(front_table(study, console.width), highlight=False)
    if code:
        say(f"{_ENDS.get(code, 'Interrupted')}: {_AGAIN}", errors)
    return code


def _weights(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"weights are {text!r}, but must be numbers such as 0.7,0.3.") from None
