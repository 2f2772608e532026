"""The search that bbob measures without a storage is the sampler's."""

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution

from optuna_de import DESampler

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
