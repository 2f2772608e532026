"""Replay recorded learning curves under rules of early stopping: what is saved, what is lost.

Run ``python -m benchmarks.halving.replay`` after ``python -m benchmarks.halving.record_curves``.
With ``--choose digits`` the rule is chosen on that table, so that only the others judge it.
"""

from __future__ import annotations

import argparse
import heapq
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.study import StudyDirection

from benchmarks.common.results import results_of
from optuna_de.evolution import pareto
from optuna_de.evolution.pareto import dominators
from optuna_de.halving import Halving, rate_margin

RESULTS = results_of(__file__)

Array = NDArray[np.float64]
Point = tuple[float, ...]
Score = Callable[[Array], float]  # errors of the epochs so far -> what is ranked
Decide = Callable[[Halving, Point, Sequence[Point], int], bool]
MINIMIZE = [StudyDirection.MINIMIZE] * 2


@dataclass(frozen=True)
class Curves:
    """Networks trained to the end: errors (n, epochs) in [0, 1], parameters and seconds (n,).

    ``images`` are those that an error was counted on.
    """

    name: str
    errors: Array
    parameters: Array
    seconds: Array
    images: int

    def part(self, rows: NDArray[np.intp] | slice) -> Curves:
        """Return some of the rows."""
        return replace(
            self,
            errors=self.errors[rows],
            parameters=self.parameters[rows],
            seconds=self.seconds[rows],
        )


def latest(errors: Array) -> float:
    return float(errors[-1])


@dataclass(frozen=True)
class Rule:
    """A rule of stopping: the shipped one by default; ``margin`` multiplies the shipped one."""

    name: str
    halving: Halving
    score: Score = latest
    decide: Decide = lambda halving, own, others, number: halving.decide(
        own, others, MINIMIZE, number
    )
    margin: float = 1.0


@dataclass(frozen=True)
class Outcome:
    """What one replay saved and lost; shares in [0, 1]."""

    epochs_saved: float
    seconds_saved: float
    volume_lost: float
    wrong_stops: float
    wrong_small: float
    wrong_large: float
    size_shift: float


def load(path: Path) -> Curves:
    head, *rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    errors, sizes, seconds = (
        np.array([row[key] for row in rows], dtype=float)
        for key in ("errors", "parameters", "seconds")
    )
    return Curves(path.stem, errors, sizes, seconds, int(head["validation"]))


def final_losses(curves: Curves) -> Array:
    """Error of the last epoch and log10 of the parameters, (n, 2)."""
    return np.column_stack([curves.errors[:, -1], np.log10(curves.parameters)])


def on_front(losses: Array) -> NDArray[np.bool_]:
    """Return which of (n, 2) losses no other dominates, (n,)."""
    return np.asarray(np.array(pareto.pareto_ranks(losses.tolist())) == 0)


def hypervolume(losses: Array, worst: Array) -> float:
    """Area that is dominated below ``worst``."""
    front = losses[on_front(losses)]
    area, edge = 0.0, worst[0]
    for error, size in sorted(map(tuple, front), reverse=True):
        area += max(0.0, edge - error) * max(0.0, worst[1] - size)
        edge = min(edge, error)
    return area


def replay(curves: Curves, order: Sequence[int], rule: Rule, workers: int) -> NDArray[np.intp]:
    """Return the epochs that each network gets when they arrive in an order, (n,)."""
    end = curves.errors.shape[1]
    stages = [rung for rung in rule.halving.rungs if rung < end]
    records: dict[int, list[Point]] = {rung: [] for rung in stages}
    ran = np.full(len(order), end)
    queue = iter(enumerate(order))
    events = [(0.0, *next(queue), 0) for _ in range(min(workers, len(order)))]
    while events:
        now, number, row, epoch = heapq.heappop(events)
        if epoch in records:
            error, size = rule.score(curves.errors[row, :epoch]), curves.parameters[row]
            doubt = rule.margin * rate_margin(error, curves.images, epoch / end)
            stop = rule.decide(rule.halving, (error - doubt, size), records[epoch], number)
            records[epoch].append((error, size))
        else:
            stop = epoch == end
        if stop:
            ran[row] = epoch
            if (following := next(queue, None)) is not None:
                heapq.heappush(events, (now, *following, 0))
            continue
        later = min((rung for rung in stages if rung > epoch), default=end)
        spent = curves.seconds[row] / end * (later - epoch)
        heapq.heappush(events, (now + spent, number, row, later))
    return ran


