"""The command ``compare``: networks side by side; :mod:`optuna_de.cli.app` has it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optuna_de.cli.console import console, say
from optuna_de.cli.options import (
    BatchSize,
    Data,
    DataDir,
    Device,
    Download,
    Epochs,
    ImageSize,
    Opt,
    RecipeName,
    SplitSeed,
    Storage,
    Subset,
    Threads,
)
from optuna_de.cli.train import INTERRUPTED, open_named
from optuna_de.cli.training_progress import watched

if TYPE_CHECKING:
    from optuna_de.cli.training_progress import Look
    from optuna_de.cnn.evaluation.candidates import Candidate, Candidates

BASELINES = "model1,model2,alexnet,vgg16"


def compare(
    study_name: Annotated[str | None, Opt(help="Study to pick networks from.")] = None,
    storage: Storage = "sqlite:///optuna_de.db",
    picks: Annotated[
        int | None,
        Opt(min=1, help="So many of its front, least validation error first (default: 3)."),
    ] = None,
    architecture: Annotated[
        list[str] | None, Opt(help="Another network as text; may be repeated.")
    ] = None,
    baselines: Annotated[
        str, Opt(help="Networks of the zoo to stand beside them; empty for none.")
    ] = BASELINES,
    seeds: Annotated[int, Opt(min=1, help="Trainings of each network.")] = 3,
    seed: Annotated[int, Opt(help="The first of the seeds.")] = 0,
    data: Data = None,
    data_dir: DataDir = None,
    download: Download = False,
    image_size: ImageSize = None,
    subset: Subset = None,
    split_seed: SplitSeed = None,
    recipe: RecipeName = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    threads: Threads = None,
    out: Annotated[Path, Opt(help="Folder of the comparison.")] = Path("optuna_de_comparison"),
) -> None:
    """Train networks alike from several seeds and score them on the test split.

    The same command again goes on after an interruption.
    """
    from optuna_de.cnn.data.loading import DataChoice
    from optuna_de.cnn.evaluation.candidates import begin_candidates
    from optuna_de.cnn.evaluation.comparison import Comparison
    from optuna_de.cnn.evaluation.comparison import compare as carry_out
    from optuna_de.cnn.training.device import use_threads

    use_threads(threads)
    begun = begin_candidates(
        open_named(study_name, storage, needed=picks is not None),
        DataChoice(data or "digits", data_dir, download, image_size, subset),
        named=data is not None,
        split_seed=split_seed,
    )
    comparison = Comparison(
        networks(begun, picks, architecture or [], baselines),
        tuple(range(seed, seed + seeds)),
        lambda network, seed: begun.training(
            network,
            recipe=recipe,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            device=device,
        ),
    )
    _, _, first = next(comparison.jobs())

    def watch(label: str) -> AbstractContextManager[Look]:
        return watched(first.epochs, label, held_out=False)

    try:
        carry_out(comparison, begun.choice.load_test, out, watch)
    except KeyboardInterrupt:
        say("Interrupted; the same command goes on from the last whole epoch.")
        raise typer.Exit(INTERRUPTED) from None
    page = (out / "compare.md").read_text(encoding="utf-8")
    console.print(page, highlight=False, markup=False, soft_wrap=True)


def networks(
    begun: Candidates, picks: int | None, architectures: list[str], baselines: str
) -> tuple[Candidate, ...]:
    """Return picks, given networks and baselines, in this order."""
    count = picks or (0 if begun.study is None else 3)
    named = [*architectures, *filter(None, (name.strip() for name in baselines.split(",")))]
    return (*(begun.picks(count) if count else ()), *map(begun.known, named))
