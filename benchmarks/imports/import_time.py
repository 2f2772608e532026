"""Import time: processor time and memory of a new process that imports or asks for help.

Run ``python -m benchmarks.imports.import_time --before REVISION --save``. Each measurement is a
process of its own; today's package and that of the revision take turns, after one unmeasured
round that writes the bytecode.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common.results import Row, cell, header, markdown, results_of, write

RESULTS = results_of(__file__)
ROOT = Path(__file__).parents[2]
TASKS = {
    "import optuna": "import optuna",
    "import optuna_de": "import optuna_de",
    "optuna-de --help": "import sys; sys.argv = ['optuna-de', '--help']; {main}",
    "optuna-de search --data none/such": (
        "import sys; sys.argv = ['optuna-de', 'search', '--data', 'none/such']; {main}"
    ),
}
"""What a process does, by name; the last is refused."""
MAIN = "from optuna_de.__main__ import main; main()"
MEASURED = """
import json, resource, sys
try:
    {task}
except SystemExit:
    pass
used = resource.getrusage(resource.RUSAGE_SELF)
figures = [used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]
print(json.dumps(figures), file=sys.__stderr__)
"""


def measure(task: str, root: Path) -> list[float]:
    """Return seconds of processor time and MiB of a process with a package of its own."""
    code = MEASURED.format(task=TASKS[task].format(main=MAIN))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=tempfile.gettempdir(),
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        text=True,
    )
    figures: list[float] = json.loads(done.stderr.splitlines()[-1])
    return figures


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """Yield a folder with the package as a revision had it."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", revision, "optuna_de"], cwd=ROOT, check=True, capture_output=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder)


def table(rows: Sequence[Row], before: str) -> str:
    """Return seconds and memory of each task, before and now."""
    lines = []
    for task in TASKS:
        cells = []
        for when in ("before", "now"):
            own = [row for row in rows if (row["task"], row["when"]) == (task, when)]
            cells += [cell([row["seconds"] for row in own], 2)]
            cells += [cell([row["mib"] for row in own], 0)]
        lines.append([task, *cells])
    head = [f"s, {before}", f"MiB, {before}", "s, now", "MiB, now"]
    return markdown(["process", *head], lines)


def main() -> None:
    """Measure, print the table, and save it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", required=True, help="a revision of this repository")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--save", action="store_true", help="write benchmarks/imports/results")
    args = parser.parse_args()
    rows = []
    with checked_out(args.before) as older:
        for repeat in range(args.repeats + 1):
            for task in TASKS:
                for when, root in (("before", older), ("now", ROOT)):
                    seconds, mib = measure(task, root)
                    if repeat:
                        about = {"task": task, "when": when}
                        rows.append({**about, "seconds": round(seconds, 3), "mib": round(mib, 1)})
    print(table(rows, args.before))
    if args.save:
        head = header(args.repeats, before=args.before)
        print(write(RESULTS / "import_time.jsonl", head, rows))


if __name__ == "__main__":
    main()
