"""What cannot be read or written says so in a sentence, quickly, and nothing else happens."""

from __future__ import annotations

import io
import os
import re
import struct
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from media_samples import exif_block, png_16, png_chunk, saved, scene
from numpy.testing import assert_array_equal
from PIL import Image

from facewright.errors import InputError, OutputError, UsageError
from facewright.media import READABLE, Origin, Photo, default_suffix, encode, read, write


def sources() -> dict[str, bytes]:
    big = scene(200, 160)
    return {
        "JPEG": saved(big, "JPEG", quality=90, exif=b"Exif\0\0" + exif_block(1)),
        "JPEG progressive": saved(big, "JPEG", quality=90, progressive=True),
        "PNG": saved(big, "PNG"),
        "PNG 16": png_16(scene(200, 160, dtype=np.uint16)),
        "PNG 16 grey": png_16(scene(200, 160, 1, np.uint16)),
        "WEBP": saved(big, "WEBP", lossless=True),
        "TIFF": saved(big, "TIFF", compression="tiff_lzw"),
        "TIFF raw": saved(big, "TIFF"),
        "TIFF 16": encode(Photo(scene(200, 160, dtype=np.uint16), None, Origin()), format="tif"),
        "AVIF": saved(big, "AVIF"),
        "BMP": saved(big, "BMP"),
        "GIF": saved(Image.fromarray(big).quantize(64), "GIF", interlace=0),
    }


SOURCES = sources()


def refused(source: Any, match: str, **options: Any) -> InputError:
    with pytest.raises(InputError, match=match) as caught:
        read(source, **options)
    error = caught.value
    assert error.exit_code == 3
    assert error.what.startswith("cannot read ") and "\n" not in f"{error}{error.what_to_do}"
    assert error.what_to_do
    return error


def test_no_photo_at_all(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("Dear diary, today I renamed a text file.\n" * 5)
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "paper.jpg").write_bytes(b"%PDF-1.7\n" + bytes(100))
    (tmp_path / "noise.tif").write_bytes(bytes(range(128, 256)) * 4)
    (tmp_path / "bm.bmp").write_text("BMW is a car, and this is a text that begins like a bitmap")
    refused(tmp_path / "notes.jpg", r"notes\.jpg: it is a text file, not a picture")
    refused(str(tmp_path / "empty.png"), r"it is empty")
    refused(tmp_path / "paper.jpg", r"it is a PDF document")
    refused(tmp_path / "noise.tif", r"not a picture of a known format")
    refused(tmp_path / "bm.bmp", r"a text file")
    refused(tmp_path, r"it is a folder")
    refused(tmp_path / "gone.jpg", r"there is no such file")
    refused(tmp_path / ("n" * 300 + ".jpg"), r"cannot read")
    refused(b"", "it is empty")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(SOURCES["JPEG"])
    secret.chmod(0)
    if os.access(secret, os.R_OK):  # root may read everything

        def denied(*_: Any, **__: Any) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", denied)
    refused(secret, r"secret\.jpg: you may not read it")


def test_a_failing_disk_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Dying(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 100:
                raise OSError(5, "Input/output error")
            return super().read(size)

    monkeypatch.setattr(Path, "open", lambda *_, **__: Dying(SOURCES["JPEG"]))
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    refused(tmp_path / "a.jpg", "Input/output error")


def png_bomb(side: int) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"x\x9c" + bytes(2000)) + png_chunk(b"IEND", b"")


