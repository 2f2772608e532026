"""Plan of a fit: how its compute is shared between a search and finals, and what each will do.

All times are compute: seconds of one worker, added up over the workers. So a plan holds for any
number of them, on any machine that joins.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import optuna

from optuna_de._attributes import read_count, read_number, read_text
from optuna_de._text import duration
from optuna_de.cnn.architecture.region import Region, read_region
from optuna_de.cnn.search.fidelity import FACTOR, Fidelity, Ladder, ladder_of, ladder_text
from optuna_de.cnn.search.search import Known

PLAN_KEY = "optuna_de:fit"
SEARCHED = 0.5
"""Share of the compute that the search gets; the finals get the rest."""
PASSES = 8_000
"""Training images that pass in the first rung where time allows: fewer rank networks badly."""
LEAST_PASSES = 1_000
"""The same where it does not: fewer networks are tried before they are trained on less."""
FEWEST, MOST = 20, 150
"""Networks that a search tries at least, if it can, and above which they are trained longer."""
EPOCHS = 80
"""Most epochs of a final, for sets whose epochs are long enough."""
RUNGS = 3
SCORING = 1.25
"""Cost of a training with its scoring, in trainings."""
_TRIAL = 0.3  # seconds of a trial besides its training
_FINAL_PASSES = 300_000
_LONGEST_RUNG = 60_000  # passes of the last rung for a set of few images
_FEWEST_EPOCHS = 3
_CHOICES = ((3, 2, 60), (2, 2, 40), (2, 1, 20))
"""Networks of a band and seeds of each that are trained where that leaves so many epochs of 80."""


@dataclass(frozen=True, slots=True)
class FitPlan:
    """Plan of a fit.

    Args:
        compute: Seconds of compute in all.
        region: Where to look.
        images: Images of the training split.
        pass_seconds: Seconds that a training image costs, in the mean over the region.
        ladder: Fidelities of the search.
        trials: Networks that the search will try, about.
        finals: Networks that are trained in the end, about.
        epochs: Epochs of each, about.
        seeds: Trainings of each.
        known: Known networks with which the search begins: name and text of each.
    """

    compute: float
    region: Region
    images: int
    pass_seconds: float
    ladder: Ladder
    trials: int
    finals: int
    epochs: int
    seeds: int = 1
    known: Known = ()

    @property
    def search_compute(self) -> float:
        """Seconds of compute of the search."""
        return SEARCHED * self.compute

    @property
    def fewest_epochs(self) -> int:
        """Epochs that a final needs at least: it is of no use if the search trained longer."""
        return fewest_epochs(self.ladder, self.images)

    def json(self) -> dict[str, Any]:
        """Return the plan as a study records it."""
        ladder = [asdict(rung) for rung in self.ladder]
        return {**asdict(self), "region": self.region.text, "ladder": ladder}


def make_plan(compute: float, region: Region, images: int, pass_seconds: float) -> FitPlan:
    """Plan a fit.

    Args:
        compute: Seconds of compute, above 0.
        region: Where to look.
        images: Images of the training split.
        pass_seconds: Seconds that one training image costs, in the mean over the region.

    Raises:
        ValueError: If the time is too short for any search.
    """
    passes = SEARCHED * compute / (pass_seconds * SCORING)
    longest = max(15 * images, _LONGEST_RUNG) / FACTOR ** (RUNGS - 1)
    trials = min(max(passes / (RUNGS * PASSES), FEWEST), MOST)
    trials = min(trials, SEARCHED * compute / (RUNGS * _TRIAL))
    trials = min(trials, max(2.0, passes / (RUNGS * LEAST_PASSES)))
    first = min(passes / (RUNGS * max(trials, 1)), longest)
    if trials < 2 or first < 1:
        raise ValueError(
            f"{duration(compute)} of compute is too short for a search here; give more time."
        )
    rungs = ladder_of(first, images, RUNGS)
    cost = sum(rung.passes / FACTOR**i for i, rung in enumerate(rungs)) * pass_seconds * SCORING
    tried = int(SEARCHED * compute / (cost + _TRIAL))
    costs = [pass_seconds] * len(region.bands())
    fewest = fewest_epochs(rungs, images)
    finals = plan_finals((1 - SEARCHED) * compute, images, costs, fewest)
    return FitPlan(compute, region, images, pass_seconds, rungs, tried, *finals)


class Finals(NamedTuple):
    """Final trainings: networks, epochs of each, and seeds of each network."""

    networks: int
    epochs: int
    seeds: int = 1


def fewest_epochs(ladder: Ladder, images: int) -> int:
    """Return the epochs over so many images that see as many as the last rung, at least three."""
    return max(_FEWEST_EPOCHS, -(-ladder[-1].passes // images))


def plan_finals(
    compute: float, images: int, costs: list[float], fewest: int = _FEWEST_EPOCHS
) -> Finals:
    """Return how many networks to train in the end, for how many epochs, with how many seeds.

    Two for each band where that leaves them a quarter of the most epochs, with two seeds from a
    half and three networks from three quarters, else one; only the cheapest bands where one a band
    would leave them fewer epochs than ``fewest``.

    Args:
        compute: Seconds of compute.
        images: Images of the training split.
        costs: Seconds of a training image, one network a band.
        fewest: Epochs that make a final worth its while.
    """
    most = max(EPOCHS, min(5 * EPOCHS, _FINAL_PASSES // images))
    epochs = compute / (images * sum(costs) * SCORING)
    for each, seeds, least in _CHOICES:
        if epochs / (each * seeds) >= least * most / EPOCHS:
            return Finals(each * len(costs), min(most, int(epochs / (each * seeds))), seeds)
    cheapest = sorted(costs)
    while len(cheapest) > 1 and compute / (images * sum(cheapest) * SCORING) < fewest:
        cheapest.pop()
    epochs = compute / (images * sum(cheapest) * SCORING)
    return Finals(len(cheapest), max(1, min(most, int(epochs))))


def read_plan(study: optuna.Study) -> FitPlan | None:
    """Return the plan that a study records; None if it has none that can be read."""
    record = study.user_attrs.get(PLAN_KEY)
    if not isinstance(record, dict):
        return None
    region = read_region(record.get("region"))
    numbers = [read_number(record.get(name)) for name in ("compute", "pass_seconds")]
    names = ("images", "trials", "finals", "epochs", "seeds")
    counts = [read_count({"seeds": 1, **record}.get(name)) for name in names]
    if region is None or not all(numbers) or not all(counts):
        return None
    try:
        ladder = tuple(Fidelity(**rung) for rung in record["ladder"])
    except (TypeError, KeyError, ValueError):
        return None
    (compute, cost), (images, *rest) = numbers, counts
    plan = FitPlan(float(compute or 0), region, images or 1, float(cost or 0), ladder, *rest)  # type: ignore[arg-type]
    return replace(plan, known=_read_known(record.get("known")))


def _read_known(value: object) -> Known:
    """Return the known networks that a plan records, those that are pairs of texts."""
    rows = value if isinstance(value, list | tuple) else []
    pairs = [row for row in rows if isinstance(row, list | tuple) and len(row) == 2]
    return tuple((n, text) for n, text in pairs if read_text(n) and read_text(text))


def extended(plan: FitPlan, compute: float) -> FitPlan:
    """Return a plan with more compute; the ladder stays, so that errors stay comparable."""
    whole = plan.compute + compute
    longer = make_plan(whole, plan.region, plan.images, plan.pass_seconds)
    tried = round(plan.trials * whole / plan.compute)
    return replace(longer, ladder=plan.ladder, trials=tried, known=plan.known)


def plan_rows(plan: FitPlan, workers: int) -> list[tuple[str, str, str, str, str]]:
    """Return the plan as rows of text, with what a quarter and four times the time would give.

    A row is time by the clock, networks tried, training images and epochs of the last rung,
    finals and their epochs.
    """
    rows = []
    for factor, name in ((0.25, "a quarter"), (1.0, "this plan"), (4.0, "four times")):
        try:
            other = make_plan(factor * plan.compute, plan.region, plan.images, plan.pass_seconds)
        except ValueError:
            continue
        shown = plan if factor == 1 else other
        rows.append(
            (
                f"{name}, {duration(shown.compute / workers)}",
                f"about {shown.trials}",
                ladder_text(shown.ladder),
                f"{shown.finals}" + (f" x {shown.seeds} seeds" if shown.seeds > 1 else ""),
                f"{shown.epochs}",
            )
        )
    return rows
