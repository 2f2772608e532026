"""Options of data: what a study records of them finds the same images again."""

from pathlib import Path

from optuna_de.cnn.data import load_data
from optuna_de.cnn.data.loading import DataChoice
from tests.cnn.data.kit import paint


def test_recorded_options_find_and_read_the_same_images(tmp_path: Path) -> None:
    root = paint(tmp_path, part="set", mode="RGBA") / "set"
    first = DataChoice(root, image_size=(3, 5), resize="pad", background="#102030")
    record = first.source_record()
    assert record["data"] == str(root.resolve())
    assert record["image_size"] == "5x3"
    again = DataChoice().with_recorded(record)
    assert again.load().fingerprint == first.load().fingerprint
    assert again.load().image_shape == (3, 3, 5)
    other = DataChoice("digits", image_size=8).with_recorded(record)
    assert (other.data, other.image_size, other.resize) == ("digits", 8, "pad")
    gone = DataChoice().with_recorded({**record, "data": str(tmp_path / "gone"), "new": 1})
    assert gone.data is None


def test_ways_of_resizing_differ(tmp_path: Path) -> None:
    root = paint(tmp_path, part="set") / "set"
    resized = [load_data(root, image_size=(8, 8), resize=r) for r in ("crop", "pad", "squash")]
    assert len({data.fingerprint for data in resized}) == 3
    padded = resized[1].train.images
    assert (padded[:, :, 0] == 255).all()  # 6x4 in 8x8 leaves a row above and below
    black = load_data(root, image_size=(8, 8), resize="pad", background="black")
    assert (black.train.images[:, :, 0] == 0).all()
