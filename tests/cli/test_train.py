"""The commands train and compare as a user meets them: kills, refusals, the test split."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from optuna_de.cli.app import run
from optuna_de.cnn.data.dataset import Split
from optuna_de.cnn.data.loading import load_test
from optuna_de.cnn.export.model_folder import load_model
from optuna_de.cnn.training.epochs import EpochLoop
from tests.cli.kit import environment, interrupt
from tests.cnn.data.kit import paint
from tests.cnn.training.kit import OTHER, SMALL, result_of, study
from tests.drills import DRILL, POSIX

QUICK = ["--device", "cpu", "--threads", "1", "--epochs", "2"]
TEXT = ["train", "--architecture", SMALL, *QUICK]


@pytest.fixture(autouse=True)
def fixture_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(name="url")
def fixture_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/study.db"
    study(url, tmp_path / "runs")
    return url


@pytest.fixture(name="events")
def fixture_events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that epochs trained and openings of the test split are added to, in order."""
    events: list[str] = []
    train = EpochLoop.epoch

    def epoch(self: EpochLoop, scored: Any) -> None:
        events.append("epoch")
        train(self, scored)

    def load(*arguments: Any, **options: Any) -> Split:
        events.append("test")
        return load_test(*arguments, **options)

    monkeypatch.setattr(EpochLoop, "epoch", epoch)
    monkeypatch.setattr("optuna_de.cnn.data.loading.load_test", load)
    return events


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run([str(a) for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    return err.removeprefix("Error: ").strip()


@POSIX
@pytest.mark.parametrize("options", [pytest.param([], marks=DRILL), ["--keep-validation"]])
def test_a_killed_training_goes_on_to_the_same_result(
    tmp_path: Path, events: list[str], options: list[str]
) -> None:
    network = "B16k3-B16k3-MP-C32k3-GAP-FC32"
    long = ["train", "--architecture", network, *QUICK[:-1], "12", "--subset", "300", *options]
    command = [sys.executable, "-m", "optuna_de", *long, "--out", "killed"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment(), text=True, stderr=subprocess.PIPE
    )
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    interrupt(process, signal.SIGKILL, checkpoint.exists)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "result.json").exists()
    shutil.copytree(tmp_path / "killed", tmp_path / "resumed")

    assert run([*long, "--out", "resumed"]) == 0
    assert 0 < events.count("epoch") < 12
    assert run([*long, "--out", "whole"]) == 0
    assert result_of(tmp_path / "resumed") == result_of(tmp_path / "whole")
    whole, resumed = (load_model(tmp_path / f).module.state_dict() for f in ("whole", "resumed"))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_the_test_split_is_opened_once_after_the_last_epoch(
    events: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*TEXT, "--out", "out"]) == 0
    assert events == ["epoch", "epoch", "test"]
    out, err = capsys.readouterr()
    assert "on digits, 1,438 images: 2 epochs of recipe final, into out." in out
    assert "Last epoch (2): test accuracy" in out
    assert "Epoch chosen" not in out
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        "epoch 1 of 2",
        "epoch 2 of 2",
    ]
    assert run([*TEXT, "--out", "out"]) == 0
    assert len(events) == 3
    assert "This network is already trained" in capsys.readouterr().out


def test_with_a_kept_validation_split_both_figures_are_told(
    events: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*TEXT, "--keep-validation"]) == 0
    assert events == ["epoch", "epoch", "test"]
    out = capsys.readouterr().out
    assert "1,294 images, 144 kept to choose the best epoch" in out
    assert "Last epoch (2): test accuracy" in out
    assert "Epoch chosen by validation (" in out
    folder, script = sorted(Path("optuna_de_models").iterdir())
    assert folder.name.startswith(SMALL)
    assert script.name == "plotly.min.js"
    assert '<script charset="utf-8" src="../plotly.min.js">' in (folder / "curve.html").read_text()
    assert (folder / "curve.html").stat().st_size < 50_000


