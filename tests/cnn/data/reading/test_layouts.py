"""Layouts: the same twenty images in every way in which they may lie, and every wrong way."""

import csv
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from optuna_de.cli.app import run
from optuna_de.cnn.data import DataError, load_data, load_test
from tests.cnn.data.kit import paint

Rows = list[tuple[Path, str]]


def pictures(folder: Path) -> Rows:
    """Return the files of a folder of classes, sorted, with their class."""
    return [(file, file.parent.name) for file in sorted(folder.glob("*/*.png"))]


def write_csv(file: Path, head: Iterable[str], rows: Iterable[Iterable[Any]], tab: bool) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out, delimiter="\t" if tab else ",").writerows([head, *rows])


def table(file: Path, rows: Rows, *head: str, last: str = "") -> Path:
    """Write a table of files relative to it; return its folder."""
    cells = [(path.relative_to(file.parent).as_posix(), name) for path, name in rows]
    cells = [(*pair, last) if last else pair for pair in cells]  # type: ignore[misc]
    if file.suffix == ".jsonl":
        lines = [json.dumps(dict(zip(head, row, strict=True))) for row in cells]
        file.write_text("\n".join(lines), encoding="utf-8")
    elif file.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        columns = dict(zip(head, map(list, zip(*cells, strict=True)), strict=True))
        pytest.importorskip("pyarrow.parquet").write_table(pa.table(columns), file)
    else:
        write_csv(file, head, cells, file.suffix == ".tsv")
    return file.parent


def labels_csv(root: Path, rows: Rows) -> Path:
    return table(root / "labels.csv", rows, "path", "label")


def labels_tsv(root: Path, rows: Rows) -> Path:
    return table(root / "labels.tsv", rows, "image", "class") / "labels.tsv"


def labels_parquet(root: Path, rows: Rows) -> Path:
    return table(root / "labels.parquet", rows, "filename", "category")


def metadata_jsonl(root: Path, rows: Rows) -> Path:
    """Hugging Face's imagefolder, with columns that are neither image nor class."""
    return table(root / "metadata.jsonl", rows, "file_name", "label", "text", last="a bee")


def split_column(root: Path, rows: Rows) -> Path:
    return table(root / "metadata.csv", rows, "file_name", "label", "split", last="train")


def train_csv(root: Path, rows: Rows) -> Path:
    return table(root / "train.csv", rows, "file", "species")


def metadata_in_train(root: Path, rows: Rows) -> Path:
    (root / "train").mkdir()
    for name in {name for _, name in rows}:
        (root / name).rename(root / "train" / name)
    moved = [(root / "train" / file.relative_to(root), name) for file, name in rows]
    table(root / "train/metadata.csv", moved, "file_name", "label")
    return root


def hugging_face_parquet(root: Path, rows: Rows) -> Path:
    """Images as bytes in small row groups, labels as numbers with names."""
    pa = pytest.importorskip("pyarrow")
    names = sorted({name for _, name in rows})
    feature = {"_type": "ClassLabel", "names": names}
    meta = {"huggingface": json.dumps({"info": {"features": {"label": feature}}})}
    columns = {
        "image": [{"bytes": file.read_bytes(), "path": file.name} for file, _ in rows],
        "label": [names.index(name) for _, name in rows],
    }
    whole = pa.table(columns).replace_schema_metadata(meta)
    write = pytest.importorskip("pyarrow.parquet").write_table
    (root / "hf/data").mkdir(parents=True)
    write(whole[:7], root / "hf/data/train-00000-of-00002.parquet", row_group_size=3)
    write(whole[7:], root / "hf/data/train-00001-of-00002.parquet", row_group_size=3)
    return root / "hf"


def saved_by_datasets(root: Path, rows: Rows) -> Path:
    datasets = pytest.importorskip("datasets")
    names = sorted({name for _, name in rows})
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=names)}
    columns = {"image": [str(f) for f, _ in rows], "label": [names.index(n) for _, n in rows]}
    whole = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    datasets.DatasetDict({"train": whole}).save_to_disk(root / "hf")
    return root / "hf"


def arrays(rows: Rows) -> dict[str, Any]:
    names = sorted({name for _, name in rows})
    return {
        "x": np.stack([np.asarray(Image.open(file)) for file, _ in rows]),
        "y": np.array([names.index(name) for _, name in rows])[:, None],
        "classes": np.array(names),
    }


def npz(root: Path, rows: Rows) -> Path:
    np.savez(root / "all.npz", **arrays(rows))
    return root / "all.npz"


