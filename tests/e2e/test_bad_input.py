"""What goes wrong ends in one line that says what, why and what to do, in the right exit code, and in no half-written file."""

from __future__ import annotations

import os
import pickle
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from driving import EXAMPLES, Ran, Run
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from skimage import data

from facewright.weights import bundled

USAGE, INPUT, MODEL, OUTPUT, PARTIAL = 2, 3, 4, 5, 6


@pytest.fixture
def good(tmp_path: Path, portrait: NDArray[np.uint8]) -> Path:
    path = tmp_path / "good.png"
    Image.fromarray(portrait).save(path)
    return path


def refused(ran: Ran, code: int, *words: str) -> None:
    """One complaint, with these words in what, why and what to do; nothing on standard output."""
    assert ran.code == code, ran.errors
    assert len(ran.complaints) == 1, ran.errors
    assert ran.output == b""
    for word in words:
        assert word in ran.errors, ran.errors


# Photos


def missing(folder: Path) -> Path:
    return folder / "missing.jpg"


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    (folder / "empty" / "notes.txt").write_text("no pictures here")
    return folder / "empty"


def text(folder: Path) -> Path:
    (folder / "letter.jpg").write_text("Dear Aunt Mary,\nthe pictures are in the other envelope.\n" * 20)
    return folder / "letter.jpg"


def nothing(folder: Path) -> Path:
    (folder / "nothing.png").touch()
    return folder / "nothing.png"


def truncated(folder: Path) -> Path:
    (folder / "torn.jpg").write_bytes((EXAMPLES / "astronaut-sepia.jpg").read_bytes()[:20_000])
    return folder / "torn.jpg"