def judge(curves: Curves, ran: NDArray[np.intp]) -> Outcome:
    losses, end = final_losses(curves), curves.errors.shape[1]
    worst = np.array([curves.errors.max(), losses[:, 1].max()])
    full = ran == end
    front = on_front(losses)
    middle = np.median(losses[front, 1])
    pareto = np.flatnonzero(full)[on_front(losses[full])]
    seconds = curves.seconds * ran / end
    return Outcome(
        epochs_saved=1 - ran.sum() / (end * len(ran)),
        seconds_saved=1 - seconds.sum() / curves.seconds.sum(),
        volume_lost=1 - hypervolume(losses[full], worst) / hypervolume(losses, worst),
        wrong_stops=float(np.mean(~full[front])),
        wrong_small=float(np.mean(~full[front & (losses[:, 1] <= middle)])),
        wrong_large=float(np.mean(~full[front & (losses[:, 1] > middle)])),
        size_shift=float(losses[pareto, 1].mean() - losses[front, 1].mean()),
    )


def outcomes(curves: Curves, rule: Rule, seeds: int, workers: int = 1) -> list[Outcome]:
    orders = (np.random.default_rng(s).permutation(len(curves.errors)) for s in range(seeds))
    return [judge(curves, replay(curves, order.tolist(), rule, workers)) for order in orders]


def column(results: Sequence[Outcome], name: str) -> Array:
    return np.array([getattr(result, name) for result in results])


def by_layers(halving: Halving, own: Point, others: Sequence[Point], number: int) -> bool:
    """MO-ASHA: the best half by layers of non-dominated sorting, ties go on together."""
    ranks = pareto.pareto_ranks([own, *others])
    better = sum(rank < ranks[0] for rank in ranks)
    return not halving.runs_to_end(number) and 2 * better >= len(ranks)


def by_crowding(halving: Halving, own: Point, others: Sequence[Point], number: int) -> bool:
    """MO-ASHA with NSGA-II's order: layers, then crowding distance; the best half goes on."""
    ranking = pareto.pareto_order([own, *others])
    position = ranking.index(0)
    return not halving.runs_to_end(number) and 2 * position >= len(ranking)


def by_error(halving: Halving, own: Point, others: Sequence[Point], number: int) -> bool:
    """ASHA on the error alone: the best half goes on."""
    better = sum(other[0] < own[0] for other in others)
    return not halving.runs_to_end(number) and 2 * better >= len(others) + 1


def by_chance(halving: Halving, own: Point, others: Sequence[Point], number: int) -> bool:
    """A coin: half go on."""
    coin = np.random.default_rng([number, len(others)]).random()
    return not halving.runs_to_end(number) and coin > 0.5


def by_hope(halving: Halving, own: Point, others: Sequence[Point], number: int) -> bool:
    """Extrapolation: stop where the predicted last point is dominated by any other prediction."""
    dominated = dominators(np.array([own, *others]))[0] > 0
    return not halving.runs_to_end(number) and bool(dominated)


def by_tolerance(halving: Halving, own: Point, others: Sequence[Point], number: int) -> bool:
    """Stop what more than a fixed share of the others, 8 %, dominates."""
    count = dominators(np.array([own, *others]))[0]
    return not halving.runs_to_end(number) and bool(count > 0.08 * len(others))


def extrapolated(errors: Array, end: int = 27) -> float:
    """Straight line in the logarithm of the epoch, read off at the end."""
    if len(errors) == 1:
        return float(errors[0])
    slope, start = np.polyfit(np.log(np.arange(1, len(errors) + 1)), errors, 1)
    return float(start + slope * np.log(end))


def choose(curves: Curves, seeds: int) -> Halving:
    """Return the setting that saves most while it keeps within what is allowed to be lost."""
    rungs = [(1, 3, 9), (3, 9), (3, 9, 18), (1, 3, 9, 18), (2, 6, 18), (2, 4, 8, 16)]
    grid = [Halving(*x) for x in product(rungs, (1.5, 1.75, 2.0, 2.25, 2.5, 3.0), (0.05, 0.1))]
    best, most = grid[0], -np.inf
    for halving in grid:
        results = outcomes(curves, Rule("", halving), seeds)
        wrong, saved = (column(results, k).mean() for k in ("wrong_stops", "epochs_saved"))
        lost = np.median(column(results, "volume_lost"))
        print(f"{halving} saved {saved:.3f} lost {lost:.4f} wrong {wrong:.4f}")
        if wrong <= 0.02 and lost <= 0.01 and saved > most:
            best, most = halving, saved
    return best


