"""Early stopping of a study with two objectives: the fit of a polynomial and its degree."""

import numpy as np
import optuna

from optuna_de.halving import Halving

halving = Halving.within(epochs=81)
x = np.linspace(-1, 1, 64)


def objective(trial: optuna.Trial) -> tuple[float, int]:
    """Descend the squared error for 81 steps, unless the trial cannot matter at its degree."""
    degree, rate = trial.suggest_int("degree", 1, 12), trial.suggest_float("rate", 0.01, 1.0)
    powers, weights = x[:, None] ** np.arange(degree + 1), np.zeros(degree + 1)
    for step in range(1, 82):
        weights -= rate * powers.T @ (powers @ weights - np.sin(3 * x)) / len(x)
        error = float(np.square(powers @ weights - np.sin(3 * x)).mean())
        if step < 81 and halving.should_stop(trial, step, (error, degree)):
            raise optuna.TrialPruned
    return error, degree


if __name__ == "__main__":
    study = optuna.create_study(directions=["minimize", "minimize"])
    study.optimize(objective, n_trials=60)
    print(*(trial.values for trial in study.best_trials), sep="\n")
