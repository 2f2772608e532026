"""One objective with constraints: DESampler beside Optuna's samplers on the CEC problems.

Run ``python -m benchmarks.sampler.constrained``. The problems g1 to g24 of pymoo whose constraints
are inequalities (Liang et al., 2006, *Problem Definitions and Evaluation Criteria for the CEC 2006
Special Session*); no part of DESampler was tuned on g1, g2, g8, g10, g12, g16, g18 and g19. The
quality is the least feasible loss above the best known one. Runs are appended to the result file,
and those that are there are left out. ``de{"adaptive": false}`` has differences only.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from itertools import product

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution

from benchmarks.common.peers import maker, quiet
from benchmarks.common.results import Row, header, markdown, results_of, resumed

RESULTS = results_of(__file__)
CHECKPOINTS = (100, 300, 1000)
PROBLEMS = ("g1", "g2", "g4", "g6", "g7", "g8", "g9", "g10", "g12", "g16", "g18", "g19", "g24")
SOLVERS = 'de;de{"adaptive": false};nsga2;tpe'


def run(name: str, solver: str, seed: int, budget: int) -> Row:
    """Return the least feasible losses above the optimum; infinite where none is feasible."""
    from pymoo.problems import get_problem

    problem = get_problem(name)
    box: dict[str, BaseDistribution] = {
        f"x{i:02d}": FloatDistribution(float(low), float(high))
        for i, (low, high) in enumerate(zip(problem.xl, problem.xu, strict=True))
    }
    study = optuna.create_study(sampler=maker(solver)(seed))
    losses = list[float]()
    for _ in range(budget):
        trial = study.ask(dict(box))
        point = np.array([[trial.params[n] for n in box]])
        evaluated = problem.evaluate(point, return_as_dictionary=True)
        for i, value in enumerate(evaluated["G"][0]):
            trial.set_constraint(f"c{i}", float(value))
        feasible = bool((evaluated["G"] <= 0).all())
        losses.append(float(evaluated["F"][0, 0]) if feasible else np.inf)
        study.tell(trial, float(evaluated["F"][0, 0]))
    best = float(problem.pareto_front()[0, 0])
    return {"least": {str(n): min(losses[:n]) - best for n in CHECKPOINTS if n <= budget}}


def table(rows: Sequence[Row]) -> str:
    """Return the median gap of each problem and solver, and the solvers' mean ranks."""
    solvers = list(dict.fromkeys(row["solver"] for row in rows))
    lines = []
    for n in map(str, CHECKPOINTS):
        medians = []
        for name in PROBLEMS:
            by = {
                s: [r["least"].get(n) for r in rows if r["problem"] == name and r["solver"] == s]
                for s in solvers
            }
            if all(losses and None not in losses for losses in by.values()):
                medians.append([float(np.median(by[s])) for s in solvers])
                lines.append([n, name, *(f"{gap:.2g}" for gap in medians[-1])])
        if medians:
            gaps = np.array(medians)
            below, level = gaps[:, None] < gaps[:, :, None], gaps[:, None] == gaps[:, :, None]
            ranks = 1 + below.sum(axis=2) + (level.sum(axis=2) - 1) / 2
            lines.append([n, "mean rank", *(f"{rank:.2f}" for rank in ranks.mean(axis=0))])
    return markdown(["evaluations", "problem", *solvers], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--solvers", default=SOLVERS, help="separated by semicolons")
    parser.add_argument("--problems", default=",".join(PROBLEMS), help="comma separated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=300, choices=CHECKPOINTS)
    args = parser.parse_args()
    quiet()
    warnings.simplefilter("ignore")  # Optuna's experimental features
    jobs = [
        {"problem": name, "solver": solver, "seed": seed}
        for name, seed, solver in product(
            args.problems.split(","), range(args.seeds), args.solvers.split(";")
        )
    ]

    def measure(job: Row) -> Row:
        return run(job["problem"], job["solver"], job["seed"], args.budget)

    print(table(resumed(RESULTS / "constrained.jsonl", header(args.seeds), jobs, measure)))


if __name__ == "__main__":
    main()
