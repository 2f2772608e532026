"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Opt = typer.Option
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
