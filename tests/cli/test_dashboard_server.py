"""The dashboard: loopback only, foreign names refused, trials and their files shown."""

import http.client
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from optuna_de import open_storage
from optuna_de.cli.dashboard_server import Server, serve
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.study.artifacts import open_store, upload
from optuna_de.cnn.study.trials import record_violation
from tests.browser import chromium, opened

pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed.")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("dashboard")
    storage = open_storage(f"sqlite:///{folder / 'study.db'}", heartbeat_interval=None)
    study = optuna.create_study(study_name="shown", storage=storage)
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    trial.set_user_attr("generation", 3)
    store = open_store(folder / "artifacts")
    upload(trial, store, parse("B8k3-MP-GAP"), (1, 8, 8), 10, [[1, 2.0, 0.5]])
    study.tell(trial, 0.25)
    over = study.ask()
    record_violation(over, "parameters", 5.0, "15 parameters are over the cap of 10")
    study.tell(over, state=optuna.trial.TrialState.PRUNED)
    with serve(storage, 0, folder / "artifacts") as started:
        thread = threading.Thread(target=started.serve_forever)
        thread.start()
        yield started
        started.shutdown()
        thread.join()


def ask(server: Server, path: str, host: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    status, body = answer.status, answer.read()
    connection.close()
    return status, body


def test_it_is_bound_to_loopback(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", server.server_port))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.1:80", "localhost:8080"])
def test_it_answers_this_machine(server: Server, host: str) -> None:
    status, body = ask(server, "/api/studies", host)
    assert status == 200
    assert b'"shown"' in body


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "", "[::1]:80"])
def test_it_refuses_other_names(server: Server, host: str) -> None:
    status, body = ask(server, "/api/studies", host)
    assert status == 403
    assert b"shown" not in body


@pytest.mark.parametrize("path", ["/artifacts/1/1/..%2F..%2Fstudy.db", "/artifacts/1/1/study.db"])
def test_files_outside_the_folder_are_out_of_reach(server: Server, path: str) -> None:
    assert ask(server, path, "localhost")[0] == 404


def test_a_taken_port_is_named(server: Server) -> None:
    storage: Any = optuna.storages.InMemoryStorage()
    with pytest.raises(ValueError, match=f"Port {server.server_port} of 127.0.0.1 cannot be"):
        serve(storage, server.server_port, None)


def test_a_browser_sees_trials_and_files(server: Server, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.server_port}/dashboard/studies/1/trials?numbers=0"
    with chromium(tmp_path) as context, opened(context, url) as page:
        page.get_by_text("Trial 0 (trial_id=1)").first.wait_for()
        for name in ("drawing.svg", "curve.csv", "layers.csv"):
            page.get_by_text(name).first.wait_for()
        page.wait_for_function(
            "[...document.images].some(i => i.src.includes('/artifacts/') && i.naturalWidth > 0)"
        )


def test_a_browser_sees_that_a_trial_is_not_feasible(server: Server, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.server_port}/dashboard/studies/1/trials?numbers=1"
    with chromium(tmp_path) as context, opened(context, url) as page:
        page.get_by_text("feasible False").first.wait_for()
        page.get_by_text("reason 15 parameters are over the cap of 10").first.wait_for()
