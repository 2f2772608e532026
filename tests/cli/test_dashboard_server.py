"""The dashboard: loopback only, foreign names refused, trials and their files shown."""

import http.client
import json
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
from optuna_de.cnn.study.attributes import record_violation
from tests.browser import chromium, opened

pytest.importorskip("optuna_dashboard", reason="optuna-dashboard is not installed.")


SCRIPT = "fetch('/api/studies/1', {method: 'DELETE'}); document.title = 'it ran'"
HOSTILE = {
    "page.html": f"<title>a page</title><script>{SCRIPT}</script><p>text</p>",
    "drawing.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
    f"<title>a page</title><script>{SCRIPT}</script></svg>",
}


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
    full = study.ask()
    full.suggest_float("x", 0, 1)
    record_violation(full, "memory", 1.0, "It does not fit into memory.")
    study.tell(full, 0.9)
    hostile = study.ask()
    for name, content in HOSTILE.items():
        file = folder / name
        file.write_text(content)
        for owner in (hostile, study):
            optuna.artifacts.upload_artifact(
                artifact_store=store, file_path=str(file), study_or_trial=owner
            )
    with serve(storage, 0, folder / "artifacts") as started:
        thread = threading.Thread(target=started.serve_forever)
        thread.start()
        yield started
        started.shutdown()
        thread.join()


def request(
    server: Server, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers by their small letters, and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=240)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, body


def ask(server: Server, path: str, host: str) -> tuple[int, bytes]:
    status, _, body = request(server, path, Host=host)
    return status, body


def trials_of(server: Server) -> Any:
    return json.loads(request(server, "/api/studies/1")[2])


def artifacts_of(server: Server) -> list[str]:
    """Return the paths of all artifacts."""
    answer = trials_of(server)
    paths = [f"/artifacts/1/{a['artifact_id']}" for a in answer["artifacts"]]
    for trial in answer["trials"]:
        paths += [
            f"/artifacts/1/{trial['trial_id']}/{a['artifact_id']}" for a in trial["artifacts"]
        ]
    return paths


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


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "file://"])
def test_it_refuses_requests_of_other_sites(server: Server, method: str, origin: str) -> None:
    assert request(server, "/api/studies/9", method, Origin=origin)[0] == 403


def test_it_answers_its_own_pages(server: Server) -> None:
    host = f"127.0.0.1:{server.server_port}"
    assert request(server, "/api/studies/1", Origin=f"http://{host}")[0] == 200


def test_f50_artifacts_are_sandboxed(server: Server) -> None:
    paths = artifacts_of(server)
    assert len(paths) == 3 + 2 + 2
    for path in [*paths, "/" + paths[0], "/artifacts/1/1/0", "/artifacts/", "/csv/1"]:
        _, headers, _ = request(server, path)
        assert headers["content-security-policy"] == "sandbox", path
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
    types = {request(server, path)[1]["content-type"] for path in paths}
    assert {"text/html", "image/svg+xml"} <= types


def test_f50_the_dashboard_itself_is_no_sandbox(server: Server) -> None:
    for path in ("/dashboard", "/dashboard/studies/1", "/static/bundle.js"):
        status, headers, _ = request(server, path)
        assert status == 200
        assert "sandbox" not in headers.get("content-security-policy", "")
        assert headers["x-content-type-options"] == "nosniff"


def test_f50_a_script_in_an_artifact_does_not_run(server: Server, tmp_path: Path) -> None:
    with chromium(tmp_path) as context:
        for path in artifacts_of(server):
            if request(server, path)[1]["content-type"] not in ("text/html", "image/svg+xml"):
                continue
            url = f"http://127.0.0.1:{server.server_port}{path}"
            page = context.new_page()
            page.goto(url)
            page.wait_for_timeout(300)
            assert page.title() != "it ran"
            page.close()
    assert b'"shown"' in request(server, "/api/studies")[2]


def test_the_dashboard_knows_which_trials_are_infeasible(server: Server) -> None:
    constraints = [trial["constraints"] for trial in trials_of(server)["trials"]]
    assert [any(c > 0 for c in some) for some in constraints] == [False, True, True, False]


def test_a_browser_marks_an_infeasible_trial(server: Server, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.server_port}/dashboard/studies/1"
    with chromium(tmp_path) as context, opened(context, url) as page:
        page.get_by_text("Infeasible").first.wait_for()
