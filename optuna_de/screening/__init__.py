"""Models of finished trials: which child is worth evaluating."""

from optuna_de.screening.acquisition import Array
from optuna_de.screening.screening import Evidence, Screening, screen
from optuna_de.screening.transforms import Losses, extrapolate_losses

__all__ = ["Array", "Evidence", "Losses", "Screening", "extrapolate_losses", "screen"]
