"""Data path: images decoded per second, and memory and rate of a training, in memory and mapped.

Run ``python -m benchmarks.data.data_path decoding --folder CIFAR`` and ``... training --folder
CIFAR``; CIFAR holds ``train/<class>`` as JPEG files. Decoding goes beside torchvision's
ImageFolder and Hugging Face ``datasets``, and decoders beside each other; figures are per second
of processor time of one core, so that other work disturbs them little. The training reads sets of
96x96 pixels that repeat real images; each case is a process of its own. Rows of finished cases are
kept.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from benchmarks.common.results import Row, header, markdown, read, results_of
from optuna_de.cnn import parse
from optuna_de.cnn.data import load_data
from optuna_de.cnn.data.dataset import ImageData, image_data
from optuna_de.cnn.data.reading import jpeg
from optuna_de.cnn.data.reading.images import decode
from optuna_de.cnn.data.reading.resizing import Resizing
from optuna_de.cnn.data.store.cache import cache_in
from optuna_de.cnn.data.store.decoding import Labelled
from optuna_de.cnn.data.store.image_store import ImageStore, Shard, stored_images
from optuna_de.cnn.modules.build import build
from optuna_de.cnn.recipes import fit_recipe, get_recipe
from optuna_de.cnn.training.epochs import EpochLoop
from optuna_de.cnn.training.state import make_train_state

RESULTS = results_of(__file__)
SIDE = 96
NETWORK = "B8k3-MP-B16k3-MP-B32k3-GAP"
CASES = [(count, way) for count in (10_000, 100_000) for way in ("in memory", "mapped")]
PHOTOS = {
    "640x427 to 64x64": (640, 427, 100),
    "4096x3072 to 64x64": (4096, 3072, 24),
}
"""Width, height and number of the photos of each kind of files."""
REPEATS = 5
Reader = Callable[[Path, int], int]


def processor_seconds() -> float:
    """Return the processor time of this process and of its ended children."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def ours(folder: Path, side: int) -> int:
    """Read a folder as a search does: headers, hashes, decoded images, cache, splits."""
    with tempfile.TemporaryDirectory() as cache:
        load_data(folder, image_size=side, cache_dir=Path(cache))
    return sum(1 for _ in (folder / "train").rglob("*.jpg"))  # those for the test are decoded, too


def ours_by_pillow(folder: Path, side: int) -> int:
    """Read a folder as a search does, without the extra "data"."""
    with patch.object(jpeg, "simplejpeg", None):
        return ours(folder, side)


def torchvision_folder(folder: Path, side: int) -> int:
    """Read every image of torchvision's ImageFolder, resized and cropped."""
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    steps = [v2.Resize(side), v2.CenterCrop(side), v2.PILToTensor()]
    images = ImageFolder(str(folder / "train"), v2.Compose(steps))
    return sum(1 for _ in (images[i] for i in range(len(images))))


def hugging_face(folder: Path, side: int) -> int:
    """Read every image of Hugging Face's imagefolder, resized and cropped by torchvision."""
    import datasets
    from torchvision.transforms import v2

    datasets.disable_progress_bars()
    steps = v2.Compose([v2.Resize(side), v2.CenterCrop(side), v2.PILToTensor()])
    with tempfile.TemporaryDirectory() as cache:
        images = datasets.load_dataset(
            "imagefolder", data_dir=str(folder / "train"), split="train", cache_dir=cache
        )
        return sum(1 for row in images if len(steps(row["image"])))


READERS: dict[str, Reader] = {
    "optuna-de, extra `data`": ours,
    "optuna-de": ours_by_pillow,
    "torchvision's ImageFolder": torchvision_folder,
    "Hugging Face datasets": hugging_face,
}


def package(file: Path, side: int) -> None:
    """Decode as the package does: simplejpeg, or Pillow where it decodes a part of the size."""
    decode(file, Resizing((side, side)))


def pillow(file: Path, side: int) -> None:
    """Decode as the package does without the extra "data"."""
    with patch.object(jpeg, "simplejpeg", None):
        decode(file, Resizing((side, side)))


