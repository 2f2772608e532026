"""Configuration files: options from TOML, under those of the command line."""

from pathlib import Path

import pytest

from optuna_de.cli.app import run
from optuna_de.cli.arguments.config_file import read_config, take_config

KNOWN = {"--max-parameters": "max_parameters", "--data": "data"}


def test_the_option_is_taken_from_the_arguments() -> None:
    for words in (["--config", "a.toml"], ["--config=a.toml"]):
        assert take_config(["--seed", "1", *words, "x"]) == (Path("a.toml"), ["--seed", "1", "x"])
    assert take_config(["--", "--config", "a"]) == (None, ["--", "--config", "a"])
    with pytest.raises(ValueError, match="needs a TOML file"):
        take_config(["--config"])


def test_keys_are_options(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text('max-parameters = 500_000\ndata = "digits"\n')
    assert read_config(file, KNOWN) == {"max_parameters": 500_000, "data": "digits"}


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "cannot be read: No such file"), ("a = ", "is no TOML"), ("days = 1", "has --days")],
)
def test_what_is_wrong_is_said(text: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_config(file, KNOWN)


def test_the_command_line_wins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.toml"
    file.write_text(f'storage = "sqlite:///{tmp_path}/file.db"\n')
    run(["report", "--config", str(file)])
    assert "file.db" in capsys.readouterr().err.replace("\n", "")
    run(["report", "--config", str(file), "--storage", f"sqlite:///{tmp_path}/line.db"])
    assert "line.db" in capsys.readouterr().err.replace("\n", "")
