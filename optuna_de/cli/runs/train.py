"""The run of ``train``: a network is trained fully in its folder; its exit code."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from zlib import crc32

import optuna

from optuna_de._files import reason, warn_once
from optuna_de.cli.console import say
from optuna_de.cli.options import TrainingOptions
from optuna_de.cli.progress.training_progress import OnEpoch, training_progress
from optuna_de.cnn.architecture.cost import count_parameters
from optuna_de.cnn.architecture.genomes import render
from optuna_de.cnn.data.loading import DataChoice
from optuna_de.cnn.data.options import DataOptions
from optuna_de.cnn.evaluation.candidates import Candidate, load_candidates
from optuna_de.cnn.evaluation.final_training import run_final_training, score_final_training
from optuna_de.cnn.evaluation.model_card import honesty, metric_of, tta_figures
from optuna_de.cnn.evaluation.results import (
    check_disk,
    claim_result_folder,
    final_result,
    read_result,
    stretched,
    write_result,
    write_weights,
)
from optuna_de.cnn.evaluation.training_job import TrainingJob
from optuna_de.cnn.export.teacher import load_teacher
from optuna_de.cnn.training.device import use_threads
from optuna_de.storage.open_storage import open_study

INTERRUPTED = 130
HOME = Path("optuna_de_models")
RESUME = "Interrupted. Run the same command to continue from the last finished epoch."


def train_network(
    options: DataOptions,
    training: TrainingOptions,
    source: tuple[str | None, str],
    network: int | str,
    teacher: Path | None,
    out: Path | None,
    **more: Any,
) -> int:
    """Train a network fully, and return the exit code.

    Args:
        options: The images, where the study does not say.
        training: Options of the training.
        source: Name of the study, which may be None, and its storage.
        network: Number of a trial of the study, or a network as text.
        teacher: Folder of a trained model whose answers it learns.
        out: Folder of the result.
        more: Fields of the job.
    """
    use_threads(training.threads)
    study = open_named(*source, needed=isinstance(network, int))
    candidates = load_candidates(study, DataChoice.of(options))
    if isinstance(network, int):
        chosen = candidates.from_trial(network)
    else:
        chosen = candidates.from_text(network)
    learned = load_teacher(teacher, candidates.data) if teacher else None
    job = training.job(candidates, chosen, teacher=learned, **more)
    return run_training(job, candidates.choice, chosen, out)


def open_named(study_name: str | None, storage: str, *, needed: bool) -> optuna.Study | None:
    """Return the study of that name; None if neither it nor a trial of one is given."""
    return open_study(study_name, storage) if needed or study_name is not None else None


def folder_name(network: Candidate) -> str:
    """Return the name of a network's folder; different networks get different names."""
    text = render(network.genome)
    short = f"{text[:60]}-{crc32(text.encode()):08x}" if network.name == text else network.name
    return re.sub(r"[^\w.-]+", "-", short)


def run_training(
    job: TrainingJob, choice: DataChoice, network: Candidate, out: Path | None
) -> int:
    """Run the final training of one network in a folder and return the exit code."""
    folder = out or HOME / folder_name(network)
    job = stretched(job, folder)
    claim_result_folder(folder, job.setup())
    result, code = read_result(folder), 0
    if result is None:
        check_disk(folder, [job])
        _announce(job, folder)
        try:
            with _progress(job) as on_epoch:
                weights = run_final_training(job, folder, on_epoch)
        except KeyboardInterrupt:
            say(RESUME)
            return INTERRUPTED
        write_weights(job, weights, folder, HOME if out is None else None)
        test = choice.load_test()
        result = final_result(job, weights, score_final_training(job, weights, test))
        code = _write(result, folder)
    else:
        say("This network is already trained. Its results:")
    _print(result, folder)
    return code


def _progress(job: TrainingJob) -> AbstractContextManager[OnEpoch]:
    score = job.data.scored_by.score
    return training_progress(job.total_epochs, "", job.keep_validation, score)


def _write(result: dict[str, Any], folder: Path) -> int:
    """Write the result; figures that cannot be written are printed all the same."""
    try:
        write_result(result, folder, goes_on=True)
    except OSError as error:
        warn_once(f"{folder}: {reason(error)}. Run the same command again to write the result.")
        return 1
    return 0


def _announce(job: TrainingJob, folder: Path) -> None:
    shape, classes = job.data.image_shape, len(job.data.classes)
    train, held = len(job.data.train.labels), len(job.data.validation.labels)
    apart = f"{train:,} images, {held:,} kept to choose the best epoch"
    say(
        f"Training {render(job.genome)} ({count_parameters(job.genome, shape, classes):,} "
        f"parameters) on {job.data.name}, "
        f"{apart if job.keep_validation else f'{train + held:,} images'}: "
        f"{job.epochs} epoch{'s' * (job.epochs != 1)} of recipe {job.recipe.name}"
        f"{_rounded(job)}, into {folder}."
    )
    if job.stretched_from:
        say(
            f"It goes on from a training of {job.stretched_from[-1]} epochs: the schedule is "
            f"stretched to {job.epochs}, which is not the same as {job.epochs} from the start."
        )


def _rounded(job: TrainingJob) -> str:
    return f" and {job.tuning.epochs} with int8 rounding" if job.quantize_aware else ""


def _print(result: dict[str, Any], folder: Path) -> None:
    names = {"last": "Last epoch", "best": "Epoch chosen by validation"}
    metric = metric_of(result)
    for key, row in result["figures"].items():
        held = row["validation error"]
        validation = "" if held is None else f", validation {metric} {held:.2%}"
        say(
            f"{names[key]} ({row['epoch']}): test accuracy {row['test accuracy']:.2%}, "
            f"{metric} {row[f'test {metric}']:.2%}{validation}."
        )
    for sentence in tta_figures(result):
        say(sentence)
    say(f"{honesty(result)} See {folder / 'model_card.md'}.")
