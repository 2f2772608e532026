"""The search that bbob measures without a storage is the sampler's."""

from datetime import datetime

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution

from benchmarks.sampler.constraints_ablation import ARMS
from optuna_de import DESampler
from optuna_de.evolution.population import Finished, Fold, Rules

bbob = pytest.importorskip("benchmarks.sampler.bbob", reason="needs coco-experiment")


def loss(values: list[float]) -> float:
    """A ramp, so that children meet at a corner, and a bend, so that the runs restart."""
    x = np.array(values)
    return float(np.maximum(x, 3).sum() + 1e-3 * ((x - 1) ** 2).sum())


@pytest.mark.parametrize(("workers", "size"), [(1, 300), (9, 150)])
def test_the_search_without_a_storage_is_the_samplers(workers: int, size: int) -> None:
    search = bbob.Adaptive(2, 7)
    study = optuna.create_study(sampler=DESampler(seed=7))
    box = {name: FloatDistribution(-5, 5) for name in search.names}
    running, rng = [], np.random.default_rng(0)
    for number in range(size):
        trial, child = study.ask(dict(box)), search.ask(number)
        assert tuple(trial.params[name] for name in search.names) == child.values
        running.append((trial, child))
        if len(running) == workers:
            trial, child = running.pop(int(rng.integers(workers)))
            study.tell(trial, loss(child.values))
            search.tell(child, loss(child.values))
    assert search.fold.run.number > 0 or workers > 1


def test_the_first_order_under_constraints_is_the_samplers_and_others_differ() -> None:
    rng = np.random.default_rng(0)
    violations = np.maximum(0, rng.random(40) - 0.1)
    members = tuple(
        Finished(datetime(2026, 1, 1), i, (float(loss),), float(violation))
        for i, (loss, violation) in enumerate(zip(rng.random(40), violations, strict=True))
    )
    fold = Fold(Rules(20, 1, startup=10))
    for member in members:
        fold.add(member)
    fold.run()
    ranked = {name: tuple(arm(fold, members)) for name, arm in ARMS.items()}
    assert ranked["feasible first"][:20] == fold._select(members)
    assert all(sorted(own) == sorted(members) for own in ranked.values())
    assert len(set(ranked.values())) > 3  # both levels may let the same pass
