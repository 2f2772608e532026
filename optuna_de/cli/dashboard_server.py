"""optuna-dashboard on the loopback address, where only this machine reaches it.

Depends on WSGI only. A page of another site that points its own name at 127.0.0.1 (DNS rebinding)
would reach it too; its requests bear that name and are refused, and so are those that a browser
sends for another site. An artifact may come from a stranger who shares the study: browsers open it
in a sandbox, without scripts and apart from the pages whose requests delete studies.
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
    app = only_local(sandboxed(wsgi(storage, artifact_store=store)))
    try:
        return make_server(HOST, port, app, server_class=Server, handler_class=_Quiet)
    except OSError as error:
        raise ValueError(f"Port {port} of {HOST} cannot be used: {error.strerror}.") from None


def only_local(app: Application) -> Application:
    """Return a WSGI application that answers requests to and from 127.0.0.1 and localhost."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", ""))
        origin = str(environ.get("HTTP_ORIGIN", f"http://{host}"))
        if host.partition(":")[0] not in (HOST, "localhost") or origin != f"http://{host}":
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"This dashboard answers requests to and from 127.0.0.1 only.\n"]
        return app(environ, start)

    return answer


def sandboxed(app: Application) -> Application:
    """Return a WSGI application whose answers are pages only where the dashboard wrote them.

    All others, artifacts above all, are sandboxed (Content Security Policy Level 3, section 6.3.2)
    and kept from other origins. No answer's type is guessed.
    """

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", "")).lstrip("/")  # as the dashboard reads it
        own = path.partition("/")[0] in ("", "dashboard", "static")

        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            kept = [h for h in headers if h[0].lower() != "access-control-allow-origin"]
            added = [("X-Content-Type-Options", "nosniff")]
            if not own:
                added.append(("Content-Security-Policy", "sandbox"))
            return start(status, kept + added, *rest)

        return app(environ, begin)

    return answer
