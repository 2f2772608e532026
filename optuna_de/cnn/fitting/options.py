"""Options of a fit, checked before torch is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from optuna_de._checks import require
from optuna_de._options import Option
from optuna_de.cnn.search.options import Between, Stem


@dataclass(frozen=True)
class Fit:
    """Options of a fit, see ``optuna-de fit --help`` for each field."""

    hours: Annotated[
        float | None,
        Option("Time of search and finals (default: 1; one minute for digits).", "Budget"),
    ] = None
    minutes: Annotated[float | None, Option("The same in minutes.", "Budget")] = None
    more_hours: Annotated[
        float | None, Option("Time to add to a fit that is finished.", "Budget")
    ] = None
    between: Between = None
    max_error: Annotated[
        float | None, Option("Largest validation error that is of use, e.g. 0.3.", "Budget")
    ] = None
    max_macs: Annotated[
        int | None, Option("Skip networks with more multiply-accumulates per image.", "Budget")
    ] = None
    out: Annotated[Path, Option("Folder that gets the models.", "Result")] = Path("models")
    storage: Annotated[
        str, Option("Optuna storage; workers with the same URL share the work.", "Study")
    ] = "sqlite:///optuna_de.db"
    study_name: Annotated[
        str | None, Option("Name of the study (default: data set and fit).", "Study")
    ] = None
    seed: Annotated[int, Option("Seed of the search and of all trainings.", "Study")] = 0
    inheritance: Annotated[
        bool, Option("Let children start from their best parent's weights.", "Search")
    ] = False
    stem: Stem = None
    known: Annotated[
        bool,
        Option("Begin with networks of the zoo, widened to the sizes of interest.", "Search"),
    ] = True
    distill: Annotated[
        bool,
        Option(
            "Let smaller finals learn from the best larger one, too. Each of their steps takes a "
            "pass through it more.",
            "Result",
        ),
    ] = False
    tta: Annotated[
        str,
        Option(
            "Test-time augmentation of the models: flips averages two passes an image, "
            "flips-shifts six; or none.",
            "Result",
        ),
    ] = "none"
    device: Annotated[str, Option("auto, cpu, cuda, cuda:1 or mps.", "Machine")] = "auto"
    workers: Annotated[
        int | None,
        Option("Processes on this machine (default: one per GPU or core).", "Machine"),
    ] = None
    artifacts: Annotated[
        Path,
        Option(
            "Folder of checkpoints and weights; share it between machines that work together.",
            "Machine",
        ),
    ] = Path("optuna_de_artifacts")

    def __post_init__(self) -> None:
        for name in ("hours", "minutes", "more_hours"):
            value = getattr(self, name)
            require(value is None or value > 0, name, value, "above 0")
        if self.hours is not None and self.minutes is not None:
            raise ValueError(f"Give hours ({self.hours}) or minutes ({self.minutes}), not both.")
        require(self.workers is None or self.workers >= 1, "workers", self.workers, "at least 1")

    def seconds(self, *, is_default_data: bool) -> float:
        """Return the time by the clock that was given, or the default."""
        if self.minutes is not None:
            return 60 * self.minutes
        if self.hours is None and is_default_data:
            return 60.0
        return 3600 * (1.0 if self.hours is None else self.hours)
