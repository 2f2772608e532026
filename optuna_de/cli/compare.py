"""The command ``compare``: train networks alike, score them on the test split; its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from optuna_de.cli.options import Opt, Storage, TrainingOptions, spread
from optuna_de.cnn.data.options import DataOptions

BASELINES = "model1,model2,alexnet,vgg16"


@spread("validation_fraction")
def compare(
    options: DataOptions,
    training: TrainingOptions,
    study_name: Annotated[str | None, Opt(help="Study to pick networks from.")] = None,
    storage: Storage = "sqlite:///optuna_de.db",
    picks: Annotated[
        int | None,
        Opt(
            min=1,
            help="Number of networks of its front, lowest validation error first (default: 3).",
        ),
    ] = None,
    architecture: Annotated[
        list[str] | None, Opt(help="Another network as text; may be repeated.")
    ] = None,
    baselines: Annotated[
        str, Opt(help="Networks of the zoo to compare with; empty for none.")
    ] = BASELINES,
    seeds: Annotated[int, Opt(min=1, help="Trainings of each network.")] = 3,
    seed: Annotated[int, Opt(help="The first of the seeds.")] = 0,
    out: Annotated[Path, Opt(help="Folder of the comparison.")] = Path("optuna_de_comparison"),
) -> None:
    """Train networks alike from several seeds and score them on the test split.

    After an interruption, run the same command again to continue.

    Example: optuna-de compare --study-name photos-modern --picks 2 --seeds 3
    """
    from optuna_de.cli.runs.compare import Chosen, compare_networks

    chosen = Chosen(picks, tuple(architecture or ()), baselines)
    every = range(seed, seed + seeds)
    raise typer.Exit(
        compare_networks(options, training, (study_name, storage), chosen, every, out)
    )
