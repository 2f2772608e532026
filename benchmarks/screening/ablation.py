"""What each part of screening adds on a table: one option changed at a time.

Run ``python -m benchmarks.screening.ablation --table nb201-cifar10-params --save``. The measure is
the regret of :mod:`benchmarks.sampler.tables_regret`; the ablation without the first epoch's
error, which tables do not have, is ``de-screened-halved-blind`` of
:mod:`benchmarks.screening.real_training`.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from benchmarks.common.results import header, markdown, results_of, write
from benchmarks.common.tabular import NAMES
from benchmarks.sampler.tables_regret import measure, rows, summary

RESULTS = results_of(__file__)

CHANGES: tuple[dict[str, Any], ...] = (
    {"screening": True},
    {"screening": True, "prices": None},
    {"screening": {"price": False}},
    *({"screening": {"pool": n}} for n in (25, 400)),
    *({"screening": {"smoothness": nu}} for nu in (0.5, 2.5)),
    *({"screening": {"optimism": k}} for k in (0.0, 0.5, 2.0)),
    {},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", choices=NAMES, default="nb201-cifar10-params")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    names = ["de" + json.dumps(options) for options in CHANGES]
    regret = measure(names, args.table, range(args.seeds), args.budget)
    points = [n for n in (60, 110, 200) if n <= args.budget]
    lines = [[name, *summary(values, points)] for name, values in regret.items()]
    print(markdown(["sampler", *map(str, points)], lines))
    if args.save:
        head = header(args.seeds, table=args.table, budget=args.budget)
        print(
            write(
                RESULTS / f"screening-ablation-{args.table}.jsonl", head, rows(args.table, regret)
            )
        )


if __name__ == "__main__":
    main()
