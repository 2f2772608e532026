"""optuna-dashboard on the loopback address, where only this machine reaches it.

Knows WSGI, no study. A page of another site that points its own name at 127.0.0.1 (DNS rebinding)
would reach it too; its requests bear that name and are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import BaseStorage

HOST = "127.0.0.1"
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Server(ThreadingMixIn, WSGIServer):
    """A server with a thread per request, none of which keeps the process alive."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def serve(storage: BaseStorage, port: int, artifacts: Path | None) -> Server:
    """Return a server of the dashboard, bound to 127.0.0.1; ``serve_forever`` starts it.

    Args:
        storage: What it shows.
        port: 0 to 65535, 0 for a free one.
        artifacts: Folder of the trials' files; without one they are not shown.

    Raises:
        ValueError: Where the port is taken or not allowed.
        ModuleNotFoundError: Where optuna-dashboard is not installed.
    """
    from optuna_dashboard import wsgi  # of the extra dashboard

    store = None if artifacts is None else FileSystemArtifactStore(str(artifacts))
    app = only_local(wsgi(storage, artifact_store=store))
    try:
        return make_server(HOST, port, app, server_class=Server, handler_class=_Quiet)
    except OSError as error:
        raise ValueError(f"Port {port} of {HOST} cannot be used: {error.strerror}.") from None


def only_local(app: Application) -> Application:
    """Return a WSGI application that answers requests to 127.0.0.1 and localhost alone."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        name = str(environ.get("HTTP_HOST", "")).rpartition(":")[0] or environ.get("HTTP_HOST")
        if name not in (HOST, "localhost"):
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"This dashboard answers requests to 127.0.0.1 only.\n"]
        return app(environ, start)

    return answer
