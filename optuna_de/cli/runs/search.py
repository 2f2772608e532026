"""The run of ``search``: search, print the front; exit code."""

from __future__ import annotations

import optuna

from optuna_de._checks import require
from optuna_de._text import shell_line
from optuna_de.cli.console import console, errors, say
from optuna_de.cli.progress.search_progress import front_table, search_progress
from optuna_de.cnn.search.options import SearchOptions
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.search.worker_pool import default_workers, work_together
from optuna_de.cnn.search.worker_process import GAVE_BACK, work
from optuna_de.cnn.study.trials import count_finished, useful_front
from optuna_de.storage.url import redact
from optuna_de.worker.optimize import noticing_deletion

_ENDS = {GAVE_BACK: "The device was lost, is out of memory or gave no latency"}
_AGAIN = "running trials are queued again. Run the same command to continue."


def run_search(options: SearchOptions, workers: int | None, timeout: float | None) -> int:
    """Search, print the front, and return the exit code."""
    require(workers is None or workers >= 1, "workers", workers, "at least 1")
    require(timeout is None or timeout > 0, "timeout", timeout, "above 0")
    search = Search.of(options)
    objective = search.objective()
    count = min(workers or default_workers(search.device), search.total)
    study = search.study(objective)
    say(f"Study {study.study_name} in {redact(search.storage)}.")
    say(f"Data {search.image_data.summary}")
    if search.region is not None:
        say(f"Looks for networks of {search.region.text} (--between, --max-error).")
    code, done = 0, count_finished(study)
    if done >= search.total:
        say(f"All {search.total} trials are finished. To continue, give a larger --trials.")
    else:
        with noticing_deletion(study), search_progress(study, search.total, errors) as refresh:
            if count == 1:
                code = work(search, study, timeout=timeout, callback=lambda *_: refresh())
            else:
                code = work_together(search, count, timeout=timeout, watch=refresh)
    console.print(front_table(study, console.width), highlight=False)
    _say_next(search, study)
    if code:
        say(f"{_ENDS.get(code, 'Interrupted')}: {_AGAIN}", errors)
    return code


def _say_next(search: Search, study: optuna.Study) -> None:
    """Say how to train the network of the front with the least error."""
    front = useful_front(study)
    if front:
        where = ["--storage", redact(search.storage), "--study-name", study.study_name]
        command = ["optuna-de", "train", *where, "--trial", str(front[0].number)]
        say(f"Next: {shell_line(command)}")
