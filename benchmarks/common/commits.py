"""Two commits in turns: the same code in new processes, with an old package and today's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SINGLE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Yield a temporary folder with a commit of this repository."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "before")
        subprocess.check_call(
            ["git", "worktree", "add", "-q", "--detach", place, commit], cwd=ROOT
        )
        try:
            yield place
        finally:
            subprocess.check_call(["git", "worktree", "remove", "--force", place], cwd=ROOT)


def output(package: Path, code: str, *arguments: object) -> str:
    """Return what code prints in a new process on one thread, with the package in a folder."""
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)]
    env = {**os.environ, **_SINGLE, "PYTHONPATH": str(package)}
    return subprocess.check_output(command, env=env, cwd=package, text=True)
