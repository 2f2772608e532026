"""Optuna's relational storage with repeated transactions and heartbeats that survive errors.

Depends on SQLAlchemy and Optuna's `RDBStorage` only.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import sqlalchemy
import tenacity
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy import event, exc

from optuna_de._compat.rdb import RDB_READS, RDB_WRITES, HeartbeatRDBStorage
from optuna_de.storage.backoff import back_off, reason
from optuna_de.storage.stale_trials import OWED, Watch
from optuna_de.storage.url import holds_secret

_logger = logging.getLogger(__name__)
_reads_only: ContextVar[bool] = ContextVar("reads_only", default=False)
_TRANSIENT = (
    *(exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError),
    exc.PendingRollbackError,  # Optuna reads on after a lost connection, see `_get_trials`
)


def is_transient(error: BaseException) -> bool:
    """Tell whether a repeat may help: lost connection, lock, deadlock, full or read-only disk."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    lost = isinstance(cause, exc.DBAPIError) and cause.connection_invalidated
    return isinstance(cause, _TRANSIENT) or lost


def repeated() -> tenacity.Retrying:
    """Return the rule by which a transaction is repeated."""
    return back_off(is_transient)


def _repeating(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return repeated()(method, *args, **kwargs)

    return call


def _reading(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        token = _reads_only.set(True)
        try:
            return method(*args, **kwargs)
        finally:
            _reads_only.reset(token)

    return call


class ResilientRDBStorage(HeartbeatRDBStorage):
    """`RDBStorage` for workers and databases that die.

    Every transaction is repeated while the database is away, an error of a heartbeat ends no
    heartbeat thread, and a trial that died before its first heartbeat is found stale once this
    process has seen it silent for a grace period. The rule uses no wall clock. A trial that
    runs without heartbeats (plain `ask` and `tell`) is stale by the same rule.
    """

    def __init__(self, url: str, **kwargs: Any) -> None:
        self._silent = Watch()
        super().__init__(url, **kwargs)
        self._begin_immediately()
        if self.engine.name in ("mysql", "mariadb"):
            repeated()(_tell_case_apart, self.engine)

    def __getstate__(self) -> dict[Any, Any]:
        """Refuse to carry a password into a pickle.

        Raises:
            TypeError: the URL holds a password.
        """
        if holds_secret(sqlalchemy.make_url(self.url)):
            raise TypeError("A storage whose URL holds a password is not pickled; open it again.")
        return {**super().__getstate__(), "_silent": Watch()}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        self._begin_immediately()

    def _begin_immediately(self) -> None:
        # SQLite ignores FOR UPDATE: only a lock taken before the first read makes a pop atomic.
        if self.engine.name == "sqlite":
            event.listen(self.engine, "begin", _begin_immediate)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Set the state; a repeat that finds its own lost commit counts as done.

        A repeat that finds FAIL cannot tell its own from another reaper's: it counts as the
        other's, and the debt marked by `stale` is paid later where it was its own.
        """
        for attempt in repeated():
            with attempt:
                try:
                    return super().set_trial_state_values(trial_id, state, values)
                except UpdateFinishedTrialError:
                    first = attempt.retry_state.attempt_number == 1
                    if first or not self._holds(trial_id, state, values):
                        raise
                    return state != TrialState.FAIL
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _holds(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> bool:
        trial = self.get_trial(trial_id)
        return trial.state == state and trial.values == (None if values is None else list(values))

    def record_heartbeat(self, trial_id: int) -> None:
        """Record a heartbeat; an error is logged, and the next beat tries again."""
        try:
            super().record_heartbeat(trial_id)
        except (StorageInternalError, exc.SQLAlchemyError) as error:
            _logger.warning("A heartbeat was not recorded: %s.", reason(error))

    def stale(self, study_id: int, beating: list[int], silent: list[int]) -> list[int]:
        """Return what to fail, each marked as owed a clone before it fails."""
        grace = self.grace_period or 2 * (self.heartbeat_interval or 1)
        overdue = self._silent.overdue(dict.fromkeys(silent, "silent"), grace)
        return [trial for trial in (*beating, *overdue) if self._owe(trial)]

    def _owe(self, trial_id: int) -> bool:
        try:
            self.set_trial_system_attr(trial_id, OWED, self.get_trial(trial_id).number)
        except UpdateFinishedTrialError:
            return False
        return True


for _name in RDB_WRITES:
    setattr(ResilientRDBStorage, _name, _repeating(getattr(HeartbeatRDBStorage, _name)))
for _name in RDB_READS:
    setattr(ResilientRDBStorage, _name, _repeating(_reading(getattr(HeartbeatRDBStorage, _name))))
_FOLDED = """
SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = DATABASE()
AND column_name IN ('study_name', 'key', 'param_name') AND collation_name LIKE '%%ci'
"""


def _tell_case_apart(engine: sqlalchemy.Engine) -> None:
    """Tell `x` and `X` apart: MySQL's default order of letters would lose one of the two."""
    with engine.begin() as connection:
        tables = [str(row[0]) for row in connection.exec_driver_sql(_FOLDED)]
        for table in tables:
            connection.exec_driver_sql(
                f"ALTER TABLE `{table}` CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            )


def configure_sqlite(connection: Any, _record: object) -> None:
    """Set up a new SQLite connection: explicit transactions, write-ahead logging."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _begin_immediate(connection: sqlalchemy.Connection) -> None:
    # With write-ahead logging a reader waits for nobody, so only writers take the lock.
    connection.exec_driver_sql("BEGIN" if _reads_only.get() else "BEGIN IMMEDIATE")
