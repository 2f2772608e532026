#!/usr/bin/env bash
# Eight workers of one study on a Slurm cluster, one GPU each: sbatch examples/slurm_array.sh
# Before: export STORAGE=postgresql://optuna@server/optuna and PGPASSWORD, or PGPASSFILE.
# Submit from a folder that all nodes share: in it optuna_de_artifacts keeps files and checkpoints,
# so that any node goes on with the trial of one that died.
#SBATCH --job-name=optuna-de
#SBATCH --array=0-7
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@60
#SBATCH --requeue
#SBATCH --output=optuna-de-%A-%a.log
set -euo pipefail

: "${STORAGE:?is not set: the URL of the database that all workers share}"

# srun: Slurm signals the step, so the worker gives its trial back before the time is up.
srun optuna-de search \
  --storage "$STORAGE" \
  --study-name "${STUDY:-photos}" \
  --data "${DATA:-photos}" \
  --trials "${TRIALS:-400}" \
  --workers 1
