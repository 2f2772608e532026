"""The command ``train``: one network trained fully; :mod:`optuna_de.cli` has it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zlib import crc32

import optuna
import typer

from optuna_de.cli_report import open_study
from optuna_de.cnn.units import render
from optuna_de.cnn.watching import say, watched

if TYPE_CHECKING:
    from optuna_de.cnn.begin import Network
    from optuna_de.cnn.job import FinalTraining
    from optuna_de.cnn.origin import DataChoice

Opt = typer.Option
INTERRUPTED = 130

Storage = Annotated[str, Opt(help="Optuna storage of the study.")]
Data = Annotated[
    str | None,
    Opt(help="As of search; with a study, needed only where that names a folder of images."),
]
DataDir = Annotated[Path | None, Opt(help="Folder of torchvision's data sets.")]
Download = Annotated[bool, Opt("--download", help="Let torchvision download the data set.")]
ImageSize = Annotated[int | None, Opt(help="Side to which a folder's images are resized.")]
Subset = Annotated[int | None, Opt(help="Use so many training images only (default: all).")]
SplitSeed = Annotated[int | None, Opt(help="Seed of the splits (default: the study's, or 0).")]
RecipeName = Annotated[
    str | None, Opt(help="final, fast, seed-search or seed-final (default: by the study).")
]
Epochs = Annotated[int | None, Opt(help="Epochs (default: the recipe's).")]
BatchSize = Annotated[
    int | None, Opt("--batch-size", "--batch", help="Images per step (default: the recipe's).")
]
Device = Annotated[str, Opt(help="auto, cpu, cuda, cuda:1 or mps.")]
Threads = Annotated[int | None, Opt(min=1, help="Threads of the processor (default: torch's).")]
KeepValidation = Annotated[
    bool,
    Opt(
        "--keep-validation",
        help="Keep the validation split out of training and let it choose the best epoch.",
    ),
]


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
    from optuna_de.cnn.begin import begin
    from optuna_de.cnn.origin import DataChoice
    from optuna_de.cnn.process import use_threads

    if (trial is None) == (architecture is None):
        raise ValueError("Give either --trial (with --study-name) or --architecture.")
    use_threads(threads)
    study = open_named(study_name, storage, needed=trial is not None)
    begun = begin(
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


def folder_name(network: Network) -> str:
    """Return a name for a folder that tells networks apart."""
    text = render(network.genome)
    short = f"{text[:60]}-{crc32(text.encode()):08x}" if network.name == text else network.name
    return re.sub(r"[^\w.-]+", "-", short)


def run_training(job: FinalTraining, choice: DataChoice, folder: Path) -> int:
    """Train in a folder, say the figures, and return the exit code."""
    from optuna_de.cnn.card import read_result, write_all
    from optuna_de.cnn.final import fit, score
    from optuna_de.cnn.folder import claim_folder

    claim_folder(folder, job.setup())
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


def _announce(job: FinalTraining, folder: Path) -> None:
    from optuna_de.cnn.layers import count_parameters

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
    from optuna_de.cnn.card import honesty

    names = {"last": "Last epoch", "best": "Epoch chosen by validation"}
    for key, row in result["figures"].items():
        held = row["validation error"]
        validation = "" if held is None else f", validation error {held:.2%}"
        say(
            f"{names[key]} ({row['epoch']}): test accuracy {row['test accuracy']:.2%}, "
            f"error {row['test error']:.2%}{validation}."
        )
    say(f"{honesty(result)} See {folder / 'model_card.md'}.")
