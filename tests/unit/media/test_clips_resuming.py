"""A kill, a full disk or an exception loses one segment at most; what is there plays, and the next call goes on."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from clip_samples import av, film_times, make, number_of, packets

from facewright.errors import OutputError
from facewright.media.clips import ClipReader, ClipWriter, encoding, finished_frames, joining, part_folder, segments

FRAMES = 23
TIMES = [index * 1000 + (index * index) % 7 * 90 for index in range(FRAMES)]
SETTINGS: dict[str, Any] = {"preset": "ultrafast", "segment_frames": 5}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a variable rate, with B-frames and sound."""
    return make(tmp_path_factory.mktemp("clips") / "clip.mp4", times=TIMES, time_base=Fraction(1, 12800))


@pytest.fixture
def source(sample: Path, tmp_path: Path) -> Path:
    (tmp_path / "clip.mp4").write_bytes(sample.read_bytes())
    return tmp_path / "clip.mp4"


def write(source: Path, target: Path, until: int = FRAMES, **settings: Any) -> ClipWriter:
    """Copy a clip, going on where an earlier run stopped; stop by an exception before frame ``until``."""
    with ClipReader(source) as reader, ClipWriter(target, reader.info, **{**SETTINGS, **settings}) as writer:
        for frame in reader.frames(writer.finished):
            if frame.index == until:
                raise KeyboardInterrupt
            writer.write(frame.pixels, frame.pts)
    return writer


def check_whole(source: Path, target: Path) -> None:
    assert film_times(target) == film_times(source) == [Fraction(pts, 12800) for pts in TIMES]
    with ClipReader(target) as reader:
        assert [number_of(frame.pixels) for frame in reader] == list(range(FRAMES))
        assert reader.complaints == []
    assert packets(target, "audio") == packets(source, "audio")
    assert not part_folder(target).exists()


def check_plays(folder: Path, frames: int) -> None:
    films = sorted(path for path in folder.iterdir() if path.suffix == ".mp4")
    shown = []
    for film in films:
        with av.open(str(film)) as container:
            pictures = list(container.decode(video=0))
        assert pictures[0].pts == 0
        shown += [number_of(picture.to_ndarray(format="rgb24")) for picture in pictures]
    assert shown == list(range(frames)) and finished_frames(folder) == frames


