"""Chaos of whole searches: are launchers, workers and folders that fail survived?

Run ``python -m benchmarks.sharing.chaos_launchers sqlite --save`` (or journal, postgresql, proxy)
in the root of the repository; Linux only. Two launchers of ``optuna-de search`` with two workers
each share a study of tiny networks. Every few seconds a launcher gets SIGHUP or SIGKILL, a worker
gets SIGKILL, the folder of artifacts is full for a while (a small tmpfs where one can be mounted,
a file in place of the folder elsewhere), or an intruder with other options asks to join. After
``--seconds`` the peace lets the launchers finish ``--trials``. The heartbeats are those of real
searches, so the peace lasts about two minutes.

*Orphans* are workers that live 5 seconds after their launcher; *joined* are intruders that were
not refused with exit code 2; *tracebacks* are lines in what the launchers print. The other columns
are those of :mod:`benchmarks.sharing.chaos`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import optuna

from benchmarks.common.results import Row, header, markdown, results_of, write
from benchmarks.sharing.chaos import STORES, opened, tally
from optuna_de.storage.open_storage import open_storage
from optuna_de.storage.stale_trials import MAX_RETRY, quietly_experimental

RESULTS = results_of(__file__)
STUDY = "launchers"
COUNTS = (
    *("launcher SIGHUP", "launcher SIGKILL", "worker SIGKILL", "full disk", "intruders"),
    *("joined", "orphans", "crashes", "tracebacks"),
)
COLUMNS = (
    *("store", *COUNTS, "asked", "finished", "lost", "repeated", "stuck", "given up", "seconds"),
)
LEFT = 5.0
"""Seconds within which workers have to leave after their launcher."""
FULL = 4.0
"""Seconds for which the disk is full."""
EPOCHS = 4
WARM = "B8k3-MP-GAP,B9k3-MP-GAP"


def children(pid: int) -> list[int]:
    """Return the workers of a launcher."""
    try:
        pids = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
        return [int(c) for c in pids if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]
    except OSError:
        return []


@dataclass
class Drill:
    """Launchers of one study in a folder, and the counts of what befell them."""

    url: str
    folder: Path
    trials: int
    launchers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def artifacts(self) -> Path:
        """The folder of trial files and checkpoints."""
        return self.folder / "artifacts"

    def launch(self, epochs: int = EPOCHS) -> subprocess.Popen[bytes]:
        """Start a launcher; what it prints is appended to a file."""
        options = {
            "storage": self.url,
            "study-name": STUDY,
            "artifacts": self.artifacts,
            "trials": self.trials,
            "epochs": epochs,
            "subset": 300,
            "max-parameters": 20_000,
            "device": "cpu",
            "workers": 2,
            "warm-start": WARM,
        }
        words = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "optuna_de", "search", *words],
                cwd=self.folder,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def end(self, index: int, number: signal.Signals) -> None:
        """End a launcher by a signal, count its orphans, and start another one."""
        launcher = self.launchers[index]
        workers = children(launcher.pid)
        launcher.send_signal(number)
        self.counts[f"launcher {number.name}"] += 1
        ends = time.monotonic() + LEFT
        while time.monotonic() < ends and any(map(alive, workers)):
            time.sleep(0.05)
        self.counts["orphans"] += sum(map(alive, workers))
        launcher.wait()
        self.launchers[index] = self.launch()

    def kill_worker(self, rng: random.Random) -> None:
        """Kill one worker; its launcher starts another one."""
        workers = [w for launcher in self.launchers for w in children(launcher.pid)]
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
                self.counts["worker SIGKILL"] += 1

    def fill_disk(self) -> None:
        """Let the folder of artifacts take no byte for a while."""
        self.counts["full disk"] += 1
        fill, free = (fill_tmpfs, free_tmpfs) if self.artifacts.is_mount() else (block, unblock)
        fill(self.artifacts)
        time.sleep(FULL)
        free(self.artifacts)

    def intrude(self) -> None:
        """Ask to join with other options."""
        self.counts["intruders"] += 1
        self.counts["joined"] += self.launch(EPOCHS + 1).wait() != 2

    def replace_crashed(self) -> None:
        """Count and replace the launchers that ended by an error."""
        for index, launcher in enumerate(self.launchers):
            if launcher.poll() not in (None, 0):
                self.counts["crashes"] += 1
                self.launchers[index] = self.launch()


def alive(pid: int) -> bool:
    """Return whether a process lives; one that nobody has waited for yet does not."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            != "Z"
        )
    except OSError:
        return False