def npy(root: Path, rows: Rows) -> Path:
    (root / "arrays").mkdir()
    images = arrays(rows)
    np.save(root / "arrays/train_images.npy", images["x"].transpose(0, 3, 1, 2))
    np.save(root / "arrays/train_labels.npy", np.array([name for _, name in rows]))
    return root / "arrays"


def shards(root: Path, rows: Rows, json_too: bool = False) -> Path:
    (root / "tar").mkdir()
    for number, part in enumerate((rows[:9], rows[9:])):
        with tarfile.open(root / f"tar/train-{number:06d}.tar", "w") as archive:
            for i, (file, name) in enumerate(part):
                label = json.dumps({"label": name}).encode() if json_too else name.encode()
                kind = "json" if json_too else "cls"
                for ending, data in (("png", file.read_bytes()), (kind, label)):
                    info = tarfile.TarInfo(f"a/{i:04d}.{ending}")
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))
    return root / "tar"


def shards_with_json(root: Path, rows: Rows) -> Path:
    return shards(root, rows, json_too=True)


def semicolons(root: Path, rows: Rows) -> Path:
    cells = [f"{file.relative_to(root).as_posix()};{name}" for file, name in rows]
    (root / "labels.csv").write_text("\n".join(["path;label", *cells]))
    return root


def ids(root: Path, rows: Rows, ending: str = "") -> Path:
    """Ids without folder or ending; images in a folder called as the table; unlabelled tests."""
    place = root.parent / "ids"
    for part in ("a_test", "train_images"):
        (place / part).mkdir(parents=True)
    for i, (file, _) in enumerate(rows):
        (place / f"train_images/{i:03}.png").write_bytes(file.read_bytes())
        (place / f"a_test/{i:03}.png").write_bytes(b"another image")
    cells = [(f"{i:03}{ending}", name) for i, (_, name) in enumerate(rows)]
    write_csv(place / "train.csv", ("id", "breed"), cells, tab=False)
    (place / "test.csv").write_text("id\n7\n")
    return place


def ids_with_endings(root: Path, rows: Rows) -> Path:
    return ids(root, rows, ".png")


WAYS = [
    semicolons,
    ids,
    ids_with_endings,
    labels_csv,
    labels_tsv,
    labels_parquet,
    metadata_jsonl,
    split_column,
    train_csv,
    metadata_in_train,
    hugging_face_parquet,
    saved_by_datasets,
    npz,
    npy,
    shards,
    shards_with_json,
]


@pytest.mark.parametrize("way", WAYS)
def test_every_layout_of_the_same_images_has_the_same_fingerprint(
    tmp_path: Path, way: Callable[[Path, Rows], Path]
) -> None:
    root = paint(tmp_path, part="set") / "set"
    expected = load_data(root)
    data = load_data(way(root, pictures(root)))
    assert data.fingerprint == expected.fingerprint
    assert data.classes == ("ant", "bee")
    assert data.summary.count(". ") == 1


def test_a_table_may_name_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = paint(tmp_path, part="set") / "set"
    good = load_data(root).fingerprint
    rows = [(str(file), name) for file, name in pictures(root)]
    write_csv(root / "labels.csv", ("path", "label"), rows, tab=False)
    monkeypatch.chdir(tmp_path)
    for source in (root, "set", "set/labels.csv"):
        data = load_data(source)
        assert (data.fingerprint, "the table labels.csv" in data.summary) == (good, True)


def test_a_column_divides_a_table(tmp_path: Path) -> None:
    root = paint(tmp_path, part="set") / "set"
    rows = [
        (file.relative_to(root).as_posix(), name, ("Train", "val", "test")[int(file.stem) % 3])
        for file, name in pictures(root)
    ]
    write_csv(root / "labels.csv", ("path", "label", "split"), rows, tab=False)
    data = load_data(root)
    sizes = [len(s.labels) for s in (data.train, data.validation, load_test(root))]
    assert sizes == [8, 6, 6]
    assert "the table labels.csv, divided by its column 'split'" in data.summary


def test_medmnist_arrays_have_three_splits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    content: dict[str, Any] = {}
    for part, n in (("train", 20), ("val", 6), ("test", 8)):
        content[f"{part}_images"] = rng.integers(0, 256, (n, 5, 5), dtype=np.uint8)
        content[f"{part}_labels"] = (np.arange(n) % 2)[:, None]
    np.savez(tmp_path / "medmnist.npz", **content)
    data = load_data(tmp_path / "medmnist.npz")
    assert (len(data.validation.labels), data.image_shape) == (6, (1, 5, 5))
    np.testing.assert_array_equal(
        load_test(tmp_path / "medmnist.npz").images[:, 0].numpy(), content["test_images"]
    )


