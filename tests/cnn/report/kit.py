"""Studies of networks made by hand, for the tests of reports."""

from functools import cache
from typing import Any

import numpy as np
import optuna

from optuna_de.cnn.architecture.genomes import render
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.study.setup import SETUP_KEY
from tests.visualization import kit

SETUP = {"data": "digits", "image shape": [1, 8, 8], "classes": 10, "training seed": 7}
EPOCHS, DRAWN = 5, 150


@cache
def _drawn() -> list[tuple[int, dict[str, Any], dict[str, Any]]]:
    """Return networks that the modern space draws: parameters, their trial, its attributes."""
    space, rng, networks = CNNSpace((1, 8, 8), 10), np.random.default_rng(0), []
    for _ in range(DRAWN):
        params = space.initial(rng)
        trial = {"params": params, "distributions": space.distributions(params)}
        attrs = {"architecture": render(space.decode(params)), "macs": space.count_macs(params)}
        networks.append((space.count_parameters(params), trial, attrs))
    return networks


def networks(n: int, *, study_name: str = "digits-modern") -> optuna.Study:
    """Return a study of ``n`` networks on digits, whose errors fall with their size."""
    study = kit.study(names=["error", "parameters"], study_name=study_name)
    study.set_user_attr(SETUP_KEY, SETUP)
    for i in range(n):
        size, trial, attrs = _drawn()[i % DRAWN]
        luck = np.random.default_rng(i).uniform(0.4, 1.6)
        error = float(min(0.9, 4 / np.log(size) ** 1.5 * luck))
        curve = [[e + 1, 2 / (e + 1), error + 0.3 / (e + 1)] for e in range(EPOCHS)]
        record = {"epochs": EPOCHS, "seconds": 2.5, "status": "ok", "machine": "2 cores of a test"}
        parents = (i - 1, i - 5, i - 9) if i > 20 else ()
        plan = (max(0, i - 20) // 10, "difference" if parents else "initial", parents)
        every = {**attrs, **record, "curve": curve}
        kit.add(study, error, float(size), plan=plan, attrs=every, **trial)
    return study
