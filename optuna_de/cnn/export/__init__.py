"""Model folders and files: how a trained network leaves the package."""

from optuna_de.cnn.export.export import Exported, export_model
from optuna_de.cnn.export.formats import FORMATS, ExportFormat, open_model
from optuna_de.cnn.export.model_folder import save_model, save_weights
from optuna_de.cnn.export.predict import Prediction, predict

__all__ = [
    "FORMATS",
    "ExportFormat",
    "Exported",
    "Prediction",
    "export_model",
    "open_model",
    "predict",
    "save_model",
    "save_weights",
]
