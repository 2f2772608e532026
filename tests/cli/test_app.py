"""The command ``optuna-de``: its table of commands, what it loads, and what it refuses early."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from optuna_de.cli.app import COMMANDS, app, load_command, run
from optuna_de.cli.arguments.early_checks import check_early


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_shows_the_help_of_each_command(name: str) -> None:
    command = load_command(name)
    assert command.name == name
    assert " ".join(command.help.split("\n\n")[0].split()) == COMMANDS[name][1]


LIGHT = [
    "--help",
    "--version",
    "report",
    *(f"{name} --help" for name in COMMANDS),
    "search --trials 0",
    "fit --hours 0",
    "train --trial 1 --architecture GAP",
    "search --data none/such",
    "train --data=./none",
    "fit none/such --hours 3",
    "data ./none",
    "predict none a.png",
    "srch",
]
NO_TORCH = """
import sys
from optuna_de.cli.app import run
for line in sys.argv[1:]:
    run(line.split())
    print(line, "torch" in sys.modules, file=sys.stderr)
"""


def test_what_needs_no_network_loads_no_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH, *LIGHT],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.endswith((" True", " False"))]
    assert lines == [f"{line} False" for line in LIGHT]


def test_a_folder_that_is_not_there_is_said_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["search", "--data", "none/such"]) == 2
    assert capsys.readouterr().err == "Error: There is no folder none/such.\n"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("search --trials many", "--trials is 'many', but must be a whole number."),
        ("fit --hours three", "--hours is 'three', but must be a number."),
        ("compare --seeds 0", "--seeds is '0', but must be greater than or equal to 1."),
    ],
)
def test_a_value_that_cannot_be_read_is_named(
    line: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line.split()) == 2
    assert capsys.readouterr().err == f"Error: {sentence}\n"


@pytest.mark.parametrize(
    "value", ["digits", "CIFAR10", "hub://a/b", "shards/{0..9}.tar", "a/*.tar"]
)
def test_other_sources_are_left_to_the_data(value: str) -> None:
    check_early("search", ["--data", value])


def test_a_command_without_options_passes_the_early_checks() -> None:
    check_early("search", [])
    check_early("search", ["--data"])


@pytest.mark.parametrize(
    ("line", "offered"),
    [("optuna-de re", {"report"}), ("optuna-de report --fo", {"--format"})],
)
def test_a_shell_completes_commands_and_their_options(line: str, offered: set[str]) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = CliRunner().invoke(
        app, [], prog_name="optuna-de", env={"_OPTUNA_DE_COMPLETE": "complete_bash", **words}
    )
    assert set(done.output.split()) == offered
