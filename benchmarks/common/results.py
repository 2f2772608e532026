"""Results of benchmarks: machine and versions, JSON lines, medians, Markdown tables."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Row = dict[str, Any]
PACKAGES = (
    "optuna",
    "optuna-de",
    "numpy",
    "scipy",
    "pymoo",
    "pymoode",
    "cmaes",
    "cma",
    "minionpy",
    "moocore",
    "scikit-learn",
    "torch",
    "botorch",
)


def machine() -> str:
    """Return the processor, its architecture and the memory in words."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {model}, {platform.machine()}, {gib:.0f} GiB"


def versions() -> dict[str, str]:
    """Return the versions of Python and of the measured packages that are installed."""
    installed = {dist.metadata["Name"].lower(): dist.version for dist in metadata.distributions()}
    named = {name: installed[name] for name in PACKAGES if name in installed}
    return {"python": platform.python_version(), **named}


def header(n: int, **about: Any) -> Row:
    """Return the first line of a result file: what ran, where, with which versions, how often.

    Of a path in the command the last part is kept: where a folder lies is the machine's matter.
    """
    command = " ".join([Path(sys.argv[0]).stem, *(Path(part).name for part in sys.argv[1:])])
    return {"command": command, "machine": machine(), "versions": versions(), "n": n, **about}


def results_of(script: str) -> Path:
    """Return the folder of the results of a script, from its ``__file__``."""
    return Path(script).parent / "results"


def write(path: Path, head: Row, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write a result file ``name.jsonl``: the header, then one row a line."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in [head, *rows]), encoding="utf-8")
    return path


def resumed(
    path: Path, head: Row, jobs: Iterable[Row], measure: Callable[[Row], Row]
) -> list[Row]:
    """Append the rows that a result file lacks, one by one, and return all.

    Args:
        path: The file; it is begun where there is none.
        head: Its first line then.
        jobs: What a row is about, without what was measured.
        measure: Returns what is measured.
    """
    if not path.exists():
        write(path, head, [])
    rows = read(path)[1]
    for job in jobs:
        if not any(job.items() <= row.items() for row in rows):
            rows.append({**job, **measure(job)})
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    return rows


def added(path: Path, head: Row, rows: Sequence[Row], by: str) -> tuple[Row, list[Row]]:
    """Add rows to those of a result file; rows with the same value of ``by`` take their place.

    Raises:
        SystemExit: If the file was measured on another machine, with other versions, seeds or
            budget.
    """
    old, kept = read(path)
    alike = all(old[key] == head[key] for key in ("machine", "n", "budget"))
    if not alike or not old["versions"].items() <= head["versions"].items():
        raise SystemExit(f"{path.name} has another budget, n, machine or versions.")
    measured = {row[by] for row in rows}
    head = {**head, "command": f"{old['command']}; {head['command']}"}
    return head, [*(row for row in kept if row[by] not in measured), *rows]


def read(path: Path) -> tuple[Row, list[Row]]:
    """Return the header and the rows of a result file."""
    head, *rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return head, rows


def spread(values: ArrayLike) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile."""
    low, middle, high = np.quantile(np.asarray(values, dtype=float), [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)


def cell(values: ArrayLike, digits: int = 4) -> str:
    """Return ``median [quartile, quartile]`` as text."""
    low, middle, high = spread(values)
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def markdown(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