def fill_tmpfs(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / "ballast").open("wb") as ballast:
        while True:
            ballast.write(bytes(4096))
            ballast.flush()


def free_tmpfs(folder: Path) -> None:
    (folder / "ballast").unlink(missing_ok=True)


def block(folder: Path) -> None:
    folder.rename(folder.with_name("away"))
    folder.touch()


def unblock(folder: Path) -> None:
    folder.unlink()
    folder.with_name("away").rename(folder)


def mount(folder: Path) -> bool:
    """Mount a small tmpfs; False where this process may not."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def disturb(
    drill: Drill, rng: random.Random, seconds: float, restart: Callable[[], None] | None
) -> None:
    """Disturb until the time is over."""
    events: Sequence[Callable[[], object]] = [
        lambda: drill.end(rng.randrange(len(drill.launchers)), signal.SIGHUP),
        lambda: drill.end(rng.randrange(len(drill.launchers)), signal.SIGKILL),
        lambda: drill.kill_worker(rng),
        drill.fill_disk,
        drill.intrude,
        *([restart] if restart is not None else []),
    ]
    ends, turn = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        time.sleep(rng.uniform(4.0, 8.0))  # a launcher needs seconds to start
        drill.replace_crashed()
        events[turn % len(events)]()
        turn += 1


def run(store: str, trials: int, seconds: float, seed: int) -> Row:
    """Run one drill and return its line."""
    with opened(store) as (url, restart), tempfile.TemporaryDirectory() as folder:
        drill, started = Drill(url, Path(folder), trials), time.monotonic()
        mounted = mount(drill.artifacts)
        try:
            drill.launchers += [drill.launch(), drill.launch()]
            disturb(drill, random.Random(seed), seconds, restart)
            while any(launcher.poll() != 0 for launcher in drill.launchers):
                drill.replace_crashed()
                time.sleep(0.5)
            return {"store": store, **result(drill), "seconds": round(time.monotonic() - started)}
        finally:
            for launcher in drill.launchers:
                launcher.kill()
            if mounted:
                subprocess.run(["umount", "-l", str(drill.artifacts)], check=False)


def result(drill: Drill) -> Row:
    """Return the counts of a drill that is over."""
    log = (drill.folder / "log").read_text(errors="replace")
    drill.counts["tracebacks"] = log.count("Traceback (most recent call last)")
    with quietly_experimental():
        study = optuna.load_study(study_name=STUDY, storage=open_storage(drill.url))
    row = {name: drill.counts[name] for name in COUNTS}
    row |= tally(study, drill.trials, MAX_RETRY)
    if engine := getattr(study._storage, "engine", None):
        engine.dispose()
    return row


def table(rows: Sequence[Row]) -> str:
    """Return the table of one or several drills."""
    return markdown(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stores", nargs="*", default=list(STORES), help=", ".join(STORES))
    parser.add_argument("--trials", type=int, default=40, help="finished trials of the study")
    parser.add_argument("--seconds", type=float, default=90.0, help="of chaos")
    parser.add_argument("--seed", type=int, default=0, help="of the chaos")
    parser.add_argument("--save", action="store_true", help="write benchmarks/sharing/results")
    parser.add_argument("--resume", action="store_true", help="leave out storages with results")
    args = parser.parse_args()
    rows = []
    for store in args.stores:
        file = RESULTS / f"chaos_launchers-{store}.jsonl"
        if args.resume and file.exists():
            continue
        rows.append(run(store, args.trials, args.seconds, args.seed))
        if args.save:
            write(file, header(1, left=LEFT, full=FULL, load=os.getloadavg()[0]), rows[-1:])
    print(table(rows))


if __name__ == "__main__":
    main()
