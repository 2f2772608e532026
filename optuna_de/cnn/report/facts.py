"""What a report says about a study: rows of text and the networks of its front.

Knows studies and networks, no HTML and no torch.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import optuna
from optuna.trial import FrozenTrial

from optuna_de._text import number_text, times
from optuna_de.cnn.architecture.cost import trace
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.architecture.layers import ImageShape
from optuna_de.cnn.drawing.plots import draw_svg
from optuna_de.cnn.report.tables import SETUP_KEY, Rows, cost_rows, origin_rows, setup_rows
from optuna_de.storage.url import redact
from optuna_de.visualization import finished_trials

SHOWN, PICKS = 200, 8
"""Most networks of a front that a report shows, and most picks."""
_LONGEST = 2000  # characters of an architecture that is drawn
Task: TypeAlias = tuple[ImageShape, int]


@dataclass(frozen=True, slots=True)
class Network:
    """A trial of the front.

    Args:
        number: The trial's number.
        values: One per objective, as text.
        architecture: Text form as the trial recorded it; not to be trusted.
        notes: What else is known, as ``(name, text)``.
        command: The command that trains it to the end.
        svg: Its drawing, escaped; empty where ``problem`` says why there is none.
        layers: Rows of name, output shape, parameters, MACs.
    """

    number: int
    values: tuple[str, ...]
    architecture: str
    notes: Rows
    command: str
    svg: str = ""
    layers: tuple[tuple[str, str, str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """A study in words; ``excuse`` says why there is nothing to show.

    ``front`` is sorted by the first objective, best first, and cut to ``SHOWN`` networks of
    ``front_size``; ``picks`` are at most ``PICKS`` of them, evenly spread.
    """

    study_name: str
    objectives: tuple[str, ...]
    finished: int
    front_size: int
    front: tuple[Network, ...]
    picks: tuple[Network, ...]
    setup: Rows
    cost: Rows
    origin: Rows
    excuse: str = ""

    @property
    def headline(self) -> str:
        """The study in one sentence."""
        cost = dict(self.cost)
        return (
            f"{self.finished:,} finished trials, {self.front_size:,} on the front; "
            f"{cost['epochs trained']} epochs trained in {cost['compute']} of compute."
        )


def read_facts(study: optuna.Study, storage: str | None = None) -> Facts:
    """Read a study.

    Args:
        study: A study, best a copy that no worker changes meanwhile.
        storage: URL for the commands; its password is left out.
    """
    finished = finished_trials.entries(study)
    best = sorted(
        finished_trials.front(finished_trials.scored(finished)), key=lambda e: (e.losses, e.number)
    )
    trials = {t.number: t for t in study.get_trials(deepcopy=False)}
    task, problem = _task(study.user_attrs.get(SETUP_KEY))
    shown = [trials[e.number] for e in _spread(best, SHOWN)]
    front = tuple(_network(t, task, problem, _command(study, storage, t.number)) for t in shown)
    return Facts(
        study_name=study.study_name,
        objectives=finished_trials.names_of(study, None),
        finished=len(finished),
        front_size=len(best),
        front=front,
        picks=tuple(_spread(front, PICKS)),
        setup=setup_rows(study),
        cost=cost_rows(trials.values(), finished),
        origin=origin_rows(trials.values()),
        excuse=finished_trials.excuse(finished),
    )


def _spread(items: Sequence[Any], limit: int) -> Sequence[Any]:
    """Return at most ``limit`` items, evenly spread, the first and the last among them."""
    if len(items) <= limit:
        return items
    return [items[round(i * (len(items) - 1) / (limit - 1))] for i in range(limit)]


def _task(setup: object) -> tuple[Task | None, str]:
    """Return image shape and classes, or why there are none."""
    told = setup if isinstance(setup, Mapping) else {}
    shape, classes = told.get("image shape"), told.get("classes")
    sizes = shape if isinstance(shape, list | tuple) else []
    whole = [n for n in (*sizes, classes) if isinstance(n, int)]
    if len(sizes) == 3 and len(whole) == 4:
        return ((whole[0], whole[1], whole[2]), whole[3]), ""
    return None, "The study does not record image shape and classes, so nothing is drawn."


def _network(trial: FrozenTrial, task: Task | None, problem: str, command: str) -> Network:
    architecture = str(trial.user_attrs.get("architecture", ""))
    values = tuple(number_text(v) for v in trial.values)
    notes = tuple(
        (name, number_text(trial.user_attrs[key]))
        for name, key in (("MACs", "macs"), ("epochs", "epochs"), ("seconds", "seconds"))
        if key in trial.user_attrs
    )
    known = Network(trial.number, values, architecture, notes, command, problem=problem)
    return known if task is None else _drawn(known, task)


def _drawn(known: Network, task: Task) -> Network:
    number, text = known.number, known.architecture
    basic = (number, known.values, text, known.notes, known.command)
    if not text:
        return Network(*basic, problem="This trial records no architecture.")
    if len(text) > _LONGEST:
        return Network(*basic, problem=f"Its text has {len(text):,} characters; too long to draw.")
    try:
        genome = parse(text)
        return Network(*basic, draw_svg(genome, *task), _layers(trace(genome, *task)))
    except ValueError as error:
        return Network(*basic, problem=f"It cannot be drawn: {error}")


def _layers(table: Iterable[Any]) -> tuple[tuple[str, str, str, str], ...]:
    return tuple(
        (w.name, times(w.output_shape), f"{w.parameters:,}", f"{w.macs:,}") for w in table
    )


def _command(study: optuna.Study, storage: str | None, number: int) -> str:
    words = ["optuna-de", "train", "--storage", "STORAGE" if storage is None else redact(storage)]
    words += ["--study-name", study.study_name, "--trial", str(number)]
    return shlex.join(words)
