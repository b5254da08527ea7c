"""Clips are read in the order of showing, upright, in their true colours, and hold what they say."""

from __future__ import annotations

import itertools
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_samples import av, make, number_of, picture

from facewright.media.clips import ClipReader, is_clip


@pytest.mark.parametrize("suffix", ["mp4", "m4v", "mov", "mkv", "webm", "avi", "ts"])
def test_frames_come_in_the_order_of_showing(tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path / f"clip.{suffix}", 24, sound=0 if suffix == "m4v" else 1)
    if suffix != "webm":
        with av.open(str(path)) as container:
            order = [packet.pts for packet in container.demux(video=0) if packet.size]
        assert order != sorted(order) or suffix == "avi"  # there are B-frames, else the test says nothing
    with ClipReader(path) as reader:
        info = reader.info
        frames = list(reader)
        assert [number_of(frame.pixels) for frame in frames] == list(range(24))
        assert [frame.index for frame in frames] == list(range(24))
        times = [float((frame.pts - info.start) * info.time_base) for frame in frames]
        assert times == pytest.approx([index / 12 for index in range(24)], abs=6e-4)
        assert (info.width, info.height, info.rate, info.variable) == (96, 64, 12, False)
        assert info.frames == (24 if suffix in ("mp4", "m4v", "mov", "avi") else None)
        assert info.duration == pytest.approx(2.0, abs=0.05) and info.size == path.stat().st_size
        assert info.container == {"m4v": "mp4"}.get(suffix, suffix)
        assert info.has_audio == (suffix != "m4v")
        assert reader.complaints == []


def test_frames_can_begin_anywhere_and_again(tmp_path: Path) -> None:
    with ClipReader(make(tmp_path / "clip.mp4", 24)) as reader:
        late = list(reader.frames(20))
        assert [(frame.index, number_of(frame.pixels)) for frame in late] == [(index, index) for index in range(20, 24)]
        assert [frame.pts for frame in reader.seek(22)] == [frame.pts for frame in late[2:]]
        assert list(reader.frames(24)) == [] and len(list(reader)) == 24
        half = list(itertools.islice(reader, 3))
        assert [frame.index for frame in half] == [0, 1, 2]


def test_a_closed_reader_gives_nothing_more(tmp_path: Path) -> None:
    with ClipReader(make(tmp_path / "clip.mp4", 24)) as reader:
        frames = iter(reader)
        assert next(frames).index == 0
    assert list(frames) == [] and list(reader.frames(3)) == []


def test_only_what_is_asked_for_is_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from facewright.media.clips import colour

    made = []
    real = colour.Converter.to_rgb
    monkeypatch.setattr(colour.Converter, "to_rgb", lambda self, frame: (made.append(1), real(self, frame))[1])
    with ClipReader(make(tmp_path / "clip.mp4", 24)) as reader:
        list(reader.frames(22))
    assert len(made) == 2


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    def most(frames: int) -> int:
        with ClipReader(make(tmp_path / f"{frames}.mp4", frames, size=(160, 120), sound=0)) as reader:
            tracemalloc.start()
            for _ in reader:
                pass
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return peak

    most(4)
    assert most(48) < most(8) + 3 * 160 * 120  # one more picture at most, not 40


@pytest.mark.parametrize("degrees, hflip, turned", [
    (90, False, lambda p: np.rot90(p)),
    (-90, False, lambda p: np.rot90(p, -1)),
    (180, False, lambda p: np.rot90(p, 2)),
    (0, True, lambda p: p[:, ::-1]),
    (90, True, lambda p: np.rot90(p)[:, ::-1]),
])  # fmt: skip
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_rotation_tag_is_applied(tmp_path: Path, suffix: str, degrees: int, hflip: bool, turned: Any) -> None:
    """``degrees`` counter-clockwise, as FFmpeg's own players turn it; against numpy's turning of the stored picture."""
    path = make(tmp_path / f"clip.{suffix}", 3, turn={"degrees": degrees, "hflip": hflip}, sound=0)
    with ClipReader(path) as reader:
        frames = list(reader)
        wanted = turned(picture(2))
        assert (reader.info.height, reader.info.width) == wanted.shape[:2]
        assert reader.info.rotation == degrees % 360 and reader.info.mirrored == hflip
        assert np.abs(frames[2].pixels.astype(int) - wanted).mean() < 3
        assert frames[2].pixels.flags.c_contiguous


BT709 = {"primaries": 1, "transfer": 1, "matrix": 1, "range": 1}
BT601 = {"primaries": 6, "transfer": 6, "matrix": 6, "range": 1}
FULL = {"primaries": 1, "transfer": 13, "matrix": 1, "range": 2}
BT2020 = {"primaries": 9, "transfer": 14, "matrix": 9, "range": 1}
UNTOLD = {"primaries": 2, "transfer": 2, "matrix": 2, "range": 0}


