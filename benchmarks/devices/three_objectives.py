"""Hypervolume regret with three objectives, of which two are known before the evaluation.

Run ``python -m benchmarks.devices.three_objectives``. The table is NAS-Bench-201 on CIFAR-10:
validation error, parameters and latency. The regret is that of ``benchmarks.sampler``. The
screened sampler is told both prices, as a search with a latency table is; the others are told
none, as they have no such argument. Rows of the result file are kept, so it goes on after a stop.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterator, Sequence

from benchmarks.common.peers import maker, quiet
from benchmarks.common.results import Row, cell, header, markdown, read, results_of
from benchmarks.common.tabular import load
from benchmarks.sampler.tables_regret import run

RESULTS = results_of(__file__)
SAMPLERS = ("de-screened", "de", "nsga3", "tpe", "random")
POINTS = (60, 110, 200)


def rows(table: str, seeds: Sequence[int], done: set[tuple[str, int]]) -> Iterator[Row]:
    """Yield the regret of each sampler and seed that is missing, at the points."""
    content = load(table)
    prices = {i: lambda params, i=i: content.values(params)[i] for i in (1, 2)}
    for seed in seeds:
        for name in SAMPLERS:
            if (name, seed) not in done:
                regret = run(maker(name, prices), content, seed, POINTS[-1])
                values = [round(float(regret[n - 1]), 6) for n in POINTS]
                yield {"sampler": name, "seed": seed, "regret": values}


def table(head: Row, measured: Sequence[Row]) -> str:
    """Return the regrets, and in how many seeds the screened sampler is ahead."""
    by = {
        name: {r["seed"]: r["regret"] for r in measured if r["sampler"] == name}
        for name in SAMPLERS
    }
    lines = []
    for name, regrets in by.items():
        cells = [cell([regret[i] for regret in regrets.values()]) for i in range(len(POINTS))]
        ahead = sum(by[SAMPLERS[0]][s][-1] < regret[-1] for s, regret in regrets.items())
        lines.append([name, *cells, "" if name == SAMPLERS[0] else f"{ahead} of {len(regrets)}"])
    last = f"screened is ahead at {POINTS[-1]}"
    return markdown(["sampler", *map(str, POINTS), last], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", default="nb201-cifar10-device")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=100, help="the first seed")
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")
    path = RESULTS / f"three-objectives-{args.table}.jsonl"
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_text(json.dumps(header(args.seeds, table=args.table)) + "\n")
    done = {(row["sampler"], row["seed"]) for row in read(path)[1]}
    for row in rows(args.table, range(args.first, args.first + args.seeds), done):
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)


if __name__ == "__main__":
    main()
