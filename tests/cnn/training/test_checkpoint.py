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
    checkpoint.save_checkpoint(where, "key", CONTENT)
    return where


def test_what_was_saved_is_loaded(path: Path) -> None:
    content = checkpoint.load_checkpoint(path, "key")
    assert content is not None
    assert torch.equal(content["tensor"], CONTENT["tensor"])  # type: ignore[arg-type]
    assert content["list"] == CONTENT["list"]
    assert content["epochs"] == CONTENT["epochs"]


def test_a_file_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    for name in ("trial.ckpt", "other.ckpt"):
        path = tmp_path / "file" / name
        assert not checkpoint.save_checkpoint(path, "key", CONTENT)
        assert checkpoint.load_checkpoint(path, "key") is None
        checkpoint.discard_checkpoint(path)
    (record,) = caplog.records
    assert record.getMessage() == (
        f"Checkpoints cannot be written to {tmp_path}/file: File exists; a training that is "
        "interrupted starts again."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    assert checkpoint.save_checkpoint(tmp_path / "gone" / "trial.ckpt", "key", CONTENT)
    assert checkpoint.load_checkpoint(tmp_path / "gone" / "trial.ckpt", "key") is not None


def test_one_that_cannot_be_removed_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "trial.ckpt").mkdir()  # a folder in its place stands for a read-only file system
    for _ in range(2):
        checkpoint.discard_checkpoint(tmp_path / "trial.ckpt")
    (record,) = caplog.records
    assert "cannot be removed: " in record.getMessage()


def test_nothing_else_is_left_in_the_folder(path: Path) -> None:
    assert list(path.parent.iterdir()) == [path]


def test_no_file_is_no_checkpoint_and_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert checkpoint.load_checkpoint(tmp_path / "none", "key") is None
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
        assert checkpoint.load_checkpoint(path, "key") is None
    assert len(caplog.records) == 1
    assert reason in caplog.text
    assert str(path) in caplog.text


def test_another_trainings_file_is_absent(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert checkpoint.load_checkpoint(path, "other") is None
    assert "belongs to another training" in caplog.text


def test_a_failed_write_leaves_the_file_before(path: Path) -> None:
    with pytest.raises(Exception, match="pickle"):
        checkpoint.save_checkpoint(path, "key", {"tensor": lambda: None})
    assert checkpoint.load_checkpoint(path, "key") is not None


def test_hostile_pickles_are_not_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "ran"),)  # type: ignore[return-value]

    checkpoint.save_checkpoint(tmp_path / "trial.ckpt", "key", {"x": Hostile()})
    assert checkpoint.load_checkpoint(tmp_path / "trial.ckpt", "key") is None
    assert not (tmp_path / "ran").exists()
    assert len(caplog.records) == 1


def test_a_discarded_one_takes_along_what_killed_writers_left(path: Path) -> None:
    (path.parent / f".{path.name}.0a.part").touch()
    other = path.parent / ".another.ckpt.0a.part"
    other.touch()
    checkpoint.discard_checkpoint(path)
    checkpoint.discard_checkpoint(path)
    assert list(path.parent.iterdir()) == [other]
