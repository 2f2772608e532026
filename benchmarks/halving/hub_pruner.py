"""Halving beside OptunaHub's multi_metric_pruner, at equal epochs on recorded curves.

Run ``python -m benchmarks.halving.hub_pruner --save``. Networks of a recorded table arrive in a
random order, each in a real study of two objectives, until a rule has spent the budget of epochs;
all rules may stop at the same epochs. The hypervolume counts networks trained to the end, in error
and log10 of parameters, as a share of the whole table's. The hub's package is loaded by optunahub,
which downloads it unless it lies in its cache.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import optuna
from optuna.trial import TrialState

from benchmarks.common.peers import quiet
from benchmarks.common.results import Row, cell, header, markdown, results_of, write
from benchmarks.halving.replay import Curves, final_losses, hypervolume, load
from optuna_de.halving import Halving, rate_margin

RESULTS = results_of(__file__)
PACKAGE = "pruners/multi_metric_pruner"
RUNGS = (1, 3, 9, 18)
NETWORKS = 20
"""The budget, in whole trainings."""
Stops = Callable[[optuna.Trial, int, tuple[float, float], Curves], bool]


def never(*_: object) -> bool:
    return False


def by_halving(margin: float) -> Stops:
    """Return the shipped rule; ``margin`` multiplies the benefit of the doubt."""
    halving = Halving(RUNGS)

    def stops(trial: optuna.Trial, epoch: int, values: tuple[float, float], t: Curves) -> bool:
        doubt = margin * rate_margin(values[0], t.images, epoch / t.errors.shape[1])
        return halving.should_stop(trial, epoch, values, (doubt, 0.0))

    return stops


def by_hub(trial: optuna.Trial, epoch: int, values: tuple[float, float], _: Curves) -> bool:
    """Report to the hub's trial and ask its pruner, which the study has."""
    import optunahub

    wrapped = optunahub.load_module(PACKAGE).MultiMetricPrunerTrial(trial)
    wrapped.report({"error": values[0], "size": values[1]}, epoch)
    return bool(wrapped.should_prune())


def hub_pruner(base: optuna.pruners.BasePruner) -> optuna.pruners.BasePruner:
    """Return the hub's pruner over one of Optuna's, on Pareto ranks."""
    import optunahub

    directions = {"error": "minimize", "size": "minimize"}
    pruner: optuna.pruners.BasePruner = optunahub.load_module(PACKAGE).MultiMetricPruner(
        base, metric_directions=directions, joint=True
    )
    return pruner


ARMS: dict[str, tuple[Stops, Callable[[], optuna.pruners.BasePruner]]] = {
    "no stopping": (never, optuna.pruners.NopPruner),
    "Halving": (by_halving(1.0), optuna.pruners.NopPruner),
    "Halving, no margin": (by_halving(0.0), optuna.pruners.NopPruner),
    "hub, MedianPruner": (by_hub, lambda: hub_pruner(optuna.pruners.MedianPruner())),
    "hub, PercentilePruner(33)": (
        by_hub,
        lambda: hub_pruner(optuna.pruners.PercentilePruner(33.0)),
    ),
}
"""How each arm asks whether to stop, and the pruner of its study.

The hub's pruner has no SuccessiveHalvingPruner as its base: that one writes attributes of a trial
that the hub's study does not hold.
"""


def run(arm: str, curves: Curves, seed: int) -> Row:
    """Let networks arrive until the budget is spent; return what was tried and found."""
    stops, pruner = ARMS[arm]
    end = curves.errors.shape[1]
    study = optuna.create_study(directions=["minimize"] * 2, pruner=pruner())
    spent, whole = 0, []
    for row in np.random.default_rng(seed).permutation(len(curves.errors)):
        trial, size = study.ask(), float(curves.parameters[row])
        for epoch in (*(rung for rung in RUNGS if rung < end), end):
            values = (float(curves.errors[row, epoch - 1]), size)
            if epoch < end and stops(trial, epoch, values, curves):
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, values)
            whole.append(row)
        spent += epoch
        if spent >= NETWORKS * end:
            break
    losses = final_losses(curves)
    worst = np.array([curves.errors.max(), losses[:, 1].max()])
    share = hypervolume(losses[whole], worst) / hypervolume(losses, worst)
    tried = len(study.get_trials(deepcopy=False))
    return {"table": curves.name, "arm": arm, "seed": seed, "tried": tried, "share": share}


def table(rows: Sequence[Row]) -> str:
    """Return networks tried and the share of the table's hypervolume, by table and arm."""
    lines = []
    for name in dict.fromkeys(row["table"] for row in rows):
        for arm in ARMS:
            own = [row for row in rows if (row["table"], row["arm"]) == (name, arm)]
            tried, share = ([row[key] for row in own] for key in ("tried", "share"))
            lines.append([name, arm, cell(tried, 0), cell(share, 3)])
    return markdown(["table", "rule", "networks tried", "share of the hypervolume"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--save", action="store_true", help="write benchmarks/halving/results")
    args = parser.parse_args()
    quiet()
    tables = [load(path) for path in sorted(RESULTS.glob("curves_*.jsonl"))]
    rows = [run(arm, t, seed) for t in tables for arm in ARMS for seed in range(args.seeds)]
    print(table(rows))
    if args.save:
        print(write(RESULTS / "hub_pruner.jsonl", header(args.seeds, networks=NETWORKS), rows))


if __name__ == "__main__":
    main()
