import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from optuna_de.cnn.training import checkpoint

CONTENT = {"tensor": torch.arange(2000.0), "list": [1, 2.5, None], "epochs": [(1, 0.5)]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    where = tmp_path / "trial.ckpt"
    checkpoint.save(where, "key", CONTENT)
    return where


def test_what_was_saved_is_loaded(path: Path) -> None:
    content = checkpoint.load(path, "key")
    assert content is not None
    assert torch.equal(content["tensor"], CONTENT["tensor"])  # type: ignore[arg-type]
    assert content["list"] == CONTENT["list"]
    assert content["epochs"] == CONTENT["epochs"]


def test_a_file_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint.save(tmp_path / "gone" / "trial.ckpt", "key", CONTENT)
    assert "trial.ckpt cannot be written: No such file or directory." in caplog.text
    assert not list(tmp_path.iterdir())


def test_nothing_else_is_left_in_the_folder(path: Path) -> None:
    assert list(path.parent.iterdir()) == [path]


def test_no_file_is_no_checkpoint_and_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert checkpoint.load(tmp_path / "none", "key") is None
    assert not caplog.records


def flip_bit(raw: bytes) -> bytes:
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda raw: b"", "no checkpoint of this program"),
        (lambda raw: raw[:10], "no checkpoint of this program"),
        (lambda raw: raw[: len(raw) // 2], "SHA-256 does not match"),
        (lambda raw: raw[:-5], "SHA-256 does not match"),
        (lambda raw: raw + b"x", "SHA-256 does not match"),
        (flip_bit, "SHA-256 does not match"),
        (lambda raw: raw.replace(b"checkpoint 1 ", b"checkpoint 2 ", 1), "not version 1"),
    ],
)
def test_a_damaged_file_is_absent_with_a_sentence(
    path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[bytes], bytes],
    reason: str,
) -> None:
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert checkpoint.load(path, "key") is None
    assert len(caplog.records) == 1
    assert reason in caplog.text
    assert str(path) in caplog.text


def test_another_trainings_file_is_absent(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert checkpoint.load(path, "other") is None
    assert "belongs to another training" in caplog.text


def test_a_failed_write_leaves_the_file_before(path: Path) -> None:
    with pytest.raises(Exception, match="pickle"):
        checkpoint.save(path, "key", {"tensor": lambda: None})
    assert checkpoint.load(path, "key") is not None


def test_hostile_pickles_are_not_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "ran"),)  # type: ignore[return-value]

    checkpoint.save(tmp_path / "trial.ckpt", "key", {"x": Hostile()})
    assert checkpoint.load(tmp_path / "trial.ckpt", "key") is None
    assert not (tmp_path / "ran").exists()
    assert len(caplog.records) == 1


def test_a_discarded_one_takes_along_what_killed_writers_left(path: Path) -> None:
    (path.parent / f"{path.name}.0a.part").touch()
    other = path.parent / "another.ckpt.0a.part"
    other.touch()
    checkpoint.discard(path)
    checkpoint.discard(path)
    assert list(path.parent.iterdir()) == [other]
