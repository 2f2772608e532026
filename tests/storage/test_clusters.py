"""The examples for clusters: manifests that parse and name real options, a proxy that serves."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from optuna_de.storage import backoff
from optuna_de.worker.optimize import optimize
from tests import servers
from tests.faults import storage_worker
from tests.faults.storage_worker import CALM, PATIENCE, spawn, study_of

EXAMPLES = Path(__file__).parents[2] / "examples"


def options_of(text: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]*", text))


@pytest.fixture(scope="module")
def known() -> set[str]:
    pytest.importorskip("torch")
    from optuna_de.cli.app import load_command

    return {o for parameter in load_command("search").params for o in parameter.opts}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_slurm_script_is_sound(known: set[str]) -> None:
    file = EXAMPLES / "slurm_array.sh"
    subprocess.run(["bash", "-n", str(file)], check=True)
    text = file.read_text()
    head, _, command = text.partition("srun optuna-de search")
    assert {"--array", "--signal", "--time"} <= options_of(head)
    assert {"--storage", "--trials"} <= options_of(command) <= known
    directives = [n for n, line in enumerate(text.splitlines()) if line.startswith("#SBATCH")]
    code = [n for n, line in enumerate(text.splitlines()) if line and not line.startswith("#")]
    assert max(directives) < min(code)  # Slurm reads no directive below a command
    unset = subprocess.run(["bash", str(file)], env={}, capture_output=True, check=False)
    assert unset.returncode != 0
    assert b"STORAGE" in unset.stderr


def test_the_kubernetes_job_is_sound(known: set[str]) -> None:
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((EXAMPLES / "kubernetes_job.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert job["metadata"]["name"]
    assert "completions" not in job["spec"]
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] in ("Never", "OnFailure")
    assert pod["terminationGracePeriodSeconds"] > 10
    (container,) = pod["containers"]
    assert container["image"]
    assert container["args"][:2] == ["optuna-de", "search"]
    assert {"--storage", "--trials"} <= options_of(" ".join(container["args"])) <= known
    mounts = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    assert set(mounts) == {v["name"] for v in pod["volumes"]}
    assert container["workingDir"] == mounts["files"]  # artifacts and checkpoints are shared
    assert all(type(v) in (int, str) for v in container["resources"]["limits"].values())


def serve(url: str, port: int) -> subprocess.Popen[bytes]:
    """Serve a storage by the example."""
    command = [sys.executable, str(EXAMPLES / "grpc_proxy.py"), url, "--port", str(port)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a proxy that starts as long as a busy machine needs."""
    monkeypatch.setattr(backoff, "RESTART", PATIENCE)


@contextmanager
def proxy(url: str) -> Iterator[str]:
    """Serve a storage by the example; yield the proxy's URL."""
    port = servers.free_port()
    process = serve(url, port)
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("patient")
def test_workers_share_a_study_through_the_proxy(tmp_path: Path) -> None:
    pytest.importorskip("grpc")
    database = f"sqlite:///{tmp_path}/a.db"
    with proxy(database) as url:
        study_of(url)._storage.close()  # type: ignore[attr-defined]
        workers = [spawn(storage_worker.work, url, 6, 0.05) for _ in range(2)]
        for worker in workers:
            worker.join(PATIENCE)
        assert [w.exitcode for w in workers] == [0, 0]
        study = study_of(url)
        assert sum(t.state == TrialState.COMPLETE for t in study.trials) == 6
        assert optimize(study, lambda t: t.suggest_float("x", 0, 1), total=7).finished == 1
        study._storage.close()  # type: ignore[attr-defined]
    assert len(study_of(database, **CALM).trials) >= 7
    storage_worker.close_all()


@pytest.mark.usefixtures("patient")
def test_f9_a_proxy_that_stays_away_is_an_error_of_the_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("grpc")
    monkeypatch.setattr("optuna_de.storage.grpc_proxy.PATIENCE", 1.0)
    with proxy(f"sqlite:///{tmp_path}/a.db") as url:
        study = study_of(url)
    with pytest.raises(StorageInternalError, match=r"No gRPC proxy has answered for 1 s\."):
        optimize(study, lambda t: t.suggest_float("x", 0, 1), total=1)
    study._storage.close()  # type: ignore[attr-defined]


@pytest.mark.usefixtures("patient")
def test_f9_a_worker_outlives_its_proxy(tmp_path: Path) -> None:
    pytest.importorskip("grpc")
    database, port = f"sqlite:///{tmp_path}/a.db", servers.free_port()
    served = [serve(database, port)]
    study = study_of(f"grpc://127.0.0.1:{port}")

    def restart_inside(trial: optuna.Trial) -> float:
        first = trial.suggest_int("a", 0, 9)
        served[0].kill()
        served[0].wait()
        threading.Timer(0.5, lambda: served.append(serve(database, port))).start()
        return first + trial.suggest_int("b", 0, 9)

    try:
        assert optimize(study, restart_inside, total=1).finished == 1
        (trial,) = study.trials
        assert trial.value == trial.params["a"] + trial.params["b"]
    finally:
        study._storage.close()  # type: ignore[attr-defined]
        served[-1].kill()
        served[-1].wait()