def bombs() -> dict[str, bytes]:
    jpeg = bytearray(saved(scene(8, 8), "JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 30_000, 30_000)
    vp8x = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16_382).to_bytes(3, "little") * 2
    webp = b"RIFF" + struct.pack("<I", 4 + len(vp8x) + 100) + b"WEBP" + vp8x + bytes(100)
    gif = bytearray(saved(Image.new("P", (4, 4)), "GIF"))
    gif[6:10] = struct.pack("<HH", 30_000, 30_000)
    bmp = bytearray(saved(scene(4, 4), "BMP"))
    bmp[18:26] = struct.pack("<ii", 30_000, 30_000)
    tiff = bytearray(saved(np.zeros((4, 4), np.uint8), "TIFF"))
    for tag in (0x100, 0x101):
        place = tiff.index(struct.pack("<HHL", tag, 4, 1)) + 8 if struct.pack("<HHL", tag, 4, 1) in tiff else -1
        if place < 0:
            place = tiff.index(struct.pack("<HHL", tag, 3, 1)) + 8
        tiff[place : place + 4] = struct.pack("<L", 30_000)
    return {"PNG": png_bomb(30_000), "JPEG": bytes(jpeg), "WEBP": webp, "GIF": bytes(gif), "BMP": bytes(bmp), "TIFF": bytes(tiff)}


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_bomb_is_refused_before_anything_is_decoded(format: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(bombs()[format])
    read(SOURCES["PNG"])  # imports are not what is measured
    tracemalloc.start()
    start = time.perf_counter()
    try:
        error = refused(path, "beyond the limit of 200 megapixels")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 1
    assert peak < 2_000_000
    assert re.search(r"(30,000 x 30,000|16,383 x 16,383) pixels", error.why)


def test_the_limit_is_the_callers(recwarn: pytest.WarningsRecorder) -> None:
    refused(SOURCES["JPEG"], "beyond the limit", pixel_limit=200 * 160 - 1)
    assert read(SOURCES["JPEG"], pixel_limit=200 * 160).width == 160
    # Beyond the number at which Pillow by itself refuses, and back.
    before = Image.MAX_IMAGE_PIXELS
    blank = saved(Image.new("1", (20_000, 9_500)), "TIFF", compression="group4")
    assert read(blank).pixels.shape == (9_500, 20_000)
    assert before == Image.MAX_IMAGE_PIXELS
    refused(blank, "beyond the limit", pixel_limit=100_000_000)
    assert not recwarn.list


def test_pillows_own_limit_is_back_after_many_threads() -> None:
    before = Image.MAX_IMAGE_PIXELS
    threads = [threading.Thread(target=lambda: [read(data) for data in SOURCES.values()]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert before == Image.MAX_IMAGE_PIXELS is not None


@pytest.mark.parametrize("kind", list(SOURCES))
@pytest.mark.parametrize("part", [0.08, 0.5, 0.9])
def test_a_truncated_file_says_how_much_there_is(kind: str, part: float, tmp_path: Path) -> None:
    path = tmp_path / "grandma.jpg"
    whole = SOURCES[kind]
    path.write_bytes(whole[: int(len(whole) * part)])
    error = refused(path, f"it ends after {int(len(whole) * part):,} bytes")
    assert "truncated" in error.why and "copy it again" in error.what_to_do
    share = re.search(r"with about (\d+)% of the picture", error.why)
    if share and "progressive" not in kind:
        assert abs(int(share[1]) / 100 - part) < 0.15


@pytest.mark.parametrize("kind", ["JPEG", "JPEG progressive", "PNG", "PNG 16", "PNG 16 grey", "TIFF raw", "BMP", "GIF"])
def test_salvage_reads_the_part_that_is_there(kind: str) -> None:
    data = SOURCES[kind]
    truth = read(data)
    photo = read(data[: int(len(data) * 0.6)], salvage=True)
    assert photo.pixels.shape == truth.pixels.shape and photo.pixels.dtype == truth.pixels.dtype
    scale = 257 if photo.pixels.dtype == np.uint16 else 1
    rows = 60
    part = (slice(-rows, None) if kind == "BMP" else slice(0, rows), slice(None))
    error = np.abs(photo.pixels[part].astype(float) - truth.pixels[part]).mean() / scale
    assert error < (12 if "progressive" in kind else 0.01)
    assert any("ends early" in note for note in photo.origin.notes)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_salvage_of_what_is_all_or_nothing_is_still_refused(kind: str) -> None:
    refused(SOURCES[kind][: len(SOURCES[kind]) // 2], "truncated", salvage=True)


def test_salvage_changes_nothing_on_a_sound_file() -> None:
    for data in SOURCES.values():
        assert_array_equal(read(data, salvage=True).pixels, read(data).pixels)
        assert read(data, salvage=True).origin.notes == read(data).origin.notes


def test_a_damaged_png_is_mended_as_far_as_it_goes() -> None:
    data = bytearray(SOURCES["PNG"])
    at = len(data) * 2 // 3
    data[at : at + 40] = b"\xff" * 40
    refused(bytes(data), "cannot read")
    photo = read(bytes(data), salvage=True)
    assert_array_equal(photo.pixels[:80], scene(200, 160)[:80])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_hostile_bytes_are_refused_in_a_sentence_or_read(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(SOURCES)))
    file = bytearray(SOURCES[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        # Headers are where parsers trip.
        at = data.draw(st.one_of(st.integers(0, min(300, len(file) - 1)), st.integers(0, len(file) - 1)))
        file[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del file[data.draw(st.integers(1, len(file))) :]
    try:
        photo = read(bytes(file), pixel_limit=4_000_000, salvage=data.draw(st.booleans()))
    except InputError:
        return
    encode(photo, format="png")


def test_a_stream_that_is_no_photo_is_not_read_to_its_end() -> None:
    class Endless(io.RawIOBase):
        served = 0

        def read(self, size: int = -1, /) -> bytes:
            assert size >= 0, "asked for everything"
            self.served += size
            return b"y\n" * (size // 2)

    endless = Endless()
    refused(endless, "a text file")
    assert endless.served < 1000


def test_streams_and_bytes_give_the_same_photo(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(SOURCES["JPEG"])

    class Pipe(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.inner = io.BytesIO(data)

        def read(self, size: int = -1, /) -> bytes:
            return self.inner.read(size)

        def seekable(self) -> bool:
            return False

    by_path = read(path)
    assert by_path.origin.path == path
    for source in (str(path), SOURCES["JPEG"], io.BytesIO(SOURCES["JPEG"]), Pipe(SOURCES["JPEG"])):
        assert_array_equal(read(source).pixels, by_path.pixels)  # type: ignore[arg-type]
    out = io.BytesIO()
    write(by_path, out)
    assert out.getvalue() == encode(by_path, format="jpeg")


def test_the_content_counts_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(SOURCES["PNG"])
    photo = read(path)
    assert photo.origin.format == "PNG"
    assert default_suffix(photo.origin) == ".png"


def test_suffixes() -> None:
    def suffix(format: str, name: str | None = None) -> str:
        return default_suffix(Origin(format=format, path=Path(name) if name else None))

    assert suffix("JPEG", "a.JPEG") == ".JPEG" and suffix("JPEG", "a.mpo") == ".jpg" and suffix("JPEG") == ".jpg"
    assert suffix("TIFF", "a.tiff") == ".tiff" and suffix("TIFF") == ".tif"
    assert suffix("GIF", "a.gif") == ".png" and suffix("BMP", "a.bmp") == ".png"
    assert suffix("HEIF", "a.heif") == ".heif"
    assert set(READABLE.values()) == {"JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "GIF", "HEIF"}


def test_unknown_and_unfit_targets(tmp_path: Path) -> None:
    photo = Photo(scene(), None, Origin())
    with pytest.raises(UsageError, match=r"\.xyz"):
        write(photo, tmp_path / "a.xyz")
    with pytest.raises(UsageError, match="256 colours"):
        write(photo, tmp_path / "a.gif")
    wide = Photo(np.zeros((2, 20_000, 3), np.uint8), None, Origin())
    with pytest.raises(OutputError, match="16,383"):
        encode(wide, format="webp")
    assert list(tmp_path.iterdir()) == []
    for pixels in (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4), np.float32), np.zeros((0, 4), np.uint8)):
        with pytest.raises(ValueError, match="pixels must be"):
            encode(Photo(pixels, None, Origin()), format="png")


def test_transparency_is_never_flattened() -> None:
    photo = Photo(scene(), scene(channels=1), Origin())
    for format in ("jpg", "bmp"):
        with pytest.raises(UsageError, match="transparen"):
            encode(photo, format=format)
    opaque = Photo(scene(), np.full((24, 36), 255, np.uint8), Origin())
    assert read(encode(opaque, format="jpg")).alpha is None


def test_heif_without_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    head = struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(200)
    error = refused(head, "optional part")
    assert error.what_to_do == 'pip install "facewright[heif]"'


def test_heif_with_its_extra() -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    pillow_heif.register_heif_opener()
    truth = scene(64, 96)
    stored = Image.fromarray(truth).transpose(Image.Transpose.ROTATE_90)
    photo = read(saved(stored, "HEIF", quality=95, exif=b"Exif\0\0" + exif_block(6)))
    assert photo.pixels.shape == truth.shape and np.abs(photo.pixels.astype(int) - truth).mean() < 4
    again = read(encode(photo, format="heic"))
    assert again.pixels.shape == truth.shape and again.origin.orientation == 1
    assert again.origin.exif is not None and b"Attic Cameras" in again.origin.exif
