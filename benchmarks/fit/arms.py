"""Whole fits at equal cost by other samplers: what does each ship for the same compute?

Run ``python -m benchmarks.fit.arms run --data digits --minutes 1 --place PLACE``, then ``...
collect --place PLACE --save``. ``--data`` is a set's name or a folder. Every arm is ``optuna-de
fit`` on one thread with one sampler exchanged: the same region, ladder, early stopping, split,
first 20 networks (known ones among them), finals, rule of shipping, and compute of search and of
finals. A stopped run goes on. Only ours knows the parameters of a child before its training; of
the other arms a network outside the region ends untrained, so it costs them milliseconds.

``seed-rules`` is the seed report's algorithm on our alphabet, ``random`` draws from the initial
distribution of ours. A figure at a size is the test error of the largest shipped model up to it.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import optuna
import torch
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler

from benchmarks.common.caps import NEVER
from benchmarks.common.peers import quiet
from benchmarks.common.results import Row, header, markdown, results_of, write
from optuna_de import DESampler
from optuna_de._allocator import keep_memory
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.fitting import time_budget
from optuna_de.cnn.fitting.options import Fit
from optuna_de.cnn.fitting.plan import FitPlan, make_plan
from optuna_de.cnn.fitting.shipping import Shipped
from optuna_de.cnn.fitting.step_cost import measure_pass
from optuna_de.cnn.fitting.time_budget import run_fit
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.cnn.search.search import Search
from optuna_de.cnn.study.setup import enqueue_once
from optuna_de.cnn.study.trials import spent_seconds
from optuna_de.storage.open_storage import open_storage

RESULTS = results_of(__file__)
ARMS = ("ours", "random", "nsga2", "tpe", "seed-rules")
STARTUP = 20
_RESAMPLES = 10_000


@dataclass(frozen=True)
class ArmSearch(Search):
    """A search with the sampler of an arm."""

    arm: str = "ours"

    def sampler(self) -> DESampler:
        """Return the arm's sampler, a DESampler or not."""
        space = self.space
        if self.arm == "random":
            return DESampler(space=space, n_startup_trials=NEVER, screening=False, seed=self.seed)
        if self.arm == "seed-rules":
            return DESampler.seed_exact(space, seed=self.seed)
        if self.arm == "ours":
            return super().sampler()
        peers: dict[str, BaseSampler] = {
            "nsga2": NSGAIISampler(population_size=STARTUP, seed=self.seed),
            "tpe": TPESampler(seed=self.seed),
        }
        return peers[self.arm]  # type: ignore[return-value]

    def study(self, objective: CNNObjective) -> optuna.Study:
        """Open or create the study; it begins with the same networks in every arm."""
        study = super().study(objective)  # the known ones
        enqueue_once(study, first_networks(self.space, self.seed)[len(self.known) :])
        return study


@dataclass(frozen=True)
class ArmRun(time_budget._Run):
    """A fit with the sampler of an arm; all arms of a seed plan by one measured step."""

    arm: str = "ours"
    place: Path = Path()

    def _measured(self, bare: Search) -> FitPlan:
        file = self.place / f"step-{bare.seed}.json"
        if not file.exists():
            file.write_text(json.dumps(measure_pass(bare.objective(), bare.seed)))
        seconds = self.settings.seconds(is_default_data=False)
        assert bare.region is not None  # the preset modern has one
        images = len(bare.image_data.train.labels)
        cost = json.loads(file.read_text())
        return self._with_known(bare, make_plan(seconds, bare.region, images, cost))

    def _bare(self) -> Search:
        bare = super()._bare()
        return ArmSearch(**{f.name: getattr(bare, f.name) for f in fields(Search)}, arm=self.arm)


def first_networks(space: CNNSpace, seed: int) -> list[dict[str, Any]]:
    """Draw the networks with which all arms of a seed begin."""
    rng, networks = np.random.default_rng(seed), list[dict[str, Any]]()
    while len(networks) < STARTUP:
        params = space.initial(rng)
        networks += [params] if space.accept(params) else []
    return networks


def run(choice: DataChoice, settings: Fit, arm: str, place: Path) -> Row:
    """Fit with an arm, and return what it shipped."""
    fitting = ArmRun(choice, settings, time_budget._silent, arm, place)
    with patch.object(time_budget, "_Run", lambda *_: fitting):
        done = run_fit(choice, settings)
    storage = open_storage(settings.storage)
    search, finals = (
        optuna.load_study(study_name=f"{done.study_name}{end}", storage=storage)
        for end in ("", "-final")
    )
    tried = [t for t in search.trials if t.user_attrs.get("passes")]
    return {
        **{"arm": arm, "seed": settings.seed, "trained": len(tried), "asked": len(search.trials)},
        "search seconds": round(spent_seconds(search)),
        "finals seconds": round(spent_seconds(finals)),
        "models": [_model(model) for model in done.models],
    }


