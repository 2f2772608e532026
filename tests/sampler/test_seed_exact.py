"""The seed's algorithm against a plain recomputation, on a deterministic objective."""

from zlib import crc32

import numpy as np
import optuna
import pytest

from optuna_de import DESampler
from optuna_de.cnn import CNNSpace, count_parameters
from optuna_de.cnn.architecture.genomes import Genome, render, repair
from optuna_de.cnn.architecture.units import Conv
from optuna_de.sampler.plan import PLAN_KEY, Plan

SPACE = CNNSpace.seed()
POPULATION, CHILDREN, WEIGHTS = 20, 10, (0.7, 0.3)


def error_of(genome: Genome) -> float:
    """A deterministic stand-in for training: pseudo-random, the same for equal networks."""
    return crc32(render(genome).encode()) / 2**32


def objective(trial: optuna.Trial) -> tuple[float, float]:
    genome = SPACE.suggest(trial)
    return error_of(genome), float(count_parameters(genome))


@pytest.fixture(scope="module")
def study() -> optuna.Study:
    sampler = DESampler.seed_exact(initial=SPACE.initial, repair=SPACE.repair, seed=0)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(objective, n_trials=100)
    return study


def scores(values: list[list[float]]) -> list[float]:
    """score = 0.7 * norm(error) + 0.3 * norm(parameters), min-max over those given."""
    total = [0.0] * len(values)
    for j, weight in enumerate(WEIGHTS):
        column = [v[j] for v in values]
        low, span = min(column), max(column) - min(column)
        for i, x in enumerate(column):
            total[i] += weight * ((x - low) / span if span else 0.0)
    return total


def populations(trials: list[optuna.trial.FrozenTrial]) -> list[list[int]]:
    """Return the ranked trial numbers of populations 1 to 9."""
    ranked: list[int] = []
    out = []
    for start, stop in [(0, 20), *((s, s + 10) for s in range(20, 100, 10))]:
        merged = [*ranked, *range(start, stop)]
        score = scores([trials[n].values for n in merged])
        order = sorted(range(len(merged)), key=lambda i: score[i])
        ranked = [merged[i] for i in order[:POPULATION]]
        out.append(ranked)
    return out


def plain_child(best: Genome, r1: Genome, r2: Genome) -> Genome:
    """The seed's difference and add, written out; then pools that do not fit are dropped."""
    child = list(best)
    for i in range(min(len(best), max(len(r1), len(r2)))):
        if i >= len(r1):
            child[i] = r2[i]
        elif i >= len(r2) or r1[i].kind != r2[i].kind:
            child[i] = r1[i]
    return repair(child, (3, 32, 32))


def genomes(study: optuna.Study) -> list[Genome]:
    return [SPACE.decode(t.params) for t in study.trials]


def test_nine_populations_of_twenty_with_ten_children_each(study: optuna.Study) -> None:
    generations = [Plan.load(t.system_attrs[PLAN_KEY]).generation for t in study.trials]
    assert generations == [0] * 20 + [g for g in range(1, 9) for _ in range(10)]


def test_survivors_and_their_order_equal_a_plain_recomputation(study: optuna.Study) -> None:
    sampler = study.sampler
    assert isinstance(sampler, DESampler)
    ranked = populations(study.trials)
    for trial in study.trials[20:]:
        plan = Plan.load(trial.system_attrs[PLAN_KEY])
        best, r1, r2 = plan.parents
        population = ranked[plan.generation - 1]
        assert best in population[:5]
        assert {r1, r2} <= set(population)
        assert len({best, r1, r2}) == 3


def test_every_child_is_best_plus_difference(study: optuna.Study) -> None:
    all_genomes = genomes(study)
    for trial in study.trials[20:]:
        best, r1, r2 = (all_genomes[n] for n in Plan.load(trial.system_attrs[PLAN_KEY]).parents)
        assert all_genomes[trial.number] == plain_child(best, r1, r2)
        assert SPACE.repair(trial.params) == trial.params  # stored without dropped pools


def test_the_gene_pool_is_closed_and_lengths_never_grow(study: optuna.Study) -> None:
    first, later = genomes(study)[:20], genomes(study)[20:]
    assert {u for g in later for u in g} <= {u for g in first for u in g}
    assert max(map(len, later)) <= max(map(len, first))
    assert {g[0] for g in later} <= {g[0] for g in first}


def test_children_of_one_generation_differ(study: optuna.Study) -> None:
    all_genomes = genomes(study)
    repeats = 0
    for start in range(20, 100, 10):
        block = all_genomes[start : start + 10]
        repeats += len(block) - len(set(block))
    assert repeats == 0


def test_redraws_are_bounded_where_every_child_is_equal() -> None:
    sampler = DESampler.seed_exact(initial=lambda rng: SPACE.encode(SPACE.decode(same)), seed=0)
    same = SPACE.initial(np.random.default_rng(0))
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(objective, n_trials=40)
    assert len(study.trials) == 40  # and equal losses do not divide by zero


def test_initial_distribution_follows_the_rules() -> None:
    rng = np.random.default_rng(0)
    drawn = [SPACE.decode(SPACE.initial(rng)) for _ in range(3000)]
    assert {u.channels for g in drawn if isinstance(u := g[0], Conv)} == set(range(5, 13))
    kinds = [u.kind for g in drawn for u in g[1:]]
    pools = [k for k in kinds if k != "conv"]
    assert pools.count("max_pool") / len(pools) == pytest.approx(0.8, abs=0.02)
    assert max(len(g) for g in drawn) == 15
    assert {u.kernel for g in drawn for u in g if isinstance(u, Conv)} == {1, 3, 5, 7}
    for g in drawn:
        widths = [u.channels for u in g if isinstance(u, Conv)]
        assert widths == sorted(widths)
        assert sum(u.kind != "conv" for u in g) <= 4
    counts = [count_parameters(g) for g in drawn]
    assert 4e6 < float(np.median(counts)) < 7e6  # 5.5 M is known of the published program
    assert np.mean(np.array(counts) > 50e6) == pytest.approx(0.106, abs=0.02)
