"""The command ``train``: one network trained fully; :mod:`optuna_de.cli` has it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zlib import crc32

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from optuna_de.cli_report import _open
from optuna_de.cnn.units import Genome, render, repair
from optuna_de.cnn.zoo import ZOO, known

if TYPE_CHECKING:
    from optuna_de.cnn.data import ImageData
    from optuna_de.cnn.final import FinalTraining
    from optuna_de.cnn.origin import DataChoice
    from optuna_de.cnn.recipes import Recipe
    from optuna_de.cnn.training import Epoch

console = Console()
progress_console = Console(stderr=True)
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
    from optuna_de.cnn.origin import DataChoice

    use_threads(threads)
    choice = DataChoice(data or "digits", data_dir, download, image_size, subset)
    source = Source(study_name, storage, trial, architecture)
    genome, choice, images, origin, searched = source.resolve(choice, data is not None, split_seed)
    job = final_training(
        genome,
        images,
        _recipe(recipe, searched),
        origin=origin,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        device=device,
        keep_validation=keep_validation,
    )
    folder = out or Path("optuna_de_models", _folder_name(origin, genome))
    raise typer.Exit(run_training(job, choice, folder))


class Source:
    """Where ``train`` has its network from: a trial of a study, or a text."""

    def __init__(
        self, study_name: str | None, storage: str, trial: int | None, architecture: str | None
    ) -> None:
        if (trial is None) == (architecture is None):
            raise ValueError("Give either --trial (with --study-name) or --architecture.")
        self.study = None
        if trial is not None or study_name is not None:
            self.study = _open(study_name, storage)
        self.trial, self.architecture = trial, architecture

    def resolve(
        self, choice: DataChoice, named: bool, split_seed: int | None
    ) -> tuple[Genome, DataChoice, ImageData, str, str]:
        """Return network, data, where the network comes from, and the search's recipe."""
        from dataclasses import replace

        from optuna_de.cnn.origin import complete_trial, network_of, recorded_setup, same_data

        if self.study is None:
            choice = replace(choice, split_seed=split_seed or 0)
            images, searched = choice.load(), ""
        else:
            searched = str(recorded_setup(self.study).get("recipe", ""))
            found = None if self.trial is None else complete_trial(self.study, self.trial)
            given = choice if named else None
            choice, images = same_data(self.study, given, choice, split_seed)
            if found is not None:
                origin = f"trial {found.number} of study {self.study.study_name}"
                return network_of(found), choice, images, origin, searched
        text = self.architecture or ""
        return fitted(text, images), choice, images, _named(text), searched


def _named(text: str) -> str:
    name = text.strip().lower()
    return f"{name} of the zoo" if name in ZOO else "a given architecture"


def fitted(text: str, images: ImageData) -> Genome:
    """Return the network of a text, or of a name of the zoo without pools that do not fit.

    Raises:
        ValueError: Where it is neither.
    """
    genome = known(text)
    return repair(genome, images.image_shape) if genome in ZOO.values() else genome


def _recipe(name: str | None, searched: str) -> Recipe:
    from optuna_de.cnn.recipes import get_recipe

    return get_recipe(name or ("seed-final" if searched.startswith("seed") else "final"))


def final_training(
    genome: Genome,
    images: ImageData,
    recipe: Recipe,
    *,
    origin: str,
    epochs: int | None,
    batch_size: int | None,
    seed: int,
    device: str,
    keep_validation: bool = False,
) -> FinalTraining:
    """Describe a training; numbers that are None are the recipe's."""
    from optuna_de.cnn.final import FinalTraining
    from optuna_de.cnn.scoring import pick_device
    from optuna_de.cnn.search import fit_recipe

    return FinalTraining(
        genome=genome,
        data=images,
        recipe=fit_recipe(recipe, images),
        epochs=recipe.epochs if epochs is None else epochs,
        batch_size=recipe.batch_size if batch_size is None else batch_size,
        seed=seed,
        device=pick_device(device),
        keep_validation=keep_validation,
        origin=origin,
    )


def use_threads(threads: int | None) -> None:
    """Let torch compute with so many threads; None leaves it its own choice."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def _folder_name(origin: str, genome: Genome) -> str:
    text = render(genome)
    name = f"{text[:60]}-{crc32(text.encode()):08x}" if origin.startswith("a given") else origin
    return re.sub(r"[^\w.-]+", "-", name)


def run_training(job: FinalTraining, choice: DataChoice, folder: Path) -> int:
    """Train in a folder, say the figures, and return the exit code."""
    from optuna_de.cnn.card import read_result, write_all
    from optuna_de.cnn.final import claim_folder, fit, score

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


@contextmanager
def watched(epochs: int, label: str, held_out: bool) -> Iterator[Callable[[Epoch], None]]:
    """Show the epochs with the time left; where the output is no terminal, a line for each.

    Args:
        epochs: How many there will be.
        label: What is trained, before the number of the epoch.
        held_out: Whether the validation figures are of images that are not trained on.
    """
    columns = (
        TextColumn("{task.description}epoch", markup=False),
        MofNCompleteColumn(),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[news]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    live = progress_console.is_terminal
    with Progress(
        *columns, console=progress_console, disable=not live, speed_estimate_period=1e9
    ) as bar:
        task = bar.add_task(f"{label} " if label else "", total=epochs, news="")
        spent: list[float] = []

        def look(epoch: Epoch) -> None:
            news = _news(epoch, held_out)
            bar.update(task, completed=epoch.number, news=news)
            spent.append(epoch.seconds)
            left = (epochs - epoch.number) * sum(spent) / len(spent)
            if not live:
                say(
                    f"{label}{' ' if label else ''}epoch {epoch.number} of {epochs}: {news}, "
                    f"{epoch.seconds:.1f} s, about {left:.0f} s left",
                    progress_console,
                )

        yield look


def _news(epoch: Epoch, held_out: bool) -> str:
    error = epoch.validation_error
    name = "validation" if held_out else "without augmentation"
    other = "" if error is None else f", {name} {1 - error:.2%}"
    return f"loss {epoch.train_loss:.4f}, accuracy {1 - epoch.train_error:.2%}{other}"


def say(text: str, where: Console = console) -> None:
    """Print a line as it is."""
    where.print(text, highlight=False, markup=False, soft_wrap=True)
