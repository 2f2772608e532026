"""Faults of image files and their caches: rows F46, F47 and F51 of the fault list.

What held before is kept by tests too: links, pickles, many classes, bombs.
"""

from __future__ import annotations

import os
import runpy
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from optuna_de.cnn.data import DataError, load_data, load_test, read_image
from optuna_de.cnn.export.export import export_model
from tests.cnn.data.kit import paint
from tests.cnn.export.kit import SHAPE, save
from tests.drills import POSIX

pytestmark = POSIX  # FIFOs, sockets and names of other encodings

POSTSCRIPT = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 6 4
%%EndComments
showpage
"""
LATIN1 = "caf\udce9"  # half a character, as a file system of another encoding has


@pytest.fixture(name="network", scope="module")
def fixture_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an exported Python file beside its weights."""
    place = tmp_path_factory.mktemp("network")
    export_model(save(place / "model", "C3k3-GAP-FC9"), "python", place / "net.py")
    return place / "net.py"


@pytest.fixture(name="ghostscript")
def fixture_ghostscript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a Ghostscript on the path that makes a file; return that file."""
    trace = tmp_path / "ghostscript-was-here"
    program = tmp_path / "bin/gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    return trace


def test_the_trap_works(ghostscript: Path, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(POSTSCRIPT)
    with pytest.raises(OSError, match=r"."), Image.open(tmp_path / "0.png") as image:
        image.load()
    assert ghostscript.exists()


def test_f47_postscript_in_a_png_starts_no_program(
    ghostscript: Path, network: Path, tmp_path: Path
) -> None:
    file = paint(tmp_path / "data") / "train/ant/0.png"
    file.write_bytes(POSTSCRIPT)
    with pytest.raises(DataError, match=r"0\.png cannot be read as an image"):
        load_data(tmp_path / "data")
    with pytest.raises(DataError, match=r"0\.png cannot be read as an image"):
        read_image(file, (3, 4, 6))
    with pytest.raises(SystemExit, match=r"0\.png cannot be read as an image"):
        runpy.run_path(str(network))["main"]([file])
    assert not ghostscript.exists()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(path.parent)  # names of sockets are short
        server.bind(path.name)


@pytest.mark.parametrize("make", [fifo, device, listening])
@pytest.mark.parametrize("part", ["train", "test"])
def test_f47_only_regular_files_are_opened(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    network: Path,
    make: Callable[[Path], None],
    part: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    data = paint(paint(tmp_path / "data"), part="test")
    file = data / part / "bee/3.png"
    file.unlink()
    make(file)
    for load in (load_data, load_test):
        with pytest.raises(DataError, match=r"bee/3\.png is not a regular file"):
            load(data)
    with pytest.raises(DataError, match=r"There is no image .*3\.png"):
        read_image(file, SHAPE)
    with pytest.raises(SystemExit, match=r"3\.png cannot be read as an image: it is not a reg"):
        runpy.run_path(str(network))["main"]([file])


def test_f47_a_cache_that_is_a_fifo_is_not_opened(tmp_path: Path, own_cache: Path) -> None:
    data = paint(tmp_path / "data")
    good = load_data(data).fingerprint
    (cache,) = own_cache.glob("*.npz")
    cache.unlink()
    os.mkfifo(cache)
    assert load_data(data).fingerprint == good
    assert cache.is_file()  # replaced


def chunk(kind: bytes, content: bytes) -> bytes:
    sum_ = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", sum_)


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


ZEROS = zlib.compress(bytes(10**8), 9)  # 100 kB
PROFILE = chunk(b"iCCP", b"x\0\0" + ZEROS)
TEXT = chunk(b"zTXt", b"x\0\0" + ZEROS)
TIFF = b"II*\0\x08\0\0\0\x04\0" + b"".join(
    struct.pack("<HHII", tag, 4, 1, value)
    for tag, value in ((256, 30_000), (257, 30_000), (262, 1), (273, 8))
)
BOMBS = {
    "pixels.png": png(30_000, 30_000, chunk(b"IDAT", ZEROS)),
    "sides.png": png(2**31 - 1, 2**31 - 1, chunk(b"IDAT", ZEROS)),
    "thin.png": png(2**31 - 1, 1, chunk(b"IDAT", ZEROS)),
    "profile.png": png(6, 4, PROFILE, chunk(b"IDAT", b"")),
    "text.png": png(6, 4, TEXT, chunk(b"IDAT", b"")),
    "stream.png": png(6, 4, chunk(b"IDAT", b"no zlib")),
    "header.bmp": b"BM" + bytes(8) + struct.pack("<IIiiHH", 54, 40, 2**31 - 1, 1, 1, 24) * 2,
    "canvas.gif": b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + bytes(9),
    "header.ppm": b"P6 30000 30000 255\n",
    "digits.ppm": b"P6 " + b"9" * 5000 + b" 4 255\n",
    "strips.tiff": TIFF + bytes(4),
    "offsets.tiff": b"II*\0" + struct.pack("<I", 2**32 - 1),
    "chunks.webp": b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\xff" * 30,
}


@pytest.mark.parametrize("name", BOMBS)
def test_f51_a_bomb_among_images_is_one_sentence(tmp_path: Path, network: Path, name: str) -> None:
    file = paint(tmp_path / "data") / "train/ant" / name
    file.write_bytes(BOMBS[name])
    sentence = rf"{name} cannot be read as an image \(\w+\)[.;]"
    with pytest.raises(DataError, match=sentence):
        load_data(tmp_path / "data")
    with pytest.raises(DataError, match=sentence):
        read_image(file, SHAPE)
    with pytest.raises(SystemExit, match=f"{name} cannot be read as an image: "):
        runpy.run_path(str(network))["main"]([file])


def test_f51_large_photos_are_taken_without_a_warning(tmp_path: Path) -> None:
    """Pillow warns from 89 megapixels on; warnings are errors here."""
    side = 9_600
    rows = zlib.compress(bytes((1 + 3 * side) * side), 1)
    file = tmp_path / "large.png"
    file.write_bytes(png(side, side, chunk(b"IDAT", rows)))
    assert not read_image(file, SHAPE).any()


def test_f51_images_without_room_in_memory_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = paint(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(np, "zeros", lambda *_: bytearray(2**62))
        with pytest.raises(DataError, match=r"20 images of 6x4 pixels need 0\.0 GB of memory"):
            load_data(data)


def npy(header: str) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def archive(path: Path, method: int, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def with_shape(cache: Path, key: bytes) -> None:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (20, 1000000, 1000000, 3), }"
    archive(cache, zipfile.ZIP_STORED, key=key, images=npy(header))


def with_nested_header(cache: Path, key: bytes) -> None:
    archive(cache, zipfile.ZIP_STORED, key=key, images=npy("(" * 110))


def with_long_key(cache: Path, key: bytes) -> None:
    header = "{'descr': '<U500000000', 'fortran_order': False, 'shape': (1000000,), }"
    archive(cache, zipfile.ZIP_STORED, key=npy(header), images=key)


def compressed(cache: Path, key: bytes) -> None:
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (20, 1000, 5000, 3), }"
    archive(cache, zipfile.ZIP_DEFLATED, key=key, images=npy(header) + bytes(3 * 10**8))


def compressed_and_corrupt(cache: Path, key: bytes) -> None:
    compressed(cache, key)
    whole = bytearray(cache.read_bytes())
    whole[1000:1100] = b"\xff" * 100
    cache.write_bytes(whole)


def of_unknown_method(cache: Path, key: bytes) -> None:
    archive(cache, zipfile.ZIP_STORED, key=key, images=key)
    whole = cache.read_bytes()
    cache.write_bytes(
        whole.replace(b"PK\x01\x02\x14\x03\x14\0\0\0\0", b"PK\x01\x02\x14\x03\x14\0\0\0c")
    )


CACHES = [
    with_shape,
    with_nested_header,
    with_long_key,
    compressed,
    compressed_and_corrupt,
    of_unknown_method,
]


@pytest.mark.parametrize("forge", CACHES)
def test_f51_a_bomb_as_a_cache_is_rebuilt(
    tmp_path: Path,
    own_cache: Path,
    caplog: pytest.LogCaptureFixture,
    forge: Callable[[Path, bytes], None],
) -> None:
    data = paint(tmp_path)
    good = load_data(data).fingerprint
    (cache,) = own_cache.glob("*.npz")
    whole = cache.read_bytes()
    with zipfile.ZipFile(cache) as stored:
        key = stored.read("key.npy")
    cache.unlink()
    forge(cache, key)
    assert load_data(data).fingerprint == good
    assert "decoded anew" in caplog.text
    assert cache.read_bytes()[-100:] == whole[-100:]


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("old", ["bee", "bee/3.png"])
def test_f46_names_that_are_not_utf8_are_refused_at_the_door(
    tmp_path: Path, part: str, old: str
) -> None:
    data = paint(paint(tmp_path), part="test")
    path = data / part / old
    path.rename(path.with_name(LATIN1 + path.suffix))
    with pytest.raises(DataError, match=r"name '.*caf\\udce9.*' in the folder .*rename it") as one:
        load_data(data)
    str(one.value).encode()  # it can be printed


def test_f46_a_set_whose_own_name_is_not_utf8_is_refused(tmp_path: Path) -> None:
    data = paint(tmp_path / LATIN1)
    with pytest.raises(DataError, match=r"The name 'caf\\udce9' in the folder") as one:
        load_data(data)
    str(one.value).encode()


def test_links_to_images_and_folders_are_followed(tmp_path: Path) -> None:
    data = paint(tmp_path / "data")
    good = load_data(data).fingerprint
    (data / "train/bee").rename(tmp_path / "elsewhere")
    (data / "train/bee").symlink_to(tmp_path / "elsewhere")
    file = data / "train/ant/0.png"
    file.rename(tmp_path / "outside.png")
    file.symlink_to(tmp_path / "outside.png")
    assert load_data(data).fingerprint == good


@pytest.mark.parametrize("target", ["x.png", "nowhere"])
def test_links_in_a_loop_or_to_nowhere_are_one_sentence(tmp_path: Path, target: str) -> None:
    (paint(tmp_path) / "train/bee/x.png").symlink_to(target)
    (tmp_path / "train/x").symlink_to("x")
    with pytest.raises(DataError, match=r"x\.png leads to no file; 1 of 21 images"):
        load_data(tmp_path)


@pytest.mark.parametrize("target", [".", "..", "../..", "/"])
def test_links_to_folders_above_are_one_sentence(tmp_path: Path, target: str) -> None:
    (paint(tmp_path) / "train/bee/x").symlink_to(target)
    with pytest.raises(DataError, match=r"bee/x is a link to a folder that it lies in\."):
        load_data(tmp_path)


def test_a_mesh_of_links_is_walked_once(tmp_path: Path) -> None:
    """Two links from each of 40 folders to the next are 2**40 ways."""
    data = paint(tmp_path / "data")
    good = load_data(data).fingerprint
    for i in range(40):
        (tmp_path / f"mesh/{i}").mkdir(parents=True)
        for name in "ab":
            (tmp_path / f"mesh/{i}/{name}").symlink_to(tmp_path / f"mesh/{i + 1}")
    (tmp_path / "mesh/40").mkdir()
    (data / "train/bee/x").symlink_to(tmp_path / "mesh/0")
    assert load_data(data).fingerprint == good


def test_ten_thousand_classes_of_one_image_are_one_sentence(tmp_path: Path) -> None:
    for i in range(10_000):
        (tmp_path / f"train/{i}").mkdir(parents=True)
        (tmp_path / f"train/{i}/0.ppm").write_bytes(b"P6 2 2 255\n" + struct.pack("<I", i) * 3)
    with pytest.raises(DataError, match="too few images of the class '0'"):
        load_data(tmp_path)
