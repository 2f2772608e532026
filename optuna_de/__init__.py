"""Neural architecture search by differential evolution, as an Optuna sampler."""