def lines(*rows: str) -> Callable[[Path], object]:
    return lambda root: (root / "labels.csv").write_text("\n".join(rows))


def two_tables(root: Path) -> None:
    lines("")(root)
    (root / "labels.tsv").touch()


def outside(root: Path) -> None:
    lines("path,label", "../secret.png,a")(root)


def loop(root: Path) -> None:
    paint(root, part="train")
    (root / "train/bee/x").symlink_to(root)


def floats_npz(root: Path) -> None:
    np.savez(root / "x.npz", x=np.random.default_rng(0).random((9, 4, 4)), y=np.arange(9) % 2)


def labels_from_one(root: Path) -> None:
    np.savez(root / "x.npz", x=np.zeros((9, 4, 4), np.uint8), y=np.arange(9) % 3 + 1)


def torn_parquet(root: Path) -> None:
    pytest.importorskip("pyarrow")
    (root / "train.parquet").write_bytes(b"PAR1 no more")


def shard_without_labels(root: Path) -> None:
    with tarfile.open(root / "train-0.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("a.png"))


WRONG: list[tuple[Callable[[Path], object], str]] = [
    (lambda root: None, "holds no images; it must hold"),
    (lambda root: Image.new("L", (4, 4)).save(root / "1.png"), "1 image outside of folders; it"),
    (lambda root: paint(root, ["ant"], part=""), "holds only the class 'ant'"),
    (lines("path", "a.png"), "labels.csv has no column for the classes, only path"),
    (lines("path,label", "a.png,0.5", "b.png,1.5"), "Column 'label' .* holds '0.5', but must"),
    (lines("path,label", "a.png,1e-3"), "holds '1e-3', but must name classes"),
    (lines("path,label", "a.png,"), "holds '', but must name classes"),
    (outside, "names '../secret.png', which lies outside the folder"),
    (lines("path,label", "/etc/x.png,a"), "names '/etc/x.png', which lies outside the folder"),
    (loop, "is a link to a folder that it lies in"),
    (
        lines("path,class,category", "a.png,a,b"),
        r"several columns that could be the label: 'class', 'category'; give .*--label-column",
    ),
    (lines("path,x,y1", "a.png,a,b"), "several columns that could be the label: 'x', 'y1'"),
    (lines("a,b,label", "a.png,b.png,c"), "several columns that could be the image: 'a', 'b'"),
    (lines("path,label", "a.png,a", "a.png,b"), "gives a.png two classes, 'a' and 'b'"),
    (lines("path,label", "a.png"), "cannot be read: row 1 has 1 cells, but the head 2"),
    (lines("path,label,split", "a.png,a,new"), "'split' .* holds 'new', but must hold train, val"),
    (lambda root: (root / "labels.csv").write_text(""), "labels.csv is empty"),
    (lambda root: (root / "metadata.jsonl").write_text("{"), "metadata.jsonl cannot be read"),
    (two_tables, "holds the tables 'labels.csv'"),
    (floats_npz, r"images are float64, but .* multiply by 255"),
    (labels_from_one, "labels run from 1 to 3"),
    (lambda root: (root / "x.npz").write_bytes(b"PK"), "arrays of .*x.npz cannot be read"),
    (lambda root: np.savez(root / "x.npz", a=np.zeros(3)), "holds the arrays a, but must hold"),
    (torn_parquet, "train.parquet cannot be read"),
    (shard_without_labels, "holds a.png without a .cls, .txt or .json"),
    (lambda root: (root / "train-0.tar").write_bytes(b"no tar" * 99), "shard .* cannot be read"),
]


@pytest.mark.parametrize(("make", "why"), WRONG, ids=[why for _, why in WRONG])
def test_what_cannot_be_understood_is_one_sentence(
    tmp_path: Path, make: Callable[[Path], object], why: str
) -> None:
    root = tmp_path / "set"
    root.mkdir()
    make(root)
    with pytest.raises(DataError, match=why) as error:
        load_data(root)
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)


def test_a_missing_column_ends_the_command_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = paint(tmp_path, part="set") / "set"
    labels_csv(root, pictures(root))
    assert run(["search", "--data", str(root), "--label-column", "breed"]) == 2
    message = capsys.readouterr().err
    assert "label_column is 'breed', but" in message
    assert "has the columns 'path', 'label'" in message
    assert not os.path.exists("optuna_de.db")
