"""Optuna's gRPC proxy with requests that are repeated while the proxy restarts.

A repeat whose first answer was lost may leave a trial RUNNING that no worker knows of; it shows no
sign of life, so it is reaped like any other.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, NoReturn

import tenacity
from optuna.exceptions import StorageInternalError
from optuna.storages import GrpcStorageProxy

from optuna_de import _compat
from optuna_de.storage import backoff
from optuna_de.storage.backoff import PATIENCE
from optuna_de.storage.stale_trials import quietly_experimental
from optuna_de.storage.url import StorageError, parse, redact


class PatientProxy(GrpcStorageProxy):
    """A `GrpcStorageProxy` whose requests outlive a restart of the proxy."""

    def _setup(self) -> None:
        super()._setup()
        _compat.wrap_channel(self, _patient)


def _give_up(_state: tenacity.RetryCallState) -> NoReturn:
    raise StorageInternalError(f"No gRPC proxy has answered for {PATIENCE:.0f} s.")


def _patient(channel: Any) -> Any:
    import grpc  # type: ignore[import-untyped, unused-ignore]

    def is_away(call: Any) -> bool:
        return bool(call.code() == grpc.StatusCode.UNAVAILABLE)

    again = tenacity.Retrying(
        retry=tenacity.retry_if_result(is_away),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=5.0),
        stop=tenacity.stop_after_delay(PATIENCE),
        retry_error_callback=_give_up,
    )

    class Again(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc, unused-ignore]
        def intercept_unary_unary(
            self, continuation: Callable[..., Any], details: Any, request: Any
        ) -> Any:
            return again.copy()(continuation, details, request)

    return grpc.intercept_channel(channel, Again())


def open_proxy(url: str) -> GrpcStorageProxy:
    """Open ``grpc://host:port``, where a proxy answers within `backoff.RESTART` seconds.

    Raises:
        StorageError: If the URL is wrong, the host is unknown, or nothing answers.
        ImportError: If grpcio or protobuf is missing.
    """
    parts = parse(url)
    host, port = parts.host, parts.port
    if not host or not port or port > 65535 or parts.database or parts.username or parts.password:
        raise StorageError(f"The storage URL {redact(url)!r} is not grpc://host:port.")
    try:
        _await(host, port, backoff.RESTART)
        with quietly_experimental():
            return PatientProxy(host=host, port=port)
    except socket.gaierror:
        raise StorageError(f"The host {host!r} of the gRPC proxy is unknown.") from None
    except OSError:
        raise StorageError(f"No gRPC proxy answers at {host}:{port}.") from None


def _await(host: str, port: int, seconds: float) -> None:
    """Return as soon as something listens (gRPC's own wait ends in a thread's traceback)."""
    again = tenacity.Retrying(
        retry=tenacity.retry_if_not_exception_type(socket.gaierror),
        wait=tenacity.wait_random(0.1, 0.5),
        stop=tenacity.stop_after_delay(seconds),
        reraise=True,
    )
    again(lambda: socket.create_connection((host, port), timeout=10).close())