def test_an_exception_keeps_even_the_open_segment(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.mp4"
    assert finished_frames(part_folder(target)) == 0
    with pytest.raises(KeyboardInterrupt):
        write(source, target, until=12)
    assert not target.exists()
    check_plays(part_folder(target), 12)
    with pytest.raises(KeyboardInterrupt):
        write(source, target, until=14)
    check_plays(part_folder(target), 14)
    writer = write(source, target)
    assert writer.notes == ["goes on after the 14 frames of an earlier run"]
    check_whole(source, target)


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_a_killed_process_loses_one_segment_at_most(source: Path, tmp_path: Path) -> None:
    target, told = tmp_path / "copy.mkv", tmp_path / "told"
    code = (
        "import sys, time; from pathlib import Path; from facewright.media.clips import ClipReader, ClipWriter\n"
        "source, target, told = map(Path, sys.argv[1:])\n"
        "with ClipReader(source) as reader, ClipWriter(target, reader.info, preset='ultrafast', segment_frames=5) as writer:\n"
        "    for frame in reader:\n"
        "        writer.write(frame.pixels, frame.pts); told.write_text(str(frame.index + 1))\n"
        "        time.sleep(600 if frame.index == 17 else 0)\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen([sys.executable, "-c", code, str(source), str(target), str(told)], env={**os.environ, "PYTHONPATH": path})
    try:
        until = time.monotonic() + 100
        while not (told.exists() and told.read_text() == "18") and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert told.read_text() == "18" and not target.exists()
    folder = part_folder(target)
    assert [path.name for path in folder.iterdir() if path.suffix == ".part"] == ["00003.part"]  # what is lost
    check_plays(folder, 15)
    with ClipReader(source) as reader, ClipWriter(target, reader.info, **SETTINGS) as writer:
        assert writer.finished == 15 and not list(folder.glob("*.part"))
        for frame in reader.frames(15):
            writer.write(frame.pixels, frame.pts)
    with ClipReader(target) as result:
        assert [number_of(frame.pixels) for frame in result] == list(range(FRAMES))
    assert [entry[4] for entry in packets(target, "audio")[0]] == [entry[4] for entry in packets(source, "audio")[0]]


def test_a_disk_that_fills_up_in_a_segment(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "copy.mp4"
    real = segments.opened_film
    with monkeypatch.context() as patch:
        patch.setattr(
            segments, "opened_film", lambda folder, number: Filling(real(folder, number)) if number == 2 else real(folder, number)
        )
        with pytest.raises(OutputError, match=r"disk is full.*after 10 frames") as caught:
            write(source, target)
    assert caught.value.exit_code == 5 and "\n" not in str(caught.value)
    assert "run it again" in caught.value.what_to_do and "after frame 10" in caught.value.what_to_do
    check_plays(part_folder(target), 10)
    assert not list(part_folder(target).glob("*.part"))  # half a segment would only take the room that is wanted
    assert write(source, target).notes == ["goes on after the 10 frames of an earlier run"]
    check_whole(source, target)


def test_a_disk_that_fills_up_while_joining(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "copy.mp4"
    target.write_bytes(b"an older one")
    real = joining.join
    with monkeypatch.context() as patch:
        patch.setattr(joining, "join", lambda file, *rest: real(Filling(file), *rest))
        with pytest.raises(OutputError, match=r"disk is full.*after 23 frames") as caught:
            write(source, target)
    assert "only joining is left" in caught.value.what_to_do
    assert target.read_bytes() == b"an older one" and not list(part_folder(target).glob("*.part"))
    check_plays(part_folder(target), FRAMES)
    with monkeypatch.context() as patch:
        patch.setattr(encoding.Encoder, "write", None)  # nothing is to be encoded again
        write(source, target)
    check_whole(source, target)


class Filling:
    """A file on a disk that has room for 2,000 bytes more."""

    def __init__(self, file: Any) -> None:
        self._file, self._room = file, 2_000

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, data: bytes) -> int:
        self._room -= len(data)
        if self._room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self._file.write(data))


@pytest.mark.skipif(os.name != "posix", reason="limits as on POSIX")
def test_a_limit_of_the_system(source: Path, tmp_path: Path) -> None:
    """The real thing: no file of this process may grow beyond some kilobytes."""
    import resource

    target = tmp_path / "copy.mp4"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, hard))
        with pytest.raises(OutputError, match=r"may not grow further, after 0 frames"):
            write(source, target, crf=0, segment_frames=100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    write(source, target)
    check_whole(source, target)


@pytest.mark.parametrize("change", ["grown", "touched", "other head", "settings", "job", "version", "unreadable", "not wanted"])
def test_what_does_not_fit_begins_anew_and_says_so(source: Path, tmp_path: Path, change: str) -> None:
    target, settings = tmp_path / "copy.mp4", {}
    with pytest.raises(KeyboardInterrupt):
        write(source, target, until=12, job="gfpgan-mini, 0.5")
    held = source.stat()
    job = part_folder(target) / "job.json"
    if change == "grown":
        source.write_bytes(source.read_bytes() + b"\0\0\0\x08free")
    elif change == "touched":
        os.utime(source, ns=(held.st_atime_ns, held.st_mtime_ns + 1))
    elif change == "other head":
        data = bytearray(source.read_bytes())
        data[data.index(b"isom") + 7] ^= 1  # the same size and, below, the same time
        source.write_bytes(data)
        os.utime(source, ns=(held.st_atime_ns, held.st_mtime_ns))
    elif change == "settings":
        settings["crf"] = 20
    elif change == "version":
        job.write_text(json.dumps({**json.loads(job.read_text()), "version": 0}))
    elif change == "unreadable":
        job.write_text("{")
    elif change == "not wanted":
        settings["resume"] = False
    settings["job"] = "gfpgan-mini, 0.6" if change == "job" else "gfpgan-mini, 0.5"
    with ClipReader(source) as reader, pytest.raises(KeyboardInterrupt), ClipWriter(target, reader.info, **SETTINGS, **settings) as writer:
        assert writer.finished == 0 == finished_frames(part_folder(target))
        wanted = {
            "grown": "the source",
            "touched": "the source",
            "other head": "the source",
            "unreadable": "read",
            "not wanted": "asked for",
        }
        assert len(writer.notes) == 1 and writer.notes[0].startswith("begins anew: ")
        assert wanted.get(change, "settings") in writer.notes[0]
        raise KeyboardInterrupt


@pytest.mark.parametrize("damage", ["note gone", "note cut", "film cut", "film gone"])
def test_only_whole_segments_count(source: Path, tmp_path: Path, damage: str) -> None:
    target = tmp_path / "copy.mp4"
    with pytest.raises(KeyboardInterrupt):
        write(source, target, until=20)
    folder = part_folder(target)
    film, note = folder / "00002.mp4", folder / "00002.json"
    if damage == "note gone":
        note.unlink()
    elif damage == "note cut":
        note.write_bytes(note.read_bytes()[:-9])
    elif damage == "film cut":
        film.write_bytes(film.read_bytes()[:-9])
    else:
        film.unlink()
    assert finished_frames(folder) == 10
    write(source, target)
    check_whole(source, target)


def test_a_damaged_segment_is_told(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.mp4"
    with pytest.raises(KeyboardInterrupt):
        write(source, target, until=12)
    film = part_folder(target) / "00001.mp4"
    film.write_bytes(bytes(film.stat().st_size))
    with pytest.raises(OutputError, match="not as it was written") as caught:
        write(source, target)
    assert "begin anew" in caught.value.what_to_do


def test_the_join_does_not_depend_on_the_segments(source: Path, tmp_path: Path) -> None:
    for length in (1, 7, 100):
        target = tmp_path / f"{length}.mp4"
        write(source, target, segment_frames=length)
        check_whole(source, target)


def test_two_runs_do_not_write_one_clip(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.mp4"
    with ClipReader(source) as reader:
        first = ClipWriter(target, reader.info)
        with pytest.raises(OutputError, match="another run"):
            ClipWriter(target, reader.info)
        first.stop()
        ClipWriter(target, reader.info).stop()
