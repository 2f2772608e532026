"""Commands derived from dataclasses: every marked field is one option, with its default."""

import inspect
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.testing import CliRunner

from optuna_de._options import Option
from optuna_de.cli.export import FORMAT_NAMES
from optuna_de.cli.options import spread
from optuna_de.cli.search import search
from optuna_de.cnn.export.formats import FORMATS
from optuna_de.cnn.search.search import Search


@dataclass(frozen=True)
class Trip:
    """A description of every kind of field."""

    goal: Annotated[str | None, Option("Goal.", "Trip")] = None
    days: Annotated[int, Option("Days.", "Trip", ("--days", "-d"))] = 3
    kind: Annotated[Literal["walk", "ride"], Option("Kind.", "Trip")] = "walk"
    fast: Annotated[bool, Option("Fast.", "Trip")] = False
    guide: Annotated[bool | None, Option("Guide.", "Trip")] = None
    stops: Annotated[
        tuple[int, ...], Option("Stops.", "Trip", parse=lambda text: tuple(map(int, text)))
    ] = (7,)
    folder: Annotated[Path, Option("Folder.", "Trip")] = Path("a")
    hidden: int = 1


def described(*arguments: str) -> tuple[Trip, int]:
    """Return what a command gets from its command line."""
    given: list[tuple[Trip, int]] = []

    @spread("goal")
    def go(trip: Trip, speed: int = 5) -> None:
        given.append((trip, speed))

    app = typer.Typer()
    app.command()(go)
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return given[0]


def test_without_options_the_defaults_are_those_of_the_fields() -> None:
    assert described() == (Trip(), 5)


def test_options_fill_the_fields() -> None:
    line = [*("-d", "4", "--kind", "ride", "--fast", "--no-guide"), *("--stops", "12")]
    line += ["--folder", "b", "--speed", "6"]
    trip = Trip(None, 4, "ride", True, False, (1, 2), Path("b"))
    assert described(*line) == (trip, 6)


def test_a_field_left_out_or_without_a_mark_is_no_option() -> None:
    @spread("goal")
    def go(trip: Trip) -> None:
        pass

    assert list(inspect.signature(go).parameters) == [
        field.name for field in fields(Trip) if field.name not in ("goal", "hidden")
    ]


def test_every_field_of_a_search_that_has_a_mark_is_an_option() -> None:
    options = set(inspect.signature(search).parameters)
    others = {"checkpoints", "compute", "known", "ladder"}
    assert options == {f.name for f in fields(Search)} - others | {"workers", "timeout"}


def test_the_help_names_the_formats_of_the_table() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES
