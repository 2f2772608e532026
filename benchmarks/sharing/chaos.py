"""Chaos: workers that share a study are killed and paused at random; is a trial lost or repeated?

Run ``python -m benchmarks.sharing.chaos sqlite --save`` (or journal, postgresql, proxy) in the
root of the repository; POSIX only. About once a second one of the workers is killed (SIGKILL) or
hung up (SIGHUP) and replaced, or paused (SIGSTOP) for longer than its heartbeats may be silent.
PostgreSQL's server, or the gRPC proxy before it, is killed and started again now and then. After
``--seconds`` the peace lets the workers finish ``--trials``. With ``--save`` each storage is
written as it ends; ``--resume`` leaves out those that are written.

A trial and its clones have one root. *Lost* is a root without a finished, waiting or running
trial; *given up* one whose worker died more often than a trial is queued again; *repeated* one
with two COMPLETE trials; *stuck* is a trial still RUNNING at the end; a *crash* is a worker that
ended by an error. *Waiting* are trials put back because others reached the total at that moment.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from benchmarks.common.crew import PAUSE, Crew, Proxy
from benchmarks.common.results import Row, header, markdown, results_of, write
from optuna_de import DESampler
from optuna_de.storage.open_storage import open_storage
from optuna_de.storage.stale_trials import OWED, parent, quietly_experimental
from optuna_de.worker.optimize import optimize
from tests import servers

RESULTS = results_of(__file__)

STORES = ("sqlite", "journal", "postgresql", "proxy")
COLUMNS = (
    *("store", "workers", "kills", "hangups", "pauses", "restarts", "crashes", "trials"),
    *("asked", "finished", "lost", "repeated", "stuck", "given up", "waiting", "front", "seconds"),
)
COUNTS = ("kills", "hangups", "pauses", "restarts", "crashes")
BEAT, GRACE = 1, 4
"""Seconds between heartbeats, and of silence until a trial is dead."""
MAX_RETRY = 100
"""No trial is given up; the default of 3 would give up one that is killed four times."""


def study_of(url: str) -> optuna.Study:
    """Open or make the study, with heartbeats fast enough for a short run."""
    storage = open_storage(url, heartbeat_interval=BEAT, grace_period=GRACE, max_retry=MAX_RETRY)
    return optuna.create_study(
        study_name="chaos",
        storage=storage,
        sampler=DESampler(seed=0),
        directions=["minimize"] * 2,
        load_if_exists=True,
    )


def work(url: str, total: int, duration: float) -> None:
    """Be one worker until the study is done."""
    logging.disable(logging.WARNING)
    rng = random.Random()

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        x = [trial.suggest_float(f"x{i}", 0, 1) for i in range(5)]
        time.sleep(rng.uniform(0.5, 1.5) * duration)
        return sum(x), sum((v - 1) ** 2 for v in x)

    optimize(study_of(url), objective, total=total, heartbeat_interval=BEAT)


@contextmanager
def opened(store: str) -> Iterator[tuple[str, Callable[[], None] | None]]:
    """Yield the URL of an empty store, and how to kill and start its server."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # a server's user reads it
        if store not in ("postgresql", "proxy"):
            yield f"{store}:///{folder}/study", None
            return
        with servers.postgres(Path(folder)) as server:
            if store == "postgresql":
                yield server.database(), lambda: server.restart(signal.SIGKILL)
                return
            proxy = Proxy(server.database())
            try:
                yield proxy.url, proxy.restart
            finally:
                proxy.kill()


