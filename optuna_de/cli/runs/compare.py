"""The run of ``compare``: train chosen networks from seeds, print the comparison; exit code."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna_de.cli.console import console, say
from optuna_de.cli.options import TrainingOptions
from optuna_de.cli.progress.training_progress import OnEpoch, training_progress
from optuna_de.cli.runs.train import INTERRUPTED, RESUME, open_named
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.data.options import DataOptions
from optuna_de.cnn.evaluation.candidates import Candidate, Candidates, load_candidates
from optuna_de.cnn.evaluation.comparison import Comparison, run_comparison
from optuna_de.cnn.evaluation.comparison_page import comparison_page
from optuna_de.cnn.training.device import use_threads

_PICKS = 3


@dataclass(frozen=True)
class Chosen:
    """The networks to compare: of the front, given ones as text, and baselines, in this order.

    Args:
        picks: Networks of the front; None takes three where there is a study.
        texts: Networks as text, or names of the zoo.
        baselines: Further ones, separated by commas.
    """

    picks: int | None
    texts: tuple[str, ...]
    baselines: str

    def networks(self, candidates: Candidates) -> tuple[Candidate, ...]:
        """Return the networks."""
        count = self.picks or (0 if candidates.study is None else _PICKS)
        names = filter(None, (name.strip() for name in self.baselines.split(",")))
        front = candidates.from_front(count) if count else ()
        return (*front, *map(candidates.from_text, [*self.texts, *names]))


def compare_networks(
    options: DataOptions,
    training: TrainingOptions,
    source: tuple[str | None, str],
    chosen: Chosen,
    seeds: Sequence[int],
    out: Path,
) -> int:
    """Train each network from each seed, print the comparison, and return the exit code."""
    use_threads(training.threads)
    study = open_named(*source, needed=chosen.picks is not None)
    candidates = load_candidates(study, DataChoice.of(options))
    comparison = Comparison(
        chosen.networks(candidates),
        tuple(seeds),
        lambda network, seed: training.job(candidates, network, seed=seed),
    )
    try:
        result = _with_progress(comparison, candidates, out)
    except KeyboardInterrupt:
        say(RESUME)
        return INTERRUPTED
    console.print(comparison_page(result), highlight=False, markup=False, soft_wrap=True)
    return 0


def _with_progress(comparison: Comparison, candidates: Candidates, out: Path) -> dict[str, Any]:
    _, _, first = next(comparison.jobs())
    score = candidates.data.scored_by.score

    def progress(label: str) -> AbstractContextManager[OnEpoch]:
        return training_progress(first.epochs, label, held_out=False, score=score)

    return run_comparison(comparison, candidates.choice.load_test, out, progress)
