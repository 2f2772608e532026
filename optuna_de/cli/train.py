"""The command ``train``: one network trained fully; :mod:`optuna_de.cli.app` has it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zlib import crc32

import optuna
import typer

from optuna_de.cli.console import say
from optuna_de.cli.options import (
    BatchSize,
    Data,
    DataDir,
    Device,
    Download,
    Epochs,
    ImageSize,
    KeepValidation,
    Opt,
    RecipeName,
    SplitSeed,
    Storage,
    Subset,
    Threads,
)
from optuna_de.cli.training_progress import watched
from optuna_de.cnn.architecture.genomes import render
from optuna_de.storage.open_storage import open_study

if TYPE_CHECKING:
    from optuna_de.cnn.data.loading import DataChoice
    from optuna_de.cnn.evaluation.candidates import Candidate
    from optuna_de.cnn.evaluation.job import TrainingJob

INTERRUPTED = 130


def train(
    study_name: Annotated[str | None, Opt(help="Study of the network.")] = None,
    storage: Storage = "sqlite:///optuna_de.db",
    trial: Annotated[int | None, Opt(help="Number of its trial.")] = None,
    architecture: Annotated[
        str | None, Opt(help="Instead of a trial: text such as B16k3-MP-B32k3-GAP, or resnet20.")
    ] = None,
    data: Data = None,
    data_dir: DataDir = None,
    download: Download = False,
    image_size: ImageSize = None,
    subset: Subset = None,
    split_seed: SplitSeed = None,
    keep_validation: KeepValidation = False,
    recipe: RecipeName = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    seed: Annotated[int, Opt(help="Seed of weights, order and augmentation.")] = 0,
    device: Device = "auto",
    threads: Threads = None,
    out: Annotated[
        Path | None, Opt(help="Folder of the result (default: in optuna_de_models).")
    ] = None,
) -> None:
    """Train one network fully and score it once on the test split.

    The same command again goes on after an interruption, to the same result.
    """
    from optuna_de.cnn.data.loading import DataChoice
    from optuna_de.cnn.evaluation.candidates import begin_candidates
    from optuna_de.cnn.training.device import use_threads

    if (trial is None) == (architecture is None):
        raise ValueError("Give either --trial (with --study-name) or --architecture.")
    use_threads(threads)
    study = open_named(study_name, storage, needed=trial is not None)
    begun = begin_candidates(
        study,
        DataChoice(data or "digits", data_dir, download, image_size, subset),
        named=data is not None,
        split_seed=split_seed,
    )
    network = begun.trial(trial) if trial is not None else begun.known(architecture or "")
    job = begun.training(
        network,
        recipe=recipe,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        device=device,
        keep_validation=keep_validation,
    )
    folder = out or Path("optuna_de_models", folder_name(network))
    raise typer.Exit(run_training(job, begun.choice, folder))


def open_named(study_name: str | None, storage: str, *, needed: bool) -> optuna.Study | None:
    """Return the study of that name; None where neither it nor a trial of one is asked for."""
    return open_study(study_name, storage) if needed or study_name is not None else None


def folder_name(network: Candidate) -> str:
    """Return a name for a folder that tells networks apart."""
    text = render(network.genome)
    short = f"{text[:60]}-{crc32(text.encode()):08x}" if network.name == text else network.name
    return re.sub(r"[^\w.-]+", "-", short)


def run_training(job: TrainingJob, choice: DataChoice, folder: Path) -> int:
    """Train in a folder, say the figures, and return the exit code."""
    from optuna_de.cnn.evaluation.final_training import fit, score
    from optuna_de.cnn.evaluation.results import claim_result_folder, read_result, write_all

    claim_result_folder(folder, job.setup())
    result = read_result(folder)
    if result is None:
        _announce(job, folder)
        try:
            with watched(job.epochs, "", job.keep_validation) as look:
                fitted = fit(job, folder, look)
        except KeyboardInterrupt:
            say("Interrupted; the same command goes on from the last whole epoch.")
            return INTERRUPTED
        result = write_all(job, fitted, score(job, fitted, choice.load_test()), folder)
    else:
        say("It was trained already; these are its figures.")
    _tell(result, folder)
    return 0


def _announce(job: TrainingJob, folder: Path) -> None:
    from optuna_de.cnn.architecture.cost import count_parameters

    shape, classes = job.data.image_shape, len(job.data.classes)
    train, held = len(job.data.train.labels), len(job.data.validation.labels)
    apart = f"{train:,} images, {held:,} kept to choose the best epoch"
    say(
        f"Training {render(job.genome)} ({count_parameters(job.genome, shape, classes):,} "
        f"parameters) on {job.data.name}, "
        f"{apart if job.keep_validation else f'{train + held:,} images'}: "
        f"{job.epochs} epochs of recipe {job.recipe.name}, into {folder}."
    )


def _tell(result: dict[str, Any], folder: Path) -> None:
    from optuna_de.cnn.evaluation.model_card import honesty

    names = {"last": "Last epoch", "best": "Epoch chosen by validation"}
    for key, row in result["figures"].items():
        held = row["validation error"]
        validation = "" if held is None else f", validation error {held:.2%}"
        say(
            f"{names[key]} ({row['epoch']}): test accuracy {row['test accuracy']:.2%}, "
            f"error {row['test error']:.2%}{validation}."
        )
    say(f"{honesty(result)} See {folder / 'model_card.md'}.")
