"""Artifacts of a trial for optuna-dashboard: drawing, learning curve, layer table. No torch.

Optuna registers an artifact before it writes the file, so a killed upload leaves a torn file.
:func:`upload` records digests last; with them :func:`read` knows the whole files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import optuna
from optuna.artifacts import FileSystemArtifactStore, upload_artifact
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.trial import FrozenTrial

from optuna_de import _compat
from optuna_de._files import csv_text, reason, warn_once
from optuna_de.cnn.architecture.layer_table import layer_csv
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.architecture.units import Unit
from optuna_de.cnn.drawing.plots import draw_svg

if TYPE_CHECKING:
    from optuna.artifacts._protocol import ArtifactStore

FILES_KEY = "optuna_de:v1:files"
CURVE = ("epoch", "training loss", "validation error")


def open_store(folder: str | Path) -> FileSystemArtifactStore:
    """Return an artifact store in a folder, which is created if it is missing."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    return FileSystemArtifactStore(str(folder))


def upload(
    trial: optuna.Trial,
    store: ArtifactStore,
    genome: Sequence[Unit],
    image_shape: ImageShape,
    classes: int,
    curve: Iterable[Sequence[float | None]] = (),
) -> None:
    """Write ``drawing.svg``, ``layers.csv`` and ``curve.csv`` as artifacts of a running trial.

    If the store cannot be written to, a warning is logged and the trained network stays.
    Files that a retried trial already has are not written again.

    Args:
        trial: A running trial.
        store: Where Optuna keeps artifacts.
        genome: The network.
        image_shape: ``(channels, height, width)``.
        classes: Number of classes.
        curve: Rows of epoch, training loss, validation error; without any, no ``curve.csv``.

    Raises:
        ValueError: If the network does not fit the images.
    """
    rows = list(curve)
    contents = {
        "drawing.svg": draw_svg(genome, image_shape, classes),
        "layers.csv": layer_csv(genome, image_shape, classes),
        **({"curve.csv": csv_text(CURVE, rows)} if rows else {}),
    }
    try:
        _upload(trial, store, {name: text.encode() for name, text in contents.items()})
    except OSError as error:
        warn_once(f"Drawings and curves of trials cannot be stored: {reason(error)}.")


def upload_weights(trial: optuna.Trial, store: ArtifactStore, name: str, content: bytes) -> None:
    """Write weights as an artifact of a running trial; a warning is logged if that fails."""
    try:
        _upload(trial, store, {name: content})
    except OSError as error:
        warn_once(
            f"Weights of trials cannot be stored, so no child starts from them: {reason(error)}."
        )


def _upload(trial: optuna.Trial, store: ArtifactStore, contents: Mapping[str, bytes]) -> None:
    frozen = _compat.frozen(trial)
    stored, present = _recorded(frozen), read(frozen, store, contents)
    with TemporaryDirectory() as folder:
        for name, content in contents.items():
            if present.get(name) == content:
                continue
            file = Path(folder, name)
            file.write_bytes(content)
            identity = upload_artifact(
                artifact_store=store, file_path=str(file), study_or_trial=trial
            )
            stored[name] = {"artifact": identity, "sha256": hashlib.sha256(content).hexdigest()}
    _compat.set_system_attr(trial.study, frozen, FILES_KEY, stored)


def read(
    trial: FrozenTrial, store: ArtifactStore, names: Container[str] | None = None
) -> dict[str, bytes]:
    """Return the whole files of a trial by name.

    Missing and torn files are left out, and those whose recorded id names no file of the store.

    Args:
        trial: Any trial.
        store: Where Optuna keeps artifacts.
        names: Names to read; None reads all.
    """
    recorded = {n: e for n, e in _recorded(trial).items() if names is None or n in names}
    contents = {name: _content(store, entry["artifact"]) for name, entry in recorded.items()}
    return {
        name: content
        for name, content in contents.items()
        if hashlib.sha256(content).hexdigest() == recorded[name]["sha256"]
    }


def _recorded(trial: FrozenTrial) -> dict[str, dict[str, str]]:
    """Return id and digest of each file by name; records that :func:`upload` did not write go."""
    stored = trial.system_attrs.get(FILES_KEY)
    entries = stored.items() if isinstance(stored, Mapping) else ()
    return {
        name: dict(entry)
        for name, entry in entries
        if isinstance(entry, Mapping) and {"artifact", "sha256"} <= entry.keys()
        if all(isinstance(value, str) for value in entry.values())
    }


def _content(store: ArtifactStore, identity: str) -> bytes:
    try:
        with store.open_reader(identity) as stream:
            return stream.read()
    except (ArtifactNotFound, OSError, ValueError):  # ValueError: an id that leaves the folder
        return b""