def test_ctrl_c_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(self: EpochLoop, scored: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(EpochLoop, "epoch", interrupted)
    assert run([*TEXT, "--out", "out"]) == 130
    assert "Run the same command to continue" in capsys.readouterr().out


def test_a_trial_is_trained_on_the_data_of_its_study(url: str, tmp_path: Path) -> None:
    study(url, tmp_path / "runs", study_name="small", subset=300, split_seed=7)
    for name, seed in (("found", 0), ("small", 7)):
        from_study = ["train", "--storage", url, "--study-name", name, "--trial", "1"]
        assert run([*from_study, *QUICK, "--out", name]) == 0
        setup = json.loads(Path(name, "setup.json").read_text(encoding="utf-8"))
        assert (setup["architecture"], setup["split seed"]) == (OTHER, seed)
        assert setup["train images"] + setup["validation images"] == 1438
        assert setup["origin"] == f"trial 1 of study {name}"


def test_a_study_of_a_folder_needs_its_place_again(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path / "here/insects", n=12, side=(8, 8))
    paint(tmp_path / "there/insects", n=12, side=(8, 8), seed=1)
    paint(tmp_path / "more/insects", ("ant", "bee", "cow"), n=12, side=(8, 8))
    study(url, tmp_path / "runs", study_name="bugs", data="here/insects")
    from_study = ["train", "--storage", url, "--study-name", "bugs", "--trial", "0", *QUICK]
    assert run([*from_study, "--out", "at-once"]) == 0  # the study knows the folder
    capsys.readouterr()
    Path("here").rename("moved")
    assert "Give the folder of these images with --data." in refusal(capsys, *from_study)
    other = refusal(capsys, *from_study, "--data", "there/insects")
    assert other.startswith("The images in 'insects' differ from those of study 'bugs'")
    small = refusal(capsys, *from_study, "--data", "moved/insects", "--image-size", "6")
    assert "was run on images of 8x8 pixels, but those of 'insects' have 6x6" in small
    more = refusal(capsys, *from_study, "--data", "more/insects")
    assert "was run with classes 2, but the data 'insects' have 3." in more
    assert run([*from_study, "--data", "moved/insects", "--out", "out"]) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--study-name", "lost", "--trial", "0"], "has no study 'lost'; it has ['found']."),
        (["--study-name", "found", "--trial", "9"], "has no trial 9; its trials are 0 to 5."),
        (["--trial", "4"], "Trial 4 of study 'found' failed; choose a complete one."),
        (["--trial", "5"], "was stopped early (dominated at a rung); choose a complete one."),
        (["--trial", "0", "--split-seed", "3"], "must be 0, as in study 'found', but is 3."),
        (["--trial", "0", "--architecture", SMALL], "Give either --trial"),
        ([], "Give either --trial (with --study-name) or --architecture."),
        (["--architecture", "vgg99"], "'vgg99' is neither one of model1, model2"),
        (["--architecture", "C4k3-MP-MP-MP-MP"], "MP"),
        (["--architecture", SMALL, "--data", "cifar"], "There is no data set or folder 'cifar'"),
        (["--architecture", SMALL, "--recipe", "slow"], "There is no recipe 'slow'"),
        (["--architecture", SMALL, "--epochs", "0"], "epochs must be at least 1, but is 0."),
        (["--architecture", SMALL, "--batch-size", "0"], "batch_size must be at least 1"),
        (["--architecture", SMALL, "--device", "tpu"], "There is no device 'tpu' here"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(
    url: str, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    assert sentence in refusal(capsys, "train", "--storage", url, *options)
    assert not Path("optuna_de_models").exists()


@pytest.mark.parametrize("options", [[], ["--keep-validation"]])
def test_more_epochs_go_on_by_a_stretched_schedule(
    events: list[str], capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    longer = [*TEXT[:-1], "3", *options, "--out", "out"]
    assert run([*TEXT, *options, "--out", "out"]) == 0
    before = json.loads(Path("out/curve.json").read_text(encoding="utf-8"))
    capsys.readouterr()
    assert run(longer) == 0
    assert events == ["epoch", "epoch", "test", "epoch", "test"]
    assert "from a training of 2 epochs: the schedule is stretched to 3" in capsys.readouterr().out
    after = json.loads(Path("out/curve.json").read_text(encoding="utf-8"))
    assert after[:2] == before
    result = json.loads(Path("out/result.json").read_text(encoding="utf-8"))
    assert (result["setup"]["epochs"], result["setup"]["stretched from epochs"]) == (3, [2])
    assert "planned for 2 epochs first" in Path("out/model_card.md").read_text(encoding="utf-8")
    shorter = json.loads(Path("out/result-2-epochs.json").read_text(encoding="utf-8"))
    assert shorter["setup"]["epochs"] == 2
    assert run(longer) == 0
    assert len(events) == 5
    capsys.readouterr()
    assert "out holds a training with epochs 3, not 2" in refusal(
        capsys, *TEXT, *options, "--out", "out"
    )


def test_another_training_in_the_folder_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*TEXT, "--out", "out"]) == 0
    before = {path: path.read_bytes() for path in Path("out").iterdir()}
    capsys.readouterr()
    sentence = refusal(capsys, *TEXT, "--seed", "1", "--out", "out")
    assert sentence.startswith("out holds a training with seed 0, not 1. Give the same value, or")
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == before


def test_picks_and_baselines_are_compared(
    url: str, events: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["compare", "--storage", url, "--seeds", "2", "--picks", "3", *QUICK[:-1], "1"]
    options = ["--baselines", "resnet20", "--architecture", "C4k3-MP", "--out", "out"]
    assert run([*command, *options]) == 0
    assert events == ["epoch"] * 10 + ["test"]
    out = capsys.readouterr().out
    result = json.loads(Path("out", "compare.json").read_text(encoding="utf-8"))
    assert [row["network"] for row in result["rows"]] == [
        *(f"trial {number} of study found" for number in range(3)),
        "C4k3-MP",
        "resnet20",
    ]
    assert [row["search error"] for row in result["rows"]] == [0.1, 0.2, 0.4, None, None]
    assert result["rank correlation"]["picks"] == 3
    assert "Spearman's rank correlation" in out
    assert "| resnet20 | 272,186 |" in out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--picks", "9"],
            "picks is 9, but study 'found' has 4 on its front where it looks.",
        ),
        (["--baselines", ""], "needs networks that differ, but there is none"),
        (["--baselines", "lenet"], "'lenet' is neither one of model1"),
        (["--study-name", "lost"], "has no study 'lost'"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    url: str, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    assert sentence in refusal(capsys, "compare", "--storage", url, *options)
