"""The command ``compare``: final training and test figures of several networks."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from optuna_de.cli.console import console, say
from optuna_de.cli.options import Opt, Storage, TrainingOptions, spread
from optuna_de.cli.progress.training_progress import OnEpoch, training_progress
from optuna_de.cli.train import INTERRUPTED, RESUME, open_named
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.evaluation.candidates import Candidate, Candidates, load_candidates
from optuna_de.cnn.evaluation.comparison import Comparison, run_comparison
from optuna_de.cnn.evaluation.comparison_page import comparison_page
from optuna_de.cnn.training.device import use_threads

BASELINES = "model1,model2,alexnet,vgg16"
_PICKS = 3


@spread("validation_fraction")
def compare(
    choice: DataChoice,
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
    """
    use_threads(training.threads)
    study = open_named(study_name, storage, needed=picks is not None)
    candidates = load_candidates(study, choice)
    comparison = Comparison(
        chosen_networks(candidates, picks, architecture or [], baselines),
        tuple(range(seed, seed + seeds)),
        lambda network, seed: training.job(candidates, network, seed=seed),
    )
    try:
        result = _with_progress(comparison, candidates, out)
    except KeyboardInterrupt:
        say(RESUME)
        raise typer.Exit(INTERRUPTED) from None
    console.print(comparison_page(result), highlight=False, markup=False, soft_wrap=True)


def _with_progress(comparison: Comparison, candidates: Candidates, out: Path) -> dict[str, Any]:
    _, _, first = next(comparison.jobs())
    score = candidates.data.scored_by.score

    def progress(label: str) -> AbstractContextManager[OnEpoch]:
        return training_progress(first.epochs, label, held_out=False, score=score)

    return run_comparison(comparison, candidates.choice.load_test, out, progress)


def chosen_networks(
    candidates: Candidates, picks: int | None, architectures: list[str], baselines: str
) -> tuple[Candidate, ...]:
    """Return networks of the front, given networks and baselines, in this order."""
    count = picks or (0 if candidates.study is None else _PICKS)
    texts = [*architectures, *filter(None, (name.strip() for name in baselines.split(",")))]
    front = candidates.from_front(count) if count else ()
    return (*front, *map(candidates.from_text, texts))
