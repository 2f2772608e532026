"""Options of the commands: those of dataclass fields, and those that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from optuna_de._checks import require
from optuna_de._options import Option

if TYPE_CHECKING:
    from optuna_de.cnn.evaluation.candidates import Candidate, Candidates
    from optuna_de.cnn.evaluation.training_job import TrainingJob

Opt = typer.Option
DATA, BUDGET, MACHINE = "Data", "Budget", "Machine"
Storage = Annotated[str, Opt(help="Optuna storage of the study.")]
Tta = Annotated[
    str | None,
    Opt(
        help="Test-time augmentation: flips averages two passes an image, flips-shifts six "
        "(default: none)."
    ),
]
ResultFolder = Annotated[
    Path | None, Opt(help="Folder of the result (default: in optuna_de_models).")
]


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a full training, which several commands share."""

    recipe: Annotated[
        str | None,
        Option("final, fast, seed-search or seed-final (default: by the study).", BUDGET),
    ] = None
    epochs: Annotated[int | None, Option("Epochs (default: the recipe's).", BUDGET)] = None
    batch_size: Annotated[
        int | None,
        Option("Images per step (default: the recipe's).", BUDGET, ("--batch-size", "--batch")),
    ] = None
    device: Annotated[str, Option("auto, cpu, cuda, cuda:1 or mps.", MACHINE)] = "auto"
    threads: Annotated[
        int | None, Option("Threads of the processor (default: torch's).", MACHINE)
    ] = None

    def __post_init__(self) -> None:
        require(self.threads is None or self.threads >= 1, "threads", self.threads, "at least 1")

    def job(self, candidates: Candidates, network: Candidate, **more: Any) -> TrainingJob:
        """Describe the training of a network; ``more`` as :meth:`Candidates.job` takes it."""
        return candidates.job(
            network,
            recipe=self.recipe,
            epochs=self.epochs,
            batch_size=self.batch_size,
            device=self.device,
            **more,
        )


def spread(*left_out: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace each dataclass parameter of a command by the options of its fields.

    Args:
        left_out: Fields that this command does not offer; they keep their defaults.

    Example:
        ``spread()`` makes a function of ``(search: Search, timeout: float)`` a command with every
        option of ``Search`` and ``--timeout``; the function gets a whole ``Search``.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        described = {
            name: kind for name, kind in get_type_hints(command).items() if is_dataclass(kind)
        }
        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [
            parameter
            for one in own
            for parameter in (
                _parameters(described[one.name], left_out)
                if one.name in described
                else (one.replace(kind=inspect.Parameter.KEYWORD_ONLY),)
            )
        ]

        @wraps(command)
        def call(**values: Any) -> None:
            for name, kind in described.items():
                values[name] = _filled(kind, left_out, values)
            command(**values)

        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        return call

    return decorate


def _options(kind: Any, left_out: Collection[str]) -> Iterator[tuple[Field[Any], Any, Option]]:
    """Yield field, type and option of every option of a dataclass."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        plain, *marks = get_args(hints[field.name]) if _marked(hints[field.name]) else (None,)
        for mark in marks:
            if isinstance(mark, Option) and field.name not in left_out:
                yield field, plain, mark


def _marked(hint: Any) -> bool:
    return get_origin(hint) is Annotated


def _parameters(kind: Any, left_out: Collection[str]) -> Iterator[inspect.Parameter]:
    for field, plain, option in _options(kind, left_out):
        default = None if option.parse else field.default
        default = list(default) if isinstance(default, tuple) else default
        if default is MISSING:
            default = inspect.Parameter.empty
        info = Opt(
            *(option.names or _flag(field)),
            help=option.help,
            rich_help_panel=option.group,
            show_default=not isinstance(default, bool),
        )
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[_typed(plain, option), info],
        )


def _flag(field: Field[Any]) -> tuple[str, ...]:
    """Return the one spelling of a flag that is off by default; others have a "no", too."""
    return (f"--{field.name.replace('_', '-')}",) if field.default is False else ()


def _typed(plain: Any, option: Option) -> Any:
    """Return the type on the command line; a dataclass checks choices and parsed texts itself."""
    if option.parse is not None:
        return str | None
    if get_origin(plain) is Literal:
        return str
    if get_origin(plain) is tuple:  # an option that may be repeated
        return list[str]
    return plain


def _filled(kind: Any, left_out: Collection[str], values: dict[str, Any]) -> Any:
    """Return the dataclass of the values on the command line, which are taken out of them."""
    given = {}
    for field, _, option in _options(kind, left_out):
        value = values.pop(field.name)
        if option.parse is None:
            given[field.name] = tuple(value) if isinstance(value, list) else value
        elif value is not None:
            given[field.name] = option.parse(value)
    return kind(**given)