@pytest.mark.parametrize("colour", [BT709, BT601, FULL, BT2020, UNTOLD], ids=["709", "601", "full", "2020", "untold"])
def test_colours_are_read_by_their_tags(tmp_path: Path, colour: dict[str, int]) -> None:
    """Plain fields of strong colour, stored 4:4:4 by the formulas of the standards: red by a wrong matrix is off by 20 and more."""
    fields = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [200, 120, 40]], np.uint8)
    pixels = np.repeat(np.repeat(fields[None], 64, 0), 16, 1)
    path = make(tmp_path / "clip.mp4", 2, colour=colour, pixel_format="yuv444p", pictures=[pixels] * 2, options={"crf": "1"}, sound=0)
    stored = luma_of(path)
    red, green, blue = {1: (0.2126, 0.7152, 0.0722), 9: (0.2627, 0.6780, 0.0593)}.get(colour["matrix"], (0.299, 0.587, 0.114))
    bright = fields.astype(float) @ [red, green, blue]
    wanted = bright if colour["range"] == 2 else 16 + bright * 219 / 255
    assert np.abs(stored - wanted).max() <= 1.5  # the sample is what it says it is
    with ClipReader(path) as reader:
        assert reader.info.colour == colour
        shown = next(iter(reader)).pixels[32, 8::16].astype(int)
        assert np.abs(shown - fields).max() <= 4


def luma_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        plane = np.frombuffer(frame.planes[0], np.uint8).reshape(frame.height, -1)[32, 8:96:16]
        return plane.astype(float)


def test_a_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    times = [0, 900, 1000, 4700, 4701, 9000, 9900, 14000, 20000, 20500]
    for suffix, tolerance in (("mp4", 0), ("mov", 0), ("mkv", Fraction(1, 1000))):
        path = make(tmp_path / f"clip.{suffix}", times=times, time_base=Fraction(1, 12800), sound=0)
        with ClipReader(path) as reader:
            frames = list(reader)
            assert reader.info.variable
            assert [number_of(frame.pixels) for frame in frames] == list(range(10))
            assert all(
                abs(frame.pts * reader.info.time_base - Fraction(t, 12800)) <= tolerance for frame, t in zip(frames, times, strict=True)
            )
            assert all(late.pts > early.pts for early, late in itertools.pairwise(frames))


def test_ten_bits_are_read_as_eight_and_told(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mkv", 3, pixel_format="yuv420p10le", sound=0)
    with ClipReader(path) as reader:
        assert reader.info.bits == 10 and "10 bits" in reader.complaints[0]
        frame = list(reader)[2]
        assert frame.pixels.dtype == np.uint8 and np.abs(frame.pixels.astype(int) - picture(2)).mean() < 3


def test_interlacing_and_hdr_are_told(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", 4, options={"x264-params": "tff=1", "crf": "8"}, sound=0)
    with ClipReader(path) as reader:
        assert reader.info.interlaced and "interlaced" in reader.complaints[0]
    with ClipReader(make(tmp_path / "hdr.mkv", 2, colour={**BT2020, "transfer": 16}, pixel_format="yuv420p10le", sound=0)) as reader:
        assert any("HDR" in complaint for complaint in reader.complaints)


def test_odd_sizes_and_pixel_aspect(tmp_path: Path) -> None:
    path = make(tmp_path / "clip.mp4", 3, size=(101, 75), pixel_format="yuv444p", aspect=Fraction(16, 15), turn={"degrees": 90}, sound=0)
    with ClipReader(path) as reader:
        assert (reader.info.width, reader.info.height) == (75, 101) and reader.info.pixel_aspect == Fraction(15, 16)
        assert list(reader)[1].pixels.shape == (101, 75, 3)


def test_what_is_a_clip(tmp_path: Path) -> None:
    named = ["a.mp4", "a.MOV", "a.m4v", "a.mkv", "a.webm", "a.AVI"]
    assert all(is_clip(name) for name in named) and all(is_clip(Path(name)) for name in named)
    assert not any(is_clip(name) for name in ("a.gif", "a.jpg", "a.heic", "a", "a.txt", "a.m4a"))
    for suffix in ("mp4", "mkv", "webm", "avi", "ts"):
        bare = make(tmp_path / f"clip.{suffix}", 2, sound=0).rename(tmp_path / f"bare-{suffix}")
        assert is_clip(bare) and is_clip(str(bare))
    gif = bytes.fromhex("474946383961") + bytes(200)
    (tmp_path / "moving").write_bytes(gif)
    (tmp_path / "moving.gif").write_bytes((tmp_path / "bare-mp4").read_bytes())
    (tmp_path / "notes").write_text("ftyp moov mdat")
    (tmp_path / "photo").write_bytes(b"\0\0\0\x1cftypavif" + bytes(40))
    (tmp_path / "song").write_bytes(b"\0\0\0\x1cftypM4A " + bytes(40))
    assert not any(is_clip(tmp_path / name) for name in ("moving", "moving.gif", "notes", "photo", "song", "gone", "."))


def test_importing_costs_neither_torch_nor_pyav() -> None:
    import subprocess
    import sys

    code = "import sys, facewright.media.clips; sys.exit('torch' in sys.modules or 'av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(entry for entry in sys.path if entry)}).returncode == 0