def _model(model: Shipped) -> Row:
    return {
        **{"architecture": model.architecture, "parameters": model.parameters},
        **{"validation error": model.validation_error, "test error": model.test_error},
    }


def cases(args: argparse.Namespace) -> Iterator[tuple[str, int, Path]]:
    """Yield arm, seed and file of each fit, arms next to each other."""
    for seed, arm in product(range(args.first, args.seeds), args.arms.split(",")):
        yield arm, seed, args.place / f"{arm}-{seed}.json"


def run_all(args: argparse.Namespace) -> None:
    """Run the fits that have no file yet."""
    args.place.mkdir(parents=True, exist_ok=True)
    between = tuple(int(n) for n in args.between.split(",")) if args.between else None
    for arm, seed, file in cases(args):
        if file.exists():
            continue
        name = f"{arm}-{seed}"
        settings = Fit(
            **{"minutes": args.minutes, "seed": seed, "workers": 1, "device": "cpu"},
            **{"between": between, "max_macs": args.max_macs, "study_name": name},
            **{"storage": f"sqlite:///{args.place}/{name}.db", "out": args.place / name},
            artifacts=args.place / f"{name}-artifacts",
        )
        choice = DataChoice(args.data, split_seed=seed, subset=args.subset)
        row = run(choice, settings, arm, args.place)
        file.write_text(json.dumps(row))
        print(name, row["trained"], [(m["parameters"], m["test error"]) for m in row["models"]])


def error_at(row: Row, size: float) -> float:
    """Return the test error of the largest shipped model up to a size; 1 where there is none."""
    models = [m for m in row["models"] if m["parameters"] <= size]
    largest = max(models, key=lambda m: m["parameters"], default={"test error": 1.0})
    return float(largest["test error"])


def tables(head: Row, rows: Sequence[Row]) -> str:
    """Return the table of one result file: errors at each size, by arm."""
    arms = [arm for arm in ARMS if any(row["arm"] == arm for row in rows)]
    cells = [[_arm_row(rows, arm, size) for size in head["sizes"]] for arm in arms]
    names = ["arm", *(f"up to {size:,}" for size in head["sizes"]), "networks trained"]
    counts = [[row["trained"] for row in rows if row["arm"] == arm] for arm in arms]
    return markdown(
        names,
        [
            [arm, *line, f"{statistics.median(n):.0f}"]
            for arm, line, n in zip(arms, cells, counts, strict=True)
        ],
    )


def _arm_row(rows: Sequence[Row], arm: str, size: int) -> str:
    """Return median and range of an arm; for others, how ours does beside it, seed by seed."""
    errors = {r["seed"]: error_at(r, size) for r in rows if r["arm"] == arm}
    text = f"{100 * statistics.median(errors.values()):.2f}"
    text += f" [{100 * min(errors.values()):.2f}, {100 * max(errors.values()):.2f}]"
    ours = {r["seed"]: error_at(r, size) for r in rows if r["arm"] == "ours"}
    gains = [errors[seed] - ours[seed] for seed in errors if seed in ours]
    if arm == "ours" or not gains:
        return text
    low, high = interval(gains)
    wins = sum(gain > 0 for gain in gains)
    return (
        f"{text}; ours ahead in {wins} of {len(gains)}, by {100 * statistics.mean(gains):.2f} "
        f"({100 * low:.2f} to {100 * high:.2f})"
    )


def interval(gains: Sequence[float]) -> tuple[float, float]:
    """Return a 95 % bootstrap interval of a mean."""
    rng = np.random.default_rng(0)
    means = rng.choice(np.array(gains), (_RESAMPLES, len(gains))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Run the fits, or collect them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=("run", "collect"))
    parser.add_argument("--data", default="digits", help="name of a set, or a folder")
    parser.add_argument("--place", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--between", help="fewest and most parameters, e.g. 10000,1000000")
    parser.add_argument("--max-macs", type=int)
    parser.add_argument("--subset", type=int, help="images of training and validation")
    parser.add_argument("--sizes", default="1000,4000,16000,64000", help="of the table")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--suffix", default="", help="of the result file")
    args = parser.parse_args()
    quiet()
    keep_memory()
    torch.set_num_threads(1)
    if args.step == "run":
        run_all(args)
        return
    rows = [json.loads(file.read_text()) for *_, file in cases(args) if file.exists()]
    seeds = len({row["seed"] for row in rows})
    sizes = [int(size) for size in args.sizes.split(",")]
    about = {"minutes": args.minutes, "sizes": sizes, "between": args.between}
    head = header(seeds, **about, max_macs=args.max_macs, subset=args.subset)
    print(tables(head, rows))
    if args.save:
        write(RESULTS / f"arms{args.suffix}.jsonl", head, rows)


if __name__ == "__main__":
    main()
