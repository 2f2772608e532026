"""Back-off: a storage operation that fails for a passing reason is repeated for two minutes."""

from __future__ import annotations

import logging
from collections.abc import Callable

import tenacity
from optuna.exceptions import StorageInternalError

PATIENCE = 120.0
"""Seconds for which an operation is repeated; a restart of a database takes less."""
RESTART = 30.0
"""Seconds for which a server that is down, as in a restart, is waited for at opening."""
_logger = logging.getLogger(__name__)


def reason(error: BaseException | None) -> str:
    """Return the words of a driver or of the system in one line, without SQL and parameters."""
    inner = error.__cause__ if isinstance(error, StorageInternalError) else error
    words = getattr(inner, "orig", None) or getattr(inner, "strerror", None) or inner
    return " ".join(str(words).split())


def announce(state: tenacity.RetryCallState) -> None:
    """Log the first failure of a row."""
    if state.attempt_number == 1 and state.outcome is not None:
        _logger.warning(
            "The storage answers: %s; trying again.", reason(state.outcome.exception())
        )


def back_off(is_transient: Callable[[BaseException], bool]) -> tenacity.Retrying:
    """Return the rule of repeats: random exponential waits up to 5 s, for `PATIENCE` seconds."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_transient),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=5.0),
        stop=tenacity.stop_after_delay(PATIENCE),
        before_sleep=announce,
        reraise=True,
    )