def bomb(folder: Path) -> Path:
    """30000 x 30000 in a true PNG of a hundred kilobytes."""
    packer = zlib.compressobj(1)
    row = bytes(1 + 30_000 // 8)
    image = b"".join(packer.compress(row * 1000) for _ in range(30)) + packer.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    path = folder / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", image) + chunk(b"IEND", b""))
    return path


BAD_PHOTOS: dict[Callable[[Path], Path], tuple[str, ...]] = {
    missing: ("missing.jpg",),
    empty_folder: ("no photos in", "empty"),
    text: ("cannot read", "letter.jpg", "a text file, not a picture"),
    nothing: ("cannot read", "nothing.png"),
    truncated: ("cannot read", "torn.jpg", "truncated", "--salvage"),
    bomb: ("cannot read", "bomb.png", "30,000 x 30,000", "--pixel-limit"),
}


@pytest.mark.parametrize("make", BAD_PHOTOS, ids=lambda make: make.__name__)
def test_a_bad_photo_alone(make: Callable[[Path], Path], tmp_path: Path, call: Run, tiny_model: Path) -> None:
    out = tmp_path / "out"
    refused(call("restore", make(tmp_path), "-o", out, "--model", tiny_model), INPUT, *BAD_PHOTOS[make])
    assert not list(out.rglob("*"))


def test_bad_photos_cost_a_batch_only_themselves(tmp_path: Path, good: Path, run: Run, tiny_model: Path) -> None:
    faceless, out = tmp_path / "coffee.png", tmp_path / "out"
    Image.fromarray(data.coffee()[::2, ::2]).save(faceless)
    bad = [make(tmp_path) for make in BAD_PHOTOS]
    ran = run("restore", *bad[:3], good, *bad[3:], faceless, "-o", out, "--model", tiny_model, "--report", tmp_path / "r.html")
    assert ran.code == PARTIAL
    assert len(ran.complaints) == len(bad) + 1
    for path in bad:
        assert sum(f" {path}" in complaint for complaint in ran.complaints) == 1, path.name
    assert ran.complaints[-1].startswith(f"{len(bad)} of {len(bad) + 2} photos could not be restored")
    assert sorted(path.name for path in out.iterdir()) == ["coffee.png", "good.png"]
    assert "no face was found" in ran.output.decode()
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert all(path.name in page for path in [*bad, good, faceless]) and f"{len(bad)} photos failed" in page


def test_a_photo_without_faces_is_no_failure(tmp_path: Path, call: Run, tiny_model: Path) -> None:
    Image.fromarray(data.coffee()[::2, ::2]).save(tmp_path / "coffee.png")
    ran = call("restore", tmp_path / "coffee.png", "--model", tiny_model)
    assert (ran.code, ran.errors) == (0, "")
    assert "no face was found" in ran.output.decode()
    assert (tmp_path / "coffee-restored.png").is_file()


def test_salvage_and_pixel_limit_do_what_the_refusals_promise(tmp_path: Path, good: Path, call: Run, tiny_model: Path) -> None:
    ran = call("restore", truncated(tmp_path), "-o", tmp_path / "out", "--salvage", "--model", tiny_model)
    assert ran.code == 0, ran.errors
    with Image.open(tmp_path / "out.jpg") as picture:
        assert picture.size == (660, 820)
    refused(call("restore", good, "--pixel-limit", "0.05", "--model", tiny_model), INPUT, "--pixel-limit")


# Outputs


@pytest.mark.parametrize("place", ["file/out", "file/deeper/out.png", "/proc/facewright/out"])
def test_an_output_folder_that_cannot_be(place: str, tmp_path: Path, good: Path, call: Run, tiny_model: Path) -> None:
    if place.startswith("/proc") and not sys.platform.startswith("linux"):
        pytest.skip("/proc is Linux's")
    (tmp_path / "file").write_text("not a folder")
    ran = call("restore", good, "-o", tmp_path / place, "--model", tiny_model)
    refused(ran, OUTPUT, "cannot", Path(place).name if place.startswith("/proc") else "file")
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_folder_that_may_not_be_written(tmp_path: Path, good: Path, call: Run, tiny_model: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(call("restore", good, "-o", tmp_path / "locked", "--model", tiny_model), OUTPUT, "may not be written")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_costs_what_does_not_fit(
    tmp_path: Path, small_disk: Path, portrait: NDArray[np.uint8], call: Run, tiny_model: Path
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    small = Image.fromarray(portrait[40:180, 70:210])
    small.save(album / "1.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)).save(album / "2.png")  # cannot be packed: 750 KB
    small.save(album / "3.png")
    ran = call("restore", album, "-o", small_disk, "--model", tiny_model)
    assert ran.code == PARTIAL
    assert "2.png" in ran.complaints[0] and "the disk is full" in ran.complaints[0]
    assert sorted(path.name for path in small_disk.iterdir()) == ["1.png", "3.png"]
    for path in small_disk.iterdir():
        with Image.open(path) as picture:
            picture.load()
    alone = call("restore", album / "2.png", "-o", small_disk / "again.png", "--model", tiny_model)
    refused(alone, OUTPUT, "again.png", "the disk is full", "free some space")
    assert not (small_disk / "again.png").exists()


def test_a_report_or_journal_that_cannot_be_is_refused_before_the_work(tmp_path: Path, good: Path, call: Run, tiny_model: Path) -> None:
    (tmp_path / "file").write_text("")
    for option in ("--report", "--journal"):
        refused(call("restore", good, option, tmp_path / "file" / "x", "--model", tiny_model), OUTPUT, "cannot write the")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "good.png"]


# Words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--faces", "biggest"], ("--faces", "biggest", "all, largest, center")),
        (["--faces", "0,,1"], ("--faces",)),
        (["--faces", "-1"], ("--faces",)),
        (["--faces", "0,7"], ("face 7", "only face 0")),
        (["--faces", "0", "--only-center-face"], ("contradict",)),
        (["--strength", "1.5"], ("--strength", "1.5", "0 to 1")),
        (["--strength", "nan"], ("--strength",)),
        (["--strength", "much"], ("--strength",)),
        (["--upscale", "0.5"], ("--upscale",)),
        (["--fidelity", "very"], ("--fidelity", "auto")),
        (["--metadata", "some"], ("--metadata", "keep, basic, strip")),
        (["--quality", "101"], ("--quality",)),
        (["--background", "sky"], ("--background", "lanczos")),
        (["--precision", "int8"], ("--precision", "bf16")),
        (["--device", "abacus"], ("abacus",)),
        (["--jobs", "0"], ("--jobs",)),
        (["--frobnicate"], ("--frobnicate",)),
        (["-o", "out.gif"], ("GIF",)),
        (["-o", "out.docx"], ("docx",)),
        (["--in-place", "-o", "out"], ("--in-place", "--output")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words(
    words: list[str],
    said: tuple[str, ...],
    tmp_path: Path,
    good: Path,
    call: Run,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = good.read_bytes()
    ran = call("restore", good, "--model", tiny_model, *words)
    refused(ran, USAGE, *said)
    assert [path.name for path in tmp_path.iterdir()] == ["good.png"] and good.read_bytes() == before


def test_no_words_wrong_verbs_and_the_version(call: Run) -> None:
    refused(call("restore"), USAGE, "photos")
    refused(call("restroe", "a.jpg"), USAGE, "restroe")
    version = call("--version")
    assert (version.code, version.errors) == (0, "") and version.output.startswith(b"facewright 0.")


def test_many_photos_do_not_fit_a_stream_or_a_single_file(tmp_path: Path, good: Path, call: Run, tiny_model: Path) -> None:
    shutil.copy(good, tmp_path / "other.png")
    refused(call("restore", tmp_path, "-o", "-", "--model", tiny_model), USAGE, "one photo")
    refused(call("restore", tmp_path / "*.jpg", "--model", tiny_model), INPUT, "*.jpg")
    refused(call("restore", good, "--json", "-o", "-", "--model", tiny_model), USAGE, "--json")


# Models


class Payload:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("kind", ["torch", "pickle"])
def test_a_malicious_model_is_refused_and_not_run(kind: str, tmp_path: Path, good: Path, call: Run) -> None:
    marker, path = tmp_path / "owned", tmp_path / "model.pth"
    content = {"params_ema": {"weight": torch.zeros(3)}, "extra": Payload(marker)}
    if kind == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    refused(call("restore", good, "--model", path), MODEL, "model.pth")
    assert not marker.exists() and not (tmp_path / "good-restored.png").exists()
    with path.open("rb") as file:  # what a careless reader would have done
        assert b"touch" in file.read()


def test_an_unknown_model_brings_the_nearest_names(good: Path, call: Run) -> None:
    refused(call("restore", good, "--model", "gfpgan-mimi"), MODEL, "gfpgan-mimi", "gfpgan-mini")
    refused(call("restore", good, "--model", "no/such/file.pth"), MODEL, "no/such/file.pth")


def test_weights_that_restore_no_faces(tmp_path: Path, good: Path, call: Run, tiny_model: Path) -> None:
    strange, cut, words = tmp_path / "strange.safetensors", tmp_path / "cut.safetensors", tmp_path / "words.pth"
    save_file({"layer.weight": torch.zeros(4, 4)}, strange)
    cut.write_bytes(tiny_model.read_bytes()[:-5000])
    words.write_text("not a model")
    refused(call("restore", good, "--model", bundled("identity-dlib")), MODEL, "does not restore faces")
    for path in (bundled("mtcnn"), strange, cut, words):
        refused(call("restore", good, "--model", path), MODEL, path.name)
    assert not (tmp_path / "good-restored.png").exists()


def test_debug_shows_where_it_happened(tmp_path: Path, run: Run) -> None:
    ran = run("restore", tmp_path / "missing.jpg", "--debug")
    assert ran.code in (INPUT, MODEL) and "Traceback" in ran.errors and "facewright: " in ran.errors
