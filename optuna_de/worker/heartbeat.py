"""Signs of life of a running trial, in the storage's own heartbeat or in a system attribute."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import Trial

from optuna_de import _compat
from optuna_de.storage.stale_trials import BEAT

_logger = logging.getLogger(__name__)


@contextmanager
def beating(study: optuna.Study, trial: Trial, interval: float) -> Iterator[None]:
    """Show in the storage that the trial lives: a first beat now, then one each interval."""
    heartbeat, ended = _compat.heartbeat_of(study), threading.Event()
    seconds = float(heartbeat.get_heartbeat_interval() or interval) if heartbeat else interval

    def beat(count: int) -> None:
        try:
            if heartbeat is not None:
                heartbeat.record_heartbeat(_compat.trial_id(trial))
            else:
                _compat.set_system_attr(study, trial, BEAT, [time.time(), count])
        except UpdateFinishedTrialError:
            ended.set()
        except Exception as error:
            if _compat.is_deleted(study):
                ended.set()
                return
            _logger.warning("A heartbeat was not recorded: %s.", type(error).__name__)

    def run() -> None:
        count = 1
        while not ended.wait(seconds):
            beat(count)
            count += 1
        _compat.release_session(study)

    beat(0)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
