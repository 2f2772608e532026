"""The runs of ``fit`` to images and of ``best``: print models, train the best; exit codes."""

from __future__ import annotations

from math import inf
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from optuna_de._text import duration
from optuna_de.cli.console import console, errors, say
from optuna_de.cli.options import TrainingOptions
from optuna_de.cli.progress.search_progress import search_progress
from optuna_de.cli.runs.train import INTERRUPTED, run_training
from optuna_de.cnn.architecture.region import parse_size
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.data.options import DataOptions
from optuna_de.cnn.evaluation.candidates import load_candidates
from optuna_de.cnn.fitting.options import Fit
from optuna_de.cnn.fitting.plan import FitPlan, plan_rows
from optuna_de.cnn.fitting.time_budget import Fitted, run_fit
from optuna_de.cnn.modules.tta import TTA
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.training.device import use_threads
from optuna_de.storage.open_storage import open_study
from optuna_de.storage.url import redact

_AGAIN = "Interrupted: what is finished is kept. Run the same command to go on."


def fit_images(options: DataOptions, settings: Fit) -> int:
    """Fit, print the models, and return the exit code."""
    try:
        done = run_fit(
            DataChoice.of(options),
            settings,
            tell=lambda search, plan, workers: _tell(search, settings.out, plan, workers),
            watch=lambda study, total: search_progress(study, total, errors),
        )
    except KeyboardInterrupt:  # outside of search and finals, which stop by themselves
        say(_AGAIN, errors)
        return INTERRUPTED
    if done.code:
        say(_AGAIN, errors)
        return done.code
    _print(done, settings.out)
    return 0 if done.models else 1


def _tell(search: Search, out: Path, plan: FitPlan, workers: int) -> None:
    say(f"Data {search.image_data.summary}")
    say(f"Looks for networks of {plan.region.text} (--between, --max-error).")
    say(
        f"A training image costs {1000 * plan.pass_seconds:.3g} ms here on average; {workers} "
        f"worker{'s' * (workers > 1)}, {duration(plan.compute / workers)}."
    )
    table = Table(title="Plan", title_justify="left")
    for name in ("time", "networks", "trained on (validated after each)", "finals", "epochs"):
        table.add_column(name)
    for row in plan_rows(plan, workers):
        table.add_row(*map(escape, row))
    console.print(table, highlight=False)
    if plan.known:
        say(known_text(plan))
    where = f"Study {search.name} in {redact(search.storage)}"
    say(f"{where}; models go to {out}. Ctrl-C keeps all work.")


def known_text(plan: FitPlan) -> str:
    """Return which known networks a plan begins with, in a sentence."""
    names = "; ".join(name for name, _ in plan.known)
    noun = "known network starts" if len(plan.known) == 1 else "known networks start"
    return f"{len(plan.known)} {noun} too: {names} (--no-known leaves them out)."


def _print(done: Fitted, out: Path) -> None:
    if not done.models:
        say("No model could be shipped from here; see the warnings above.", errors)
        return
    say(done.headline)
    table = Table(title=f"Models in {escape(str(out))}", title_justify="left")
    averaged = [f"with {done.models[0].tta}"] if done.models[0].tta_error is not None else []
    names = (*averaged, "parameters", "MACs", "worst class", "folder")
    for name in (f"test {done.models[0].metric}", *names):
        table.add_column(name, justify="left" if name == "folder" else "right")
    for model in done.models:
        views = [] if model.tta_error is None else [f"{model.tta_error:.2%}"]
        cells = (f"{model.test_error:.2%}", *views, f"{model.parameters:,}", f"{model.macs:,}")
        table.add_row(*cells, escape(model.worst_class), escape(model.folder.name))
    console.print(table, highlight=False)
    say(done.models[0].honesty)
    if averaged:
        passes = TTA[done.models[0].tta]
        say(f"The exported models average {passes} passes, so they take as many times the MACs.")
    first = done.models[-1].folder
    say(f"See {out / 'index.html'}. Try: optuna-de predict {first} IMAGE")


def train_best(
    training: TrainingOptions,
    name: str | None,
    storage: str,
    max_parameters: str | None,
    out: Path | None,
) -> int:
    """Train the best network of a study up to a size, and return the exit code."""
    use_threads(training.threads)
    opened = open_study(name, storage)
    most = inf if max_parameters is None else parse_size(max_parameters)
    candidates = load_candidates(opened, DataChoice())
    network, size = candidates.best(most)
    metric = candidates.data.metric
    say(f"Best: {network.name}, validation {metric} {network.error:.2%}, {size:,} parameters.")
    job = training.job(candidates, network, seed=0)
    return run_training(job, candidates.choice, network, out)
