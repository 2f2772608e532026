"""Studies of networks made by hand, for the tests of reports."""

from typing import Any

import numpy as np
import optuna

from optuna_de.cnn.report_facts import SETUP_KEY
from optuna_de.cnn.space import CNNSpace
from optuna_de.cnn.units import render
from tests.visualization import kit

SETUP = {"data": "digits", "image shape": [1, 8, 8], "classes": 10, "training seed": 7}


def networks(n: int, *, study_name: str = "digits-modern", epochs: int = 5) -> optuna.Study:
    """Return a study of ``n`` networks that the modern space draws, errors falling with size."""
    space, rng = CNNSpace((1, 8, 8), 10), np.random.default_rng(0)
    study = kit.study(names=["error", "parameters"], study_name=study_name)
    study.set_user_attr(SETUP_KEY, SETUP)
    for i in range(n):
        params = space.initial(rng)
        size = space.count_parameters(params)
        error = float(min(0.9, 4 / np.log(size) ** 1.5 * rng.uniform(0.4, 1.6)))
        attrs = {
            **{"architecture": render(space.decode(params)), "macs": space.count_macs(params)},
            **{"epochs": epochs, "seconds": 2.5, "status": "ok", "machine": "2 cores of a test"},
            "curve": [[e + 1, 2 / (e + 1), error + 0.3 / (e + 1)] for e in range(epochs)],
        }
        added: dict[str, Any] = {"params": params, "distributions": space.distributions(params)}
        parents = (i - 1, i - 5, i - 9) if i > 20 else ()
        plan = (max(0, i - 20) // 10, "difference" if parents else "initial", parents)
        kit.add(study, error, float(size), plan=plan, attrs=attrs, **added)
    return study
