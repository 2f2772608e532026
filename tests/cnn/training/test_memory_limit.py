"""A network that does not fit into real memory: row F18 of the fault list.

A limit of the process's memory stands in for a full card.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.kit import environment

SCRIPT = """
import json, resource
from pathlib import Path
import optuna, torch
from optuna_de.cnn.data.loading import load_data
from optuna_de.cnn.search.objective import CNNObjective
from optuna_de.cnn.recipes import get_recipe
from optuna_de.cnn.architecture.space import CNNSpace
from optuna_de.cnn.architecture.genomes import (parse)
from optuna_de.worker.optimize import optimize
optuna.logging.set_verbosity(optuna.logging.ERROR)
data = load_data("digits")
space = CNNSpace(data.image_shape, len(data.classes))
objective = CNNObjective(data, space, get_recipe("fast"), epochs=1, batch_size=1400)
study = optuna.create_study(directions=["minimize"] * 2)
small, large = "B16k3-MP-GAP", "B256k3-B256k3-B256k3-B256k3-B256k3-B256k3-MP-GAP"
study.enqueue_trial(space.encode(parse(small)))
optimize(study, objective, total=1)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20, resource.RLIM_INFINITY))
for text in (large, small):
    study.enqueue_trial(space.encode(parse(text)))
optimize(study, objective, total=3)
print(json.dumps([[t.state.name, t.values, sum(t.constraints.values())] for t in study.trials]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of memory and /proc")
def test_f18_a_network_beyond_the_memory_ends_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        check=False,
        env={**environment(), "MALLOC_ARENA_MAX": "1"},
        text=True,
    )
    assert done.returncode == 0, done.stderr
    before, full, after = json.loads(done.stdout.splitlines()[-1])
    assert full[0] == "COMPLETE"
    assert full[1][0] == pytest.approx(0.9)
    assert full[2] == 1.0
    assert after == before
    assert before[0] == "COMPLETE"
