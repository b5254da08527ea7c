"""What cannot be read says so in a sentence; what can be read in part is read, with a note."""

from __future__ import annotations

import inspect
import itertools
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_samples import av, make, number_of, picture

from facewright.errors import InputError, UsageError
from facewright.media.clips import ClipReader, ClipWriter


def refused(path: Path, match: str, **options: Any) -> InputError:
    with pytest.raises(InputError, match=match) as caught:
        ClipReader(path, **options)
    error = caught.value
    assert error.exit_code == 3 and error.what == f"cannot read {path}" and error.what_to_do
    assert "\n" not in f"{error}{error.what_to_do}"
    return error


def test_no_clip_at_all(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("Dear diary, today I renamed a text file.\n" * 50)
    (tmp_path / "empty.mkv").write_bytes(b"")
    (tmp_path / "noise.avi").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "moving.mp4").write_bytes(b"GIF89a" + bytes(500))
    (tmp_path / "film.mp4").mkdir()
    refused(tmp_path / "notes.mp4", "it is a text file, not a clip")
    refused(tmp_path / "empty.mkv", "it is empty")
    refused(tmp_path / "noise.avi", "not a clip of a known format")
    refused(tmp_path / "moving.mp4", "a photo, not a clip")
    refused(tmp_path / "film.mp4", "a folder")
    refused(tmp_path / "gone.mp4", "no such file")


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\nother.ts\n", "ffconcat version 1.0\nfile other.ts\n"])
def test_a_list_of_other_files_is_no_clip(tmp_path: Path, text: str) -> None:
    """FFmpeg would open what the list names, on this machine or on another."""
    make(tmp_path / "other.ts", 2, sound=0)
    (tmp_path / "list.mp4").write_text(text)
    refused(tmp_path / "list.mp4", "a text file")


def test_a_name_is_never_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "clip.mp4", 2, sound=0).rename(tmp_path / "concat:a.mp4")
    with ClipReader("concat:a.mp4") as reader:
        assert len(list(reader)) == 2
        with ClipWriter("data:b.mp4", reader.info) as writer:
            for frame in reader:
                writer.write(frame.pixels, frame.pts)
    assert (tmp_path / "data:b.mp4").stat().st_size


def test_no_pictures(tmp_path: Path) -> None:
    def song(path: Path, cover: bool) -> Path:
        with av.open(str(path), "w") as out:
            track = out.add_stream("aac", rate=48000, layout="mono")
            art = out.add_stream("mjpeg", rate=1, width=96, height=64, pix_fmt="yuvj420p") if cover else None
            if art is not None:
                art.disposition = 0x400
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48000, 0
            if art is not None:
                out.mux(art.encode(av.VideoFrame.from_ndarray(picture(0), format="rgb24")))
            out.mux(track.encode(frame))
            out.mux(track.encode())
        return path

    refused(song(tmp_path / "song.mp4", cover=False), "no video stream, only sound")
    refused(song(tmp_path / "cover.mp4", cover=True), "no video stream, only a cover")


def test_no_frames(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "none.mkv"), "w") as out:
        out.add_stream("libx264", rate=12, width=96, height=64)
        out.start_encoding()
    refused(tmp_path / "none.mkv", "before any picture")
    path = make(tmp_path / "clip.mkv", 3)
    with av.open(str(path)) as source, av.open(str(tmp_path / "sound.mkv"), "w") as out:
        streams = [out.add_stream_from_template(stream, opaque=True) for stream in source.streams]
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    refused(tmp_path / "sound.mkv", "not one picture")


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_beyond_the_limit(tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path / f"clip.{suffix}", 2, sound=0)
    refused(path, "beyond the limit", pixel_limit=96 * 64 - 1)
    with pytest.raises(InputError, match="beyond the limit"):  # FFmpeg itself must decode nothing then
        ClipReader(make(tmp_path / f"large.{suffix}", 1, size=(1040, 1000), sound=0), pixel_limit=10_000)
    for limit in (96 * 64, None):
        with ClipReader(path, pixel_limit=limit) as reader:
            assert len(list(reader)) == 2
    assert inspect.signature(ClipReader).parameters["pixel_limit"].default == 200_000_000


