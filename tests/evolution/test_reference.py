"""The reference point: what lies beyond counts nothing, and what nobody reaches moves."""

from datetime import datetime, timedelta
from math import inf

from optuna_de.evolution.population import Finished, Fold, Rules
from optuna_de.evolution.reference import excess, reachable_reference


def test_a_bound_that_few_reach_moves_to_what_most_reach() -> None:
    first = [(0.1 * i, float(i)) for i in range(1, 9)]
    assert reachable_reference((0.3, 100.0), first) == (0.1 * 7, 100.0)
    assert reachable_reference((0.3, 100.0), []) == (0.3, 100.0)


def test_excess_is_relative_and_nothing_within() -> None:
    assert excess((0.3, 5.0), (0.3, 5.0)) == 0
    assert excess((0.6, 7.5), (0.3, 5.0)) == 1.5
    assert excess((9.0, 2.0), (inf, 1.0)) == 1


def test_members_beyond_the_reference_leave_first() -> None:
    start = datetime(2020, 1, 1)
    tiny = [(0.9, 10.0 + i) for i in range(4)]  # on the front, but of no use
    useful = [(0.2 + 0.01 * i, 1000.0 + i) for i in range(12)]
    losses = [*useful[:8], *tiny, *useful[8:]]

    def survivors(reference: tuple[float, ...] | None) -> list[tuple[float, ...] | None]:
        fold = Fold(Rules(8, 1, startup=8, reference=reference))
        for i, values in enumerate(losses):
            fold.add(Finished(start + timedelta(seconds=i), i, values))
            fold.run()
        return [member.losses for member in fold.population]

    assert tiny[0] in survivors(None)
    assert not set(tiny) & set(survivors((0.5, 10_000.0)))


def test_a_late_trial_of_the_first_block_moves_the_reference() -> None:
    start = datetime(2020, 1, 1)
    fold = Fold(Rules(4, 1, reference=(0.1, 1e9)))
    for i in (0, 2, 3, 4, 5):
        fold.add(Finished(start + timedelta(seconds=i), i, (0.2 + 0.1 * i, 1.0)))
    fold.run()
    before = fold.reference
    fold.add(Finished(start + timedelta(seconds=1), 1, (0.3, 1.0)))
    fold.run()
    assert before == (0.2 + 0.1 * 4, 1.0e9)
    assert fold.reference == (0.2 + 0.1 * 3, 1.0e9)
