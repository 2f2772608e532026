"""Final training and fair comparison: what a network is worth."""

from optuna_de.cnn.evaluation.candidates import Candidate, Candidates, load_candidates
from optuna_de.cnn.evaluation.comparison import Comparison, run_comparison
from optuna_de.cnn.evaluation.final_training import run_final_training, score_final_training
from optuna_de.cnn.evaluation.model_card import honesty
from optuna_de.cnn.evaluation.results import (
    claim_result_folder,
    final_result,
    read_result,
    write_result,
    write_weights,
)
from optuna_de.cnn.evaluation.training_job import TrainingJob

__all__ = [
    "Candidate",
    "Candidates",
    "Comparison",
    "TrainingJob",
    "claim_result_folder",
    "final_result",
    "honesty",
    "load_candidates",
    "read_result",
    "run_comparison",
    "run_final_training",
    "score_final_training",
    "write_result",
    "write_weights",
]