def disturb(
    crew: Crew, rng: random.Random, seconds: float, restart: Callable[[], None] | None
) -> None:
    """Kill and pause until the time is over or all workers are done."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and (alive := crew.alive()):
        time.sleep(rng.uniform(0.5, 1.5))
        crew.replace_crashed()
        dice, index = rng.random(), rng.choice(alive)
        if crew.workers[index].exitcode is not None:
            continue
        if restart is not None and dice < 0.05:
            restart()
            crew.counts["restarts"] += 1
        elif dice < 0.5:
            crew.kill(index)
        elif dice < 0.7:
            crew.hang_up(index)
        else:
            crew.pause(index)


def _root(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> int:
    while (older := parent(trial)) is not None:
        trial = trials[older]
    return trial.number


def _front(trials: Sequence[FrozenTrial]) -> set[int]:
    """Return the numbers of the trials that no other dominates, by definition."""
    points = {t.number: tuple(t.values) for t in trials if t.state == TrialState.COMPLETE}
    return {
        number
        for number, mine in points.items()
        if not any(
            other != mine and all(a <= b for a, b in zip(other, mine, strict=True))
            for other in points.values()
        )
    }


def tally(study: optuna.Study, asked: int, max_retry: int = MAX_RETRY) -> Row:
    """Return the fate of the trials, of which so many were asked for."""
    trials = study.get_trials(deepcopy=False)
    roots: dict[int, Counter[TrialState]] = defaultdict(Counter)
    deaths = Counter[int]()
    for trial in trials:
        root = _root(trials, trial)
        roots[root][trial.state] += 1
        deaths[root] += trial.system_attrs.get(OWED) == trial.number
    states = Counter(t.state for t in trials)
    kept = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.WAITING, TrialState.RUNNING)
    gone = [number for number, root in roots.items() if not any(root[s] for s in kept)]
    given_up = sum(deaths[number] > max_retry for number in gone)
    return {
        "trials": len(trials),
        "asked": asked,
        "finished": states[TrialState.COMPLETE] + states[TrialState.PRUNED],
        "lost": len(gone) - given_up,
        "repeated": sum(root[TrialState.COMPLETE] > 1 for root in roots.values()),
        "stuck": states[TrialState.RUNNING],
        "given up": given_up,
        "waiting": states[TrialState.WAITING],
        "front": "equal" if {t.number for t in study.best_trials} == _front(trials) else "WRONG",
    }


def run(store: str, workers: int, trials: int, seconds: float, duration: float, seed: int) -> Row:
    """Run one chaos and return its line."""
    with opened(store) as (url, restart), quietly_experimental():
        study, started = study_of(url), time.monotonic()
        crew = Crew(workers, work, url, trials, duration)
        disturb(crew, random.Random(seed), seconds, restart)
        while crew.alive() or any(w.exitcode for w in crew.workers):
            crew.replace_crashed()
            time.sleep(0.2)
        wall = time.monotonic() - started
        counts = {name: crew.counts[name] for name in COUNTS}
        row = {"store": store, "workers": workers, **counts, **tally(study, trials)}
        if engine := getattr(study._storage, "engine", None):
            engine.dispose()
        return {**row, "seconds": round(wall, 1)}


def table(rows: Sequence[Row]) -> str:
    """Return the table of one or several runs; what a row lacks was not done in it."""
    return markdown(COLUMNS, [[row.get(name, "-") for name in COLUMNS] for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stores", nargs="*", default=list(STORES), help=", ".join(STORES))
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--trials", type=int, default=400, help="finished trials of the study")
    parser.add_argument("--seconds", type=float, default=60.0, help="of chaos")
    parser.add_argument("--duration", type=float, default=0.5, help="mean seconds of a trial")
    parser.add_argument("--seed", type=int, default=0, help="of the chaos")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    parser.add_argument("--resume", action="store_true", help="leave out storages with results")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options = (args.workers, args.trials, args.seconds, args.duration, args.seed)
    rows = []
    for store in args.stores:
        file = RESULTS / f"chaos-{store}.jsonl"
        if args.resume and file.exists():
            continue
        rows.append(run(store, *options))
        head = header(1, duration=args.duration, grace=GRACE, pause=PAUSE, load=os.getloadavg()[0])
        if args.save:
            write(file, head, rows[-1:])
    print(table(rows))


if __name__ == "__main__":
    main()
