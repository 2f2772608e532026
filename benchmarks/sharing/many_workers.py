"""Two hundred workers on one study: PostgreSQL directly and through the gRPC proxy.

Run ``python -m benchmarks.sharing.many_workers --save`` in the repository's root; it starts a
PostgreSQL server of its own (:mod:`tests.servers`). Workers are threads of a few processes, each
process with one storage, as threads of one machine share it. A worker asks, suggests ten numbers,
sleeps for the ``--duration`` of a trial and tells, until the window of ``--seconds`` closes. The
samplers take turns, each on a new study, so that a busy machine slows all alike; DESampler's
throughput is also given as a share of RandomSampler's of the same turn. Without ``--duration`` the
processors are the limit, and these are the workers' and the server's together: more machines have
more.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import optuna
import sqlalchemy

from benchmarks.common.crew import CONTEXT, Proxy
from benchmarks.common.results import Row, cell, header, markdown, results_of, write
from benchmarks.sharing.simulated import begin, crew
from tests import servers

RESULTS = results_of(__file__)

ROUTES = ("postgresql", "proxy")
SAMPLERS = ("random", "de")
ACTIVE = "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 't%%'"
COLUMNS = (
    *("route", "sampler", "workers", "seconds of a trial", "trials/s", "share of random"),
    *("ask ms, median", "p95", "suggest ms, median", "p95", "tell ms, median", "p95"),
    *("connections", "errors"),
)


def measure(
    url: str, admin: str, name: str, sampler: str, args: argparse.Namespace
) -> tuple[list[list[float]], list[str], int]:
    """Let all workers run on a new study for a window; return times, errors, connections."""
    begin(url, name, sampler)
    gate, results = CONTEXT.Barrier(args.processes), CONTEXT.Queue()
    task = (url, name, sampler, args, gate, results)
    processes = [CONTEXT.Process(target=crew, args=task) for _ in range(args.processes)]
    for process in processes:
        process.start()
    engine, connections = sqlalchemy.create_engine(admin), 0
    outcomes: list[tuple[list[list[float]], list[str]]] = []
    while len(outcomes) < args.processes:
        time.sleep(0.5)
        with engine.connect() as connection:
            connections = max(connections, connection.exec_driver_sql(ACTIVE).scalar() or 0)
        while not results.empty():
            outcomes.append(results.get())
    engine.dispose()
    for process in processes:
        process.join()
    times = [row for rows, _ in outcomes for row in rows]
    return times, [error for _, some in outcomes for error in some], connections


@contextmanager
def route(name: str, server: servers.Server, threads: int) -> Iterator[str]:
    """Yield the URL by which workers reach a new database."""
    url = server.database()
    if name == "postgresql":
        yield url
        return
    proxy = Proxy(url, threads)
    try:
        yield proxy.url
    finally:
        proxy.kill()


def compare(name: str, server: servers.Server, args: argparse.Namespace) -> list[Row]:
    """Measure the samplers in turns on one route and return a row for each."""
    about = {"route": name, "workers": args.workers, "duration": args.duration}
    rows: dict[str, Row] = {
        s: {**about, "sampler": s, "rates": [], "times": [], "errors": [], "connections": 0}
        for s in SAMPLERS
    }
    with route(name, server, args.threads) as url:
        for turn, sampler in itertools.product(range(args.repeats), SAMPLERS):
            measured = measure(url, server.admin, f"{sampler}-{turn}", sampler, args)
            row, (times, errors, connections) = rows[sampler], measured
            row["rates"].append(round(len(times) / args.seconds, 3))
            row["times"] += times
            row["errors"] += errors
            row["connections"] = max(row["connections"], connections)
    return [summed(row, rows["random"]["rates"]) for row in rows.values()]


def summed(row: Row, random: Sequence[float]) -> Row:
    """Return a row with quantiles of the latencies in place of all times."""
    times = np.array(row.pop("times"), dtype=float).reshape(-1, 3)
    quantiles = np.quantile(times, [0.5, 0.95], axis=0).T if len(times) else np.zeros((3, 2))
    names = ("ask", "suggest", "tell")
    shares = [round(a / b, 3) for a, b in zip(row["rates"], random, strict=True) if b]
    latencies = {n: np.round(q, 1).tolist() for n, q in zip(names, quantiles, strict=True)}
    errors = {"errors": len(row["errors"]), "example": row["errors"][:1]}
    return {**row, **errors, "shares": shares, "trials": len(times), **latencies}


def table(rows: Sequence[Row]) -> str:
    """Return the table of all routes."""
    lines = [
        (
            *(r["route"], r["sampler"], r["workers"], r["duration"], cell(r["rates"], 1)),
            *(cell(r["shares"], 2), *r["ask"], *r["suggest"], *r["tell"]),
            *(r["connections"], r["errors"]),
        )
        for r in rows
    ]
    return markdown(COLUMNS, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("routes", nargs="*", default=list(ROUTES), help=", ".join(ROUTES))
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=10, help="of the proxy")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a window")
    parser.add_argument("--duration", type=float, default=0.0, help="mean seconds of a trial")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")  # Optuna's experimental features
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # the server's user reads it
        with servers.postgres(Path(folder), max_connections=args.workers + 60) as server:
            rows = [row for name in args.routes for row in compare(name, server, args)]
    print(table(rows))
    if args.save:
        about = {"seconds": args.seconds, "processes": args.processes, "threads": args.threads}
        head = header(args.repeats, load=os.getloadavg()[0], **about)
        print(write(RESULTS / "many_workers.jsonl", head, rows))


if __name__ == "__main__":
    main()
