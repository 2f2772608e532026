"""Real searches at equal epochs: with early stopping and without, beside random search with both.

Run ``python -m benchmarks.halving.search --save``. Every search trains networks for scikit-learn's
digits until it has spent the budget of epochs. The hypervolume counts networks trained to the end
only, in error and log10 of parameters, both scaled to [0, 1] by chance and by the cap, reference
(1, 1). Random search draws from the space's initial distribution under the same caps; a seed gives
every arm the same split and the same training of equal networks.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from multiprocessing import Pool

import numpy as np
import optuna
import torch
from optuna.trial import FrozenTrial, TrialState

from benchmarks.common.caps import NEVER, Caps
from benchmarks.common.peers import quiet
from benchmarks.common.results import Array, Row, cell, header, markdown, read, results_of, write
from benchmarks.halving.replay import hypervolume
from optuna_de import DESampler
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.data.dataset import ImageData
from optuna_de.cnn.data.loading import load_data
from optuna_de.cnn.recipes import fit_recipe, get_recipe
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.halving import Halving

RESULTS = results_of(__file__)

EPOCHS = 9
LEAST, CAPS = 100, Caps(100_000, 1_000_000)  # parameters; parameters and per image
ARMS = ("de, stopping", "de", "random, stopping", "random")
SHARES = (0.25, 0.5, 0.75, 1.0)


def sampler(arm: str, space: CNNSpace, seed: int) -> DESampler:
    """Return an arm's sampler; random search is the same one that never breeds."""
    return DESampler(
        n_startup_trials=NEVER if arm.startswith("random") else None,
        space=CAPS.limit(space),
        screening=False,
        seed=seed,
    )


def objective(arm: str, data: ImageData, space: CNNSpace, seed: int) -> CNNObjective:
    """Return an arm's objective."""
    halving = Halving.within(EPOCHS) if arm.endswith("stopping") else None
    recipe = fit_recipe(get_recipe("fast"), data)
    return CNNObjective(data, space, recipe, epochs=EPOCHS, seed=seed, halving=halving)


def volume(trials: Iterable[FrozenTrial]) -> float:
    """Return the hypervolume in [0, 1] of the networks that were trained to the end."""
    done = [t.values for t in trials if t.state == TrialState.COMPLETE]
    if not done:
        return 0.0
    error, size = np.array(done, dtype=float).T
    span = np.log10(CAPS.parameters / LEAST)
    losses = np.column_stack([error / 0.9, np.log10(size / LEAST) / span])
    return hypervolume(losses, np.ones(2))


def run(job: tuple[str, int, int]) -> Row:
    """Search in one arm with one seed until ``budget`` epochs are spent."""
    arm, seed, budget = job
    quiet()
    torch.set_num_threads(1)
    data = load_data("digits", validation_fraction=0.3, split_seed=seed)
    space = CNNSpace(data.image_shape, len(data.classes))
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler(arm, space, seed))
    evaluate, spent, curve = objective(arm, data, space, seed), 0, []
    while spent < budget:
        study.optimize(evaluate, n_trials=1)
        trials = study.get_trials(deepcopy=False)
        spent += int(trials[-1].user_attrs.get("epochs", 0))
        curve.append([spent, round(float(volume(trials)), 5)])
    return {"arm": arm, "seed": seed, "trials": len(curve), "curve": curve}


def at(row: Row, epochs: float) -> float:
    """Return the hypervolume after so many epochs."""
    return float(max((v for spent, v in row["curve"] if spent <= epochs), default=0.0))


def table(rows: Sequence[Row], budget: int) -> str:
    """Return the hypervolume of each arm along the budget, and the networks it tried."""
    points = [round(budget * share) for share in SHARES]
    lines = []
    for arm in ARMS:
        own = [row for row in rows if row["arm"] == arm]
        cells = [cell([at(row, n) for row in own], 3) for n in points]
        lines.append([arm, f"{np.median([row['trials'] for row in own]):.0f}", *cells])
    return markdown(["arm", "networks", *(f"{n} epochs" for n in points)], lines)


def paired(rows: Sequence[Row], one: str, other: str, budget: int) -> Array:
    """Return the differences of two arms' hypervolumes at the end, one a seed."""
    last = {(row["arm"], row["seed"]): at(row, budget) for row in rows}
    seeds = sorted({row["seed"] for row in rows})
    return np.array([last[one, seed] - last[other, seed] for seed in seeds])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", type=int, default=540, help="epochs")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), help="others: as they were saved")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results")
    args = parser.parse_args()
    jobs = [(arm, seed, args.budget) for seed in range(args.seeds) for arm in args.arms]
    with Pool(2) as pool:
        rows = pool.map(run, jobs, chunksize=1)
    if set(args.arms) < set(ARMS):
        rows += [
            row for row in read(RESULTS / "halving_search.jsonl")[1] if row["arm"] not in args.arms
        ]
    print(table(rows, args.budget))
    for one, other in (ARMS[:2], (ARMS[0], ARMS[2])):
        difference = paired(rows, one, other, args.budget)
        wins = f"{(difference > 0).sum()} of {len(difference)}"
        print(f"{one} less {other}: {cell(difference, 3)}, ahead in {wins}")
    if args.save:
        print(
            write(RESULTS / "halving_search.jsonl", header(args.seeds, budget=args.budget), rows)
        )


if __name__ == "__main__":
    main()
