"""The training loop: how a network is trained and scored."""

from optuna_de.cnn.training.checkpoint import discard_checkpoint
from optuna_de.cnn.training.device import pick_device, use_threads, uses_bfloat16
from optuna_de.cnn.training.epochs import Epoch
from optuna_de.cnn.training.evaluate import evaluate
from optuna_de.cnn.training.memory import TrainingOutOfMemory, build_fitting
from optuna_de.cnn.training.trainer import TrainingResult, train

__all__ = [
    "Epoch",
    "TrainingOutOfMemory",
    "TrainingResult",
    "build_fitting",
    "discard_checkpoint",
    "evaluate",
    "pick_device",
    "train",
    "use_threads",
    "uses_bfloat16",
]