def ablation(halving: Halving) -> Iterator[Rule]:
    """The shipped rule first, then one change at a time."""
    yield Rule("shipped", halving)
    yield Rule("lowest error so far", halving, min)
    yield Rule("extrapolated error", halving, extrapolated)
    yield Rule("extrapolated, only the front", halving, extrapolated, by_hope)
    yield Rule("half by layers (MO-ASHA)", halving, decide=by_layers)
    yield Rule("half by layers, crowding", halving, decide=by_crowding)
    yield Rule("half by error alone", halving, decide=by_error)
    yield Rule("half by chance", halving, decide=by_chance)
    for margin in (0.0, 0.5, 1.5, 2.0):
        yield Rule(f"margin times {margin}", halving, margin=margin)
    yield Rule("no rung at 1", replace(halving, rungs=halving.rungs[1:]))
    yield Rule("no rung at 1, no margin", replace(halving, rungs=halving.rungs[1:]), margin=0.0)
    yield Rule("dominated by 8 %", halving, decide=by_tolerance)
    for factor in (1.5, 1.75, 2.25, 2.5, 3.0):
        yield Rule(f"reduction factor {factor}", replace(halving, reduction_factor=factor))
    for share in (0.0, 0.1, 0.2):
        yield Rule(f"{share:.0%} spared", replace(halving, full_share=share))


def row(name: str, results: Sequence[Outcome]) -> str:
    def mean(key: str) -> str:
        return f"{100 * column(results, key).mean():5.1f}"

    lost = 100 * column(results, "volume_lost")
    low, middle, high = np.percentile(lost, [25, 50, 75])
    shares = " | ".join(map(mean, ("wrong_stops", "wrong_small", "wrong_large")))
    return (
        f"| {name:28} | {mean('epochs_saved')} | {mean('seconds_saved')} | "
        f"{middle:5.2f} ({low:.2f} to {high:.2f}) | {shares} | "
        f"{column(results, 'size_shift').mean():+.3f} |"
    )


HEAD = (
    "| rule | epochs saved % | seconds saved % | hypervolume lost %, median (quartiles) | "
    "wrong stops % | of small | of large | shift of log10 size |\n" + "| --- " * 8 + "|"
)


def rank_correlations(curves: Curves) -> str:
    """Spearman's correlation of the lowest error so far with the last one, per rung."""
    last = ranks(curves.errors[:, -1])
    pairs = (
        (rung, np.corrcoef(ranks(curves.errors[:, :rung].min(axis=1)), last)[0, 1])
        for rung in (1, 3, 9, 18)
    )
    return ", ".join(f"epoch {rung}: {rho:.3f}" for rung, rho in pairs)


def ranks(values: Array) -> Array:
    """Mean ranks, ties share theirs."""
    return np.array([(values < v).sum() + (values == v).sum() / 2 for v in values])


def report(parts: Sequence[Curves], rules: Sequence[Rule], seeds: int) -> None:
    for part in parts:
        front = int(on_front(final_losses(part)).sum())
        print(f"\n{part.name}: {len(part.errors)} networks, {front} on the front, {seeds} orders")
        print("Spearman with the last error: " + rank_correlations(part))
        print(HEAD)
        for rule in rules:
            print(row(rule.name, outcomes(part, rule, seeds)))
        print(row("8 workers", outcomes(part, rules[0], seeds, workers=8)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--choose", metavar="TABLE", help="choose anew, on digits or cifar16")
    arguments = parser.parse_args()
    tables = [load(path) for path in sorted(RESULTS.glob("curves_*.jsonl"))]
    halving = Halving()
    if arguments.choose:
        halving = choose(load(RESULTS / f"curves_{arguments.choose}.jsonl"), 20)
    print(f"{halving}, numpy {np.__version__}, optuna {optuna.__version__}")
    report(tables, list(ablation(halving)), arguments.seeds)


if __name__ == "__main__":
    main()
