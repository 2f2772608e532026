"""Small studies made by hand, in a known order of completion."""

import warnings
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState, create_trial

from optuna_de.sampler.plan import PLAN_KEY

START = datetime(2026, 1, 1)
HOSTILE = "<img src=x onerror=alert(1)><a href='javascript:alert(2)'>&amp; %{x} $y$"


Direction = Literal["minimize", "maximize"]


def study(
    directions: Sequence[Direction] = ("minimize", "minimize"),
    *,
    names: list[str] | None = None,
    study_name: str | None = None,
) -> optuna.Study:
    made = optuna.create_study(directions=list(directions), study_name=study_name)
    if names is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made.set_metric_names(names)
    return made


def add(
    study: optuna.Study,
    *values: float,
    plan: tuple[int, str, tuple[int, ...]] | None = None,
    attrs: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
    distributions: dict[str, BaseDistribution] | None = None,
    constraint: float | None = None,
    seconds: float = 10.0,
    state: TrialState = TrialState.COMPLETE,
    late: float = 0.0,
) -> None:
    """Add a trial that completes ``late`` seconds after its turn, one per minute."""
    number = len(study.get_trials(deepcopy=False))
    done = START + timedelta(minutes=number, seconds=late)
    system = {}
    if plan is not None:
        generation, operator, parents = plan
        system[PLAN_KEY] = {
            **{"generation": generation, "operator": operator},
            **{"parents": list(parents), "key": [0, number]},
        }
    trial = create_trial(
        values=list(values) or None,
        state=state,
        params=params or {},
        distributions=distributions or {},
        user_attrs=attrs or {},
        system_attrs=system,
        constraints=None if constraint is None else {"c": constraint},
    )
    trial.datetime_start, trial.datetime_complete = done - timedelta(seconds=seconds), done
    study.add_trial(trial)


def family() -> optuna.Study:
    """Five trials: three initial, their child, and an added one; 1 fails in between."""
    made = study(names=["error", "parameters"])
    add(made, 0.5, 100.0, plan=(0, "initial", ()), attrs={"architecture": "C7k3", "seconds": 2.0})
    add(made, 0.6, 5000.0, plan=(0, "initial", ()))
    add(made, 0.4, 3000.0, plan=(0, "initial", ()), constraint=1.0)
    add(made, state=TrialState.FAIL, plan=(1, "difference", (0, 1, 2)))
    add(made, 0.3, 2000.0, plan=(1, "difference", (0, 1, 0)))
    add(made, 0.2, 4000.0)
    add(made, 0.25, 1000.0, plan=(2, "edit", (4, 99, 2)))
    return made
