"""Files of a trial: what they hold, which are whole, and stores that fail."""

import csv
import hashlib
import io
import logging
from pathlib import Path
from xml.etree import ElementTree

import optuna
import pytest
from optuna.artifacts import FileSystemArtifactStore, get_all_artifact_meta

from optuna_de import DESampler
from optuna_de.cnn.architecture.cost import count_macs, count_parameters
from optuna_de.cnn.architecture.genomes import parse
from optuna_de.cnn.study.artifacts import FILES_KEY, open_store, read, upload
from optuna_de.cnn.study.attributes import generation

GENOME = parse("B8k3-MP-B16k3-GAP")
SHAPE = (1, 8, 8)
CURVE: list[list[float | None]] = [[1, 2.0, 0.5], [2, None, 0.25]]


@pytest.fixture
def trial() -> optuna.Trial:
    return optuna.create_study().ask()


def test_files_hold_drawing_curve_and_layers(trial: optuna.Trial, tmp_path: Path) -> None:
    store = open_store(tmp_path / "new" / "folder")
    upload(trial, store, GENOME, SHAPE, 10, CURVE)
    files = read(trial.study.trials[0], store)
    assert set(files) == {"drawing.svg", "curve.csv", "layers.csv"}
    assert ElementTree.fromstring(files["drawing.svg"]).tag.endswith("svg")
    assert files["curve.csv"] == b"epoch,training loss,validation error\n1,2.0,0.5\n2,,0.25\n"
    rows = list(csv.DictReader(io.StringIO(files["layers.csv"].decode())))
    assert rows[0]["output"] == "8x8x8"
    for name, count in (("parameters", count_parameters), ("MACs", count_macs)):
        *layers, total = (int(row[name]) for row in rows)
        assert sum(layers) == total == count(GENOME, SHAPE, 10)


def test_the_dashboard_knows_their_types(trial: optuna.Trial, tmp_path: Path) -> None:
    upload(trial, open_store(tmp_path), GENOME, SHAPE, 10, CURVE)
    metas = get_all_artifact_meta(trial)
    assert {m.filename: m.mimetype for m in metas} == {
        "drawing.svg": "image/svg+xml",
        "curve.csv": "text/csv",
        "layers.csv": "text/csv",
    }
    assert {f.name for f in tmp_path.iterdir()} == {m.artifact_id for m in metas}


def test_a_trial_without_epochs_has_no_curve(trial: optuna.Trial, tmp_path: Path) -> None:
    store = open_store(tmp_path)
    upload(trial, store, GENOME, SHAPE, 10)
    assert set(read(trial.study.trials[0], store)) == {"drawing.svg", "layers.csv"}


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_damaged_files_are_absent(trial: optuna.Trial, tmp_path: Path, damage: str) -> None:
    store = open_store(tmp_path)
    upload(trial, store, GENOME, SHAPE, 10, CURVE)
    frozen = trial.study.trials[0]
    file = tmp_path / frozen.system_attrs[FILES_KEY]["curve.csv"]["artifact"]
    content = file.read_bytes()
    match damage:
        case "cut":
            file.write_bytes(content[:-5])
        case "flipped":
            file.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        case _:
            file.unlink()
    assert set(read(frozen, store)) == {"drawing.svg", "layers.csv"}


@pytest.mark.parametrize("identity", ["../curve", "/etc/hostname", "..", ""])
def test_ids_of_no_store_are_left_out(trial: optuna.Trial, tmp_path: Path, identity: str) -> None:
    store = open_store(tmp_path / "store")
    (tmp_path / "curve").write_bytes(b"secret")
    upload(trial, store, GENOME, SHAPE, 10)
    frozen = trial.study.trials[0]
    recorded = {"artifact": identity, "sha256": hashlib.sha256(b"secret").hexdigest()}
    frozen.system_attrs[FILES_KEY]["curve.csv"] = recorded
    assert set(read(frozen, store)) == {"drawing.svg", "layers.csv"}


def test_a_retry_stores_only_what_is_missing(trial: optuna.Trial, tmp_path: Path) -> None:
    store = open_store(tmp_path)
    upload(trial, store, GENOME, SHAPE, 10, CURVE)
    first = trial.study.trials[0].system_attrs[FILES_KEY]
    (tmp_path / first["curve.csv"]["artifact"]).unlink()
    upload(trial, store, GENOME, SHAPE, 10, CURVE)
    assert len(list(tmp_path.iterdir())) == 3
    assert set(read(trial.study.trials[0], store)) == {"drawing.svg", "curve.csv", "layers.csv"}


def test_a_trial_killed_while_it_uploads_has_no_files(trial: optuna.Trial, tmp_path: Path) -> None:
    class Killed(FileSystemArtifactStore):
        def write(self, *_: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upload(trial, Killed(tmp_path), GENOME, SHAPE, 10)
    assert get_all_artifact_meta(trial)
    assert read(trial.study.trials[0], open_store(tmp_path)) == {}


def test_a_full_store_costs_a_warning(
    trial: optuna.Trial, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileSystemArtifactStore(tmp_path / "no folder")
    with caplog.at_level(logging.WARNING):
        upload(trial, store, GENOME, SHAPE, 10)
    assert "Drawings and curves of trials cannot be stored: " in caplog.text
    trial.study.tell(trial, 0.5)


def test_the_generation_is_that_of_the_plan() -> None:
    study = optuna.create_study(sampler=DESampler(population_size=4, seed=0))
    seen = []

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        seen.append(generation(trial))
        return x

    study.enqueue_trial({"x": 0.5})
    study.optimize(objective, n_trials=9)
    planned = [number for number in seen if number is not None]
    assert planned == sorted(planned)
    assert planned[-1] >= 1
    assert generation(optuna.create_study().ask()) is None
