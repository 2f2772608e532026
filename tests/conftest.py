"""Settings that every test shares."""

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
