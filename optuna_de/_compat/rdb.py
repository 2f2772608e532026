"""Relational storage of Optuna, by private parts: SQLAlchemy is loaded with this file only."""

from __future__ import annotations

from optuna.storages import RDBStorage
from optuna.trial import TrialState

from optuna_de._compat import lacks_private_name

try:
    from optuna.storages._rdb import models
except (ImportError, AttributeError) as _error:
    raise lacks_private_name(_error) from _error

RDB_WRITES = (
    *("create_new_study", "delete_study", "set_study_user_attr", "set_study_system_attr"),
    *("_create_new_trial", "_set_trial_param", "set_trial_intermediate_value"),
    *("set_trial_user_attr", "set_trial_system_attr"),
)
"""Methods of `RDBStorage` that are one writing transaction each, so that a repeat is safe."""
RDB_READS = (
    *("get_study_id_from_name", "get_study_name_from_id", "get_study_directions"),
    *("get_study_user_attrs", "get_study_system_attrs", "get_all_studies"),
    *("get_trial_param", "_get_best_trial_id", "get_trial_id_from_study_id_trial_number"),
    *("get_trial", "_get_trials", "_get_stale_rows"),
)
"""Methods of `HeartbeatRDBStorage` that only read."""


class HeartbeatRDBStorage(RDBStorage):
    """An `RDBStorage` that lets a subclass decide which running trials are stale."""

    def stale(self, study_id: int, beating: list[int], silent: list[int]) -> list[int]:
        """Return stale trial ids; `beating` stopped to beat, `silent` have no beat yet."""
        return beating

    def _get_stale_trial_ids(self, study_id: int) -> list[int]:
        return self.stale(study_id, *self._get_stale_rows(study_id))

    def _get_stale_rows(self, study_id: int) -> tuple[list[int], list[int]]:
        beating = super()._get_stale_trial_ids(study_id)
        trial, beat = models.TrialModel, models.TrialHeartbeatModel
        with self.scoped_session() as session:
            silent = (
                session.query(trial.trial_id)
                .outerjoin(beat, beat.trial_id == trial.trial_id)
                .filter(trial.study_id == study_id, trial.state == TrialState.RUNNING)
                .filter(beat.trial_id.is_(None))
                .all()
            )
            session.rollback()
        return beating, [row[0] for row in silent]
