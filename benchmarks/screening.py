"""What screening is worth: on real training, and what each of its parts adds on a table.

``python -m benchmarks.screening digits --save`` trains networks for scikit-learn's digits in
every arm and goes on where it was stopped: each study is a file in ``--folder``. ``halved`` does
so with early stopping, the budget counted in whole trainings. All arms of a seed start
from the same networks, have the same split and train equal networks alike; a network over a cap
counts as no evaluation. The hypervolume is that of log10 of error and parameters, scaled to
[0, 1], reference (1, 1).

``python -m benchmarks.screening ablation --table nb201-cifar10-params --save`` changes one option
of screening at a time; its measure is the regret of :mod:`benchmarks.search_quality`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from benchmarks.caps import Caps
from benchmarks.common import Array, Row, cell, header, markdown, write
from benchmarks.halving_replay import hypervolume
from benchmarks.peers import quiet
from benchmarks.search_quality import measure, rows, summary
from benchmarks.tables import NAMES
from optuna_de import DESampler, open_storage
from optuna_de.cnn.data import load_data
from optuna_de.cnn.objective import CNNObjective
from optuna_de.cnn.recipes import get_recipe
from optuna_de.cnn.search import fit_recipe
from optuna_de.cnn.space import CNNSpace
from optuna_de.halving import Halving
from optuna_de.screening import Screening

EPOCHS, STARTUP = 6, 10
LEAST, CAPS = 100, Caps(100_000, 1_000_000)  # parameters; parameters and per image
LOWEST = 0.002  # about one of the validation images
POINTS = (30, 60, 110)
ARMS = ("de-screened", "de", "nsga2", "tpe", "random")
HALVED = ("de-screened-halved", "de-screened-halved-blind", "de-halved")
CHANGES: tuple[dict[str, Any], ...] = (
    {"screening": True},
    {"screening": True, "known": None},
    {"screening": {"price": False}},
    *({"screening": {"pool": n}} for n in (25, 400)),
    *({"screening": {"smoothness": nu}} for nu in (0.5, 2.5)),
    *({"screening": {"optimism": k}} for k in (0.0, 0.5, 2.0)),
    {},
)


def sampler(arm: str, space: CNNSpace, seed: int) -> BaseSampler:
    """Return an arm's sampler."""
    match arm:
        case "nsga2":
            return NSGAIISampler(population_size=20, seed=seed)
        case "tpe":
            return TPESampler(seed=seed)
        case "random":
            return RandomSampler(seed=seed)
    return DESampler(
        initial=space.initial,
        repair=space.repair,
        accept=partial(CAPS.accepts, space),
        known={1: space.count_parameters},
        screening="screened" in arm and Screening(stopped="blind" not in arm),
        seed=seed,
    )


def volumes(trials: Sequence[FrozenTrial]) -> list[float]:
    """Return the hypervolume in [0, 1] after each network that was trained to the end."""
    done = [t.values for t in trials if t.state == TrialState.COMPLETE]
    low, high = np.log10([[LOWEST, LEAST], [0.9, CAPS.parameters]])
    losses = (np.log10(np.maximum(np.array(done, dtype=float), LOWEST)) - low) / (high - low)
    return [round(float(hypervolume(losses[: n + 1], np.ones(2))), 5) for n in range(len(done))]


def run(job: tuple[str, int, int, Path]) -> Row:
    """Search in one arm with one seed until ``budget`` networks were trained, or epochs spent."""
    arm, seed, budget, folder = job
    quiet()
    torch.set_num_threads(1)
    data = load_data("digits", validation_fraction=0.3, split_seed=seed)
    space = CNNSpace(data.image_shape, len(data.classes))
    name = f"digits-{arm}-{seed}"
    study = optuna.create_study(
        directions=["minimize"] * 2,
        sampler=sampler(arm, space, seed),
        storage=open_storage(f"sqlite:///{folder}/{name}.db"),
        study_name=name,
        load_if_exists=True,
    )
    if not study.trials:
        for params in CAPS.first(space, seed, STARTUP):
            study.enqueue_trial(params)
    evaluate = CNNObjective(
        data,
        space,
        fit_recipe(get_recipe("fast"), data),
        epochs=EPOCHS,
        seed=seed,
        max_parameters=CAPS.parameters,
        max_macs=CAPS.macs,
        halving=Halving.within(EPOCHS) if "halved" in arm else None,
    )
    while spent(study) < budget:
        study.optimize(evaluate, n_trials=1)
    trials = study.get_trials(deepcopy=False)
    costs = [epochs(t) / EPOCHS for t in trials if epochs(t)]
    return {"arm": arm, "seed": seed, "volume": volumes(trials), "costs": costs}


def epochs(trial: FrozenTrial) -> int:
    return int(trial.user_attrs.get("epochs", 0))


def spent(study: optuna.Study) -> float:
    """Return the whole trainings that the study's epochs amount to."""
    return sum(map(epochs, study.get_trials(deepcopy=False))) / EPOCHS


def digits(arms: Sequence[str], seeds: int, budget: int, folder: Path) -> list[Row]:
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(arm, seed, budget, folder) for seed in range(seeds) for arm in arms]
    with Pool(2) as pool:
        return pool.map(run, jobs, chunksize=1)


def table(found: Sequence[Row], budget: int) -> str:
    """Return each arm's hypervolume, and how the first arm's seeds compare with it."""
    points = [n for n in POINTS if n <= budget]
    by_arm: dict[str, Array] = {}
    for arm in dict.fromkeys(row["arm"] for row in found):
        own = [row["volume"] for row in found if row["arm"] == arm]
        by_arm[arm] = np.array([[at(volume, n) for n in points] for volume in own])
    ours = next(iter(by_arm.values()))
    lines = [
        [arm, *(cell(column) for column in values.T), cell((ours - values)[:, -1])]
        for arm, values in by_arm.items()
    ]
    return markdown(["arm", *map(str, points), "first arm's lead at the end"], lines)


def at(volume: Sequence[float], n: int) -> float:
    return volume[min(n, len(volume)) - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["digits", "halved", "ablation"])
    parser.add_argument("--arms", help="comma separated")
    parser.add_argument("--table", choices=NAMES, default="nb201-cifar10-params")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=110)
    parser.add_argument("--folder", type=Path, default=Path("data/screening"))
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    head = header(args.seeds, budget=args.budget)
    if args.what == "ablation":
        names = ["de" + json.dumps(options) for options in CHANGES]
        regret = measure(names, args.table, range(args.seeds), args.budget)
        points = [n for n in (60, 110, 200) if n <= args.budget]
        lines = [[name, *summary(values, points)] for name, values in regret.items()]
        print(markdown(["sampler", *map(str, points)], lines))
        name, result = f"screening-ablation-{args.table}", rows(args.table, regret)
    else:
        arms = args.arms.split(",") if args.arms else {"digits": ARMS, "halved": HALVED}[args.what]
        result = digits(arms, args.seeds, args.budget, args.folder)
        print(table(result, args.budget))
        name = f"screening-{args.what}"
    if args.save:
        print(write(name, head, result))


if __name__ == "__main__":
    main()