@pytest.mark.parametrize("share", [0.3, 0.95])
def test_an_mp4_without_its_index(tmp_path: Path, share: float) -> None:
    data = make(tmp_path / "clip.mp4", 24).read_bytes()
    (tmp_path / "clip.mp4").write_bytes(data[: int(share * len(data))])
    error = refused(tmp_path / "clip.mp4", r"ends after [\d,]+ bytes, before the index that an MP4 file needs")
    assert "copy it again" in error.what_to_do


@pytest.mark.parametrize("suffix", ["mkv", "webm", "ts", "avi", "mp4"])
def test_a_clip_that_is_cut_in_the_middle_gives_what_is_there(tmp_path: Path, suffix: str) -> None:
    options = {"movflags": "faststart"} if suffix == "mp4" else {}
    path = make(tmp_path / f"clip.{suffix}", 60, container_options=options)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with ClipReader(path) as reader:
        numbers = [number_of(frame.pixels) for frame in reader]
        assert 15 <= len(numbers) < 58
        assert numbers[:15] == list(range(15))
        if suffix != "ts":  # a stream has no length that it could fall short of
            assert any("ends early" in complaint for complaint in reader.complaints), reader.complaints
    if suffix != "ts":
        with ClipReader(path) as reader, ClipWriter(tmp_path / f"copy.{suffix}", reader.info) as writer:
            for frame in reader:
                writer.write(frame.pixels, frame.pts)
        with ClipReader(tmp_path / f"copy.{suffix}") as result:
            assert len(list(result)) == len(numbers) and not result.complaints


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
def test_damage_in_the_middle_is_read_over(tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path / f"clip.{suffix}", 60, sound=0, options={"g": "12", "crf": "8"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = np.random.default_rng(1).bytes(3000)
    path.write_bytes(data)
    with ClipReader(path) as reader:
        frames = list(reader)
        assert len(frames) >= 30 and number_of(frames[0].pixels) == 0 and number_of(frames[-1].pixels) == 59
        assert all(late.pts > early.pts for early, late in itertools.pairwise(frames))
        # FFmpeg's Matroska reader may skip broken blocks without a word, and the file does not say how many frames it has
        assert reader.complaints or suffix == "mkv"


def test_a_change_of_size_ends_the_reading(tmp_path: Path) -> None:
    small, large = make(tmp_path / "a.ts", 12, sound=0), make(tmp_path / "b.ts", 12, size=(128, 96), sound=0)
    (tmp_path / "both.ts").write_bytes(small.read_bytes() + large.read_bytes())
    with ClipReader(tmp_path / "both.ts") as reader:
        frames = []
        with pytest.raises(InputError, match=r"changes from 96 x 64 to 128 x 96 pixels after 12 frames \(") as caught:
            for frame in reader:
                frames.append(number_of(frame.pixels))
        assert frames == list(range(12)) and caught.value.what_to_do


def test_times_that_fall_or_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twice = make(tmp_path / "a.ts", 12, sound=0).read_bytes()
    (tmp_path / "twice.ts").write_bytes(twice + twice)
    with ClipReader(tmp_path / "twice.ts") as reader:
        frames = list(reader)
        assert [number_of(frame.pixels) for frame in frames] == list(range(12)) * 2
        assert all(late.pts > early.pts for early, late in itertools.pairwise(frames))
        assert any("does not rise" in complaint for complaint in reader.complaints)

    from facewright.media.clips import reader as module

    class Timeless:
        """A frame whose time is lost."""

        def __init__(self, frame: Any) -> None:
            self._frame, self.pts, self.dts = frame, None, None

        def __getattr__(self, name: str) -> Any:
            return getattr(self._frame, name)

    real = module._Clock.time_of
    monkeypatch.setattr(module._Clock, "time_of", lambda self, frame: real(self, Timeless(frame)))  # type: ignore[arg-type]
    with ClipReader(make(tmp_path / "clip.mp4", 12, sound=0)) as reader:
        times = [frame.pts * reader.info.time_base for frame in reader]
        assert times == [Fraction(index, 12) for index in range(12)]
        assert any("12 frames had no time" in complaint for complaint in reader.complaints)


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "clip.mp4", 2, sound=0)
    with ClipReader(path) as reader:
        info = reader.info
    monkeypatch.setitem(sys.modules, "av", None)
    for call in (lambda: ClipReader(path), lambda: ClipWriter(tmp_path / "copy.mp4", info)):
        with pytest.raises(UsageError, match="clips needs an optional part") as caught:
            call()
        assert "facewright[video]" in caught.value.what_to_do