def torchvision_decoder(file: Path, side: int) -> None:
    """Decode by torchvision and resize by it."""
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms.v2 import functional as F

    pixels = decode_jpeg(read_file(str(file)), ImageReadMode.RGB)
    if pixels.shape[1:] != (side, side):
        F.center_crop(F.resize(pixels, [side], antialias=True), [side])


DECODERS: dict[str, Callable[[Path, int], None]] = {
    "simplejpeg, or Pillow in draft mode": package,
    "Pillow in draft mode": pillow,
    "torchvision.io.decode_jpeg": torchvision_decoder,
}


def photos(folder: Path, width: int, height: int, count: int) -> Path:
    """Write two real photos, resized and repeated, as JPEG in two classes."""
    for name, pixels in zip(("a", "b"), load_sample_images().images, strict=True):
        place = folder / "train" / name
        place.mkdir(parents=True)
        resized = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
        resized.save(place / "0.jpg", quality=90)
        for i in range(1, count // 2):
            shutil.copy(place / "0.jpg", place / f"{i}.jpg")
    return folder


def few(source: Path, folder: Path, each: int) -> Path:
    """Copy some images of each class."""
    for kind in sorted((source / "train").iterdir()):
        place = folder / "train" / kind.name
        place.mkdir(parents=True)
        for file in sorted(kind.iterdir())[:each]:
            shutil.copy(file, place / file.name)
    return folder


def per_core_second(work: Callable[[], int]) -> tuple[int, float]:
    """Return how many images were read, and how many in a second of processor time."""
    before = processor_seconds()
    count = work()
    return count, count / (processor_seconds() - before)


def decoding(source: Path, done: set[tuple[str, ...]]) -> Any:
    """Yield a row for each reader and decoder and each kind of files that is not done."""
    with tempfile.TemporaryDirectory() as place:
        small, counts = few(source, Path(place, "small"), 300), PHOTOS.items()
        kinds = {"32x32": (small, 32)}
        kinds |= {name: (photos(Path(place, name), *sizes), 64) for name, sizes in counts}
        for kind, (folder, side) in kinds.items():
            files = sorted((folder / "train").rglob("*.jpg"))
            for name, reader in READERS.items():
                yield from _rate(done, (kind, name), partial(reader, folder, side))
            for name, decoder in DECODERS.items():
                work = partial(decode_all, decoder, files, side)
                yield from _rate(done, (kind, name), work)


def decode_all(decoder: Callable[[Path, int], None], files: Sequence[Path], side: int) -> int:
    """Decode files one by one; return how many."""
    for file in files:
        decoder(file, side)
    return len(files)


def _rate(
    done: set[tuple[str, ...]], case: tuple[str, str], work: Callable[[], int]
) -> Iterator[Row]:
    if case in done:
        return
    work()  # imports
    rates = [per_core_second(work) for _ in range(REPEATS)]
    yield {
        "files": case[0],
        "reader": case[1],
        "images": rates[0][0],
        "rates": [round(r, 1) for _, r in rates],
    }


def made_set(source: Path, count: int, cache: Path, *, mapped: bool) -> ImageData:
    """Return a set of real images, brought to 96x96 and repeated, from a file of the cache."""
    files = sorted((source / "train").rglob("*.jpg"))[:: 50_000 // 1000][:1000]
    real = np.stack([decode(file, Resizing((SIDE, SIDE))) for file in files])

    def fill(rows: Any, start: int) -> Shard:
        rows[:] = real[np.arange(start, start + len(rows)) % len(real)]
        return Shard({}, ())

    with cache_in(cache):
        store: ImageStore = stored_images(["benchmark", count], (count, SIDE, SIDE, 3), fill)
        labels = np.arange(count) * 10 // count
        rows = np.arange(count)
        whole = Labelled(store, rows, labels, rows[:0])
        order = np.random.default_rng(0).permutation(count)
        parts = [(whole, order[count // 10 :]), (whole, order[: count // 10])]
        return image_data("made", tuple("0123456789"), parts, 0, mapped)


def resident() -> int:
    """Return the resident bytes of this process, mapped pages of files among them."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf(
        "SC_PAGE_SIZE"
    )


class Peak:
    """The most resident memory within a block, in bytes."""

    def __enter__(self) -> Peak:
        self.bytes, self._over = resident(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.bytes = max(self.bytes, resident())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def training_case(source: Path, count: int, way: str, cache: Path, seconds: float) -> Row:
    """Start a training, run steps for some seconds, and return its memory and rate."""
    torch.set_num_threads(1)
    base = resident()
    with Peak() as starting:
        began = time.process_time()
        data = made_set(source, count, cache, mapped=way == "mapped")
        start = time.process_time() - began
    recipe = fit_recipe(get_recipe("fast"), data)
    model = build(parse(NETWORK), data.image_shape, 10)
    state = make_train_state(model, data, recipe, torch.device("cpu"), 0)
    loop = EpochLoop(state, data, epochs=1, batch_size=64, micro=64, seed=0)
    plan, steps = loop._draw(), 0
    with Peak() as peak:
        began, wall = time.process_time(), time.perf_counter()
        for draws in state.feed.batches(plan, 64):
            state.optimizer.set_rate(0.01)
            loop._step(draws)
            steps += 1
            if time.process_time() - began > seconds:
                break
        used, wall = time.process_time() - began, time.perf_counter() - wall
    return {
        "images": count,
        "way": way,
        "base MB": round(base / 1e6),
        "start MB": round((starting.bytes - base) / 1e6),
        "start seconds": round(start, 2),
        "training MB": round((peak.bytes - base) / 1e6),
        "rate": round(64 * steps / used, 1),
        "wall rate": round(64 * steps / wall, 1),
    }


def decoding_table(head: Row, rows: Sequence[Row]) -> str:
    """Return images per second and core of each reader and decoder."""
    lines = [
        [r["files"], r["reader"], r["images"], len(r["rates"]), f"{median(r['rates']):,.0f}"]
        for r in rows
    ]
    return markdown(["files", "read by", "images", "repeats", "images a core second"], lines)


def training_table(head: Row, rows: Sequence[Row]) -> str:
    """Return memory and rate of each size and way; the rate also as a share of that in memory."""
    whole = {r["images"]: r["rate"] for r in rows if r["way"] == "in memory"}
    lines = [
        [
            *(f"{r['images']:,}", r["way"], f"{r['start MB']:,}", f"{r['training MB']:,}"),
            *(r["start seconds"], r.get("again seconds", ""), f"{r['rate']:,.0f}"),
            f"{r['rate'] / whole[r['images']]:.2f}" if r["images"] in whole else "",
        ]
        for r in rows
    ]
    columns = ["images", "kept", "MB at start", "MB in training", "s of first start"]
    last = ["s of next start", "images a core second", "of in memory"]
    return markdown([*columns, *last], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["decoding", "training", "case"])
    parser.add_argument("--folder", type=Path, required=True, help="CIFAR-10 as JPEG files")
    parser.add_argument("--images", type=int)
    parser.add_argument("--way")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--seconds", type=float, default=15.0, help="of processor time of a case")
    args = parser.parse_args()
    if args.part == "case":
        case = training_case(args.folder, args.images, args.way, args.cache, args.seconds)
        print(json.dumps(case))
        return
    path = RESULTS / f"data-path-{args.part}.jsonl"
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.write_text(json.dumps(header(1)) + "\n")
    known = read(path)[1]
    if args.part == "decoding":
        rows = decoding(args.folder, {(r["files"], r["reader"]) for r in known})
    else:
        rows = training(args, {(r["images"], r["way"]) for r in known})
    for row in rows:
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, flush=True)


def training(args: argparse.Namespace, done: set[tuple[int, str]]) -> Any:
    """Yield a row for each case that is not done: a first start, then one that finds its cache."""
    for count, way in CASES:
        if (count, way) in done:
            continue
        with tempfile.TemporaryDirectory() as cache:
            command = [sys.executable, "-m", "benchmarks.data.data_path", "case"]
            command += ["--folder", str(args.folder), "--images", str(count), "--way", way]
            command += ["--cache", cache, "--seconds", str(args.seconds)]
            runs = [
                json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
                for _ in range(2)
            ]
        yield {
            **runs[1],
            "start seconds": runs[0]["start seconds"],
            "again seconds": runs[1]["start seconds"],
            "start MB": max(run["start MB"] for run in runs),
            "rates": [run["rate"] for run in runs],
        }


if __name__ == "__main__":
    main()
