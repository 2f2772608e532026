"""Attributes and files of a study: what a study records and how it is read back. No torch."""

from optuna_de.cnn.study.attributes import (
    ATTRIBUTES,
    Attributes,
    read_attributes,
    record,
    record_network,
    record_training,
    record_violation,
)
from optuna_de.cnn.study.objectives import ERROR, MEASURES, Measure
from optuna_de.cnn.study.setup import check_setup, enqueue_once, recorded_setup, setup_of
from optuna_de.cnn.study.trials import (
    FINISHED,
    checkpoint_file,
    complete_trial,
    count_finished,
    ended_trials,
    network_of,
    pareto_front,
    spent_seconds,
    store_files,
    useful_front,
)

__all__ = [
    "ATTRIBUTES",
    "ERROR",
    "FINISHED",
    "MEASURES",
    "Attributes",
    "Measure",
    "check_setup",
    "checkpoint_file",
    "complete_trial",
    "count_finished",
    "ended_trials",
    "enqueue_once",
    "network_of",
    "pareto_front",
    "read_attributes",
    "record",
    "record_network",
    "record_training",
    "record_violation",
    "recorded_setup",
    "setup_of",
    "spent_seconds",
    "store_files",
    "useful_front",
]
