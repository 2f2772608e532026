"""TensorBoard: a callback that writes each trial of a study, with its learning curve.

Optuna's own TensorBoardCallback takes one objective; this one takes any number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from optuna_de._text import printable
from optuna_de.cnn.study.attributes import read_attributes

_MISSING = 'TensorBoard is missing; install the package as "optuna-de[tracking]".'


class TensorBoardCallback:
    """Write trials to TensorBoard as they finish; of the extra ``tracking``.

    Each trial is a run of its own: learning curve, architecture, values, and its parameters (of a
    network its text instead) in the tab HParams. A run ``study`` has the values by trial number.

    Args:
        folder: For ``tensorboard --logdir``; each study has a folder in it.

    Raises:
        ModuleNotFoundError: If tensorboard is not installed.

    Example:
        >>> optimize(study, objective, total=40, callback=TensorBoardCallback("runs"))
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils import tensorboard
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(_MISSING, name=error.name) from None
        self._folder, self._writer = Path(folder), tensorboard.SummaryWriter

    def __call__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Write one finished trial; those without values have only their curve."""
        names = study.metric_names or [f"objective {i}" for i in range(len(study.directions))]
        values = dict(zip(map(_tag, names), trial.values or (), strict=False))
        home = self._folder / _tag(study.study_name)
        with self._writer(str(home / "study")) as writer:
            for name, value in values.items():
                writer.add_scalar(f"values/{name}", value, trial.number)
        with self._writer(str(home / f"trial {trial.number}")) as writer:
            self._write(writer, trial, values)

    def _write(self, writer: Any, trial: FrozenTrial, values: Mapping[str, float]) -> None:
        attributes = read_attributes(trial)
        for epoch, loss, error in attributes.values.get("curve", ()):
            for name, value in (("training loss", loss), ("validation error", error)):
                if isfinite(epoch) and isfinite(value):
                    writer.add_scalar(name, value, int(epoch))
        text = attributes.text("architecture")
        if text:
            writer.add_text("architecture", printable(text))
        chosen = {"architecture": printable(text)} if text else _plain(trial.params)
        measured = {f"values/{name}": value for name, value in values.items()}
        writer.add_hparams(chosen, measured, run_name=".")


def _tag(name: str) -> str:
    """Return a name that TensorBoard and every file system take."""
    return re.sub(r"[^\w.-]+", "-", name)


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters in the types that TensorBoard takes."""
    return {k: v if isinstance(v, bool | int | float) else str(v) for k, v in params.items()}
