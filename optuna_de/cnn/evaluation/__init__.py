"""Final training and fair comparison: what a network is worth."""

from optuna_de.cnn.evaluation.candidates import Candidate, Candidates, begin_candidates
from optuna_de.cnn.evaluation.comparison import Comparison, compare
from optuna_de.cnn.evaluation.final_training import fit, score
from optuna_de.cnn.evaluation.job import TrainingJob
from optuna_de.cnn.evaluation.model_card import honesty
from optuna_de.cnn.evaluation.results import claim_result_folder, read_result, write_all

__all__ = [
    "Candidate",
    "Candidates",
    "Comparison",
    "TrainingJob",
    "begin_candidates",
    "claim_result_folder",
    "compare",
    "fit",
    "honesty",
    "read_result",
    "score",
    "write_all",
]
