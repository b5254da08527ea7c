"""The folder of a clip that is being written: closed segments that play, each with a note of what it holds.

    .NAME.facewright-part/
        job.json            what is made from what: another source or other settings begin anew
        00000.mp4           some seconds of pictures, no sound, times from 0
        00000.json          its times in the clip, how many bytes, how its codec orders pictures
        00001.mp4 ...

A segment counts when its note is there and its size is the noted one. Notes are written last, atomically, so that a process that is killed
or a disk that fills up costs the segment at hand and no other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from facewright.errors import InputError, OutputError
from facewright.media.atomic import write_atomically

_VERSION = 1
_HEAD = 1 << 20


@dataclass(frozen=True)
class Segment:
    """first: index of its first frame in the clip. times: pts of its frames in the order of showing. size: bytes of the file.

    delay: by how many places a frame at most stands later in the file than in the order of showing; 0 without B-frames.
    """

    path: Path
    first: int
    times: tuple[int, ...]
    size: int
    delay: int


def part_folder(target: Path | str) -> Path:
    """Where the segments of a clip lie until it is whole: beside it."""
    place = Path(os.path.realpath(target))
    return place.parent / f".{place.name}.facewright-part"


def finished_frames(folder: Path | str) -> int:
    """How many frames, from the first on, are safe in a part folder: where to go on. 0 where there is no such folder."""
    return sum(len(segment.times) for segment in finished(Path(folder)))


def finished(folder: Path) -> list[Segment]:
    """The segments that count, in order, up to the first that is missing or not as noted."""
    found: list[Segment] = []
    while True:
        film, note = _paths(folder, len(found))
        try:
            held = json.loads(note.read_text("utf-8"))
            segment = Segment(film, int(held["first"]), tuple(int(pts) for pts in held["times"]), int(held["size"]), int(held["delay"]))
            if film.stat().st_size != segment.size or segment.first != sum(len(each.times) for each in found):
                return found
        except (OSError, ValueError, KeyError, TypeError):
            return found
        found.append(segment)


def opened_film(folder: Path, number: int) -> BinaryIO:
    """An empty file for segment ``number``, which does not count before ``keep``."""
    return _part(folder, number).open("wb")


def keep(folder: Path, number: int, first: int, times: list[int], delay: int) -> Segment:
    """Make the written segment count. Raises OSError, OutputError."""
    film, note = _paths(folder, number)
    os.replace(_part(folder, number), film)
    segment = Segment(film, first, tuple(times), film.stat().st_size, delay)
    held = {**asdict(segment), "path": film.name}
    write_atomically(note, json.dumps(held).encode())
    return segment


def remove_rest(folder: Path, number: int) -> None:
    """Remove what a stopped run left from segment ``number`` on."""
    for path in folder.iterdir():
        stem = path.name.split(".")[0]
        if (stem.isdigit() and int(stem) >= number) or path.suffix == ".part":
            with contextlib.suppress(OSError):
                path.unlink()


def clear(folder: Path) -> None:
    """Remove all that it holds."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def locked(folder: Path) -> Callable[[], None]:
    """Keep other runs out of a part folder until the returned function is called, or this process ends. Raises OutputError."""
    from filelock import FileLock, Timeout

    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(f"cannot write into {folder}", "another run is at work there", "wait for it, or choose another name") from None

    def release() -> None:
        lock.release()

    return release


def source_print(path: Path) -> dict[str, Any]:
    """What a source is known by: size, time of change, and a sum over its first mebibyte. Raises InputError where it is gone."""
    try:
        held = path.stat()
        with path.open("rb") as stream:
            head = hashlib.sha256(stream.read(_HEAD)).hexdigest()
    except OSError as fault:
        raise InputError(f"cannot read {path}", fault.strerror or str(fault), "check that it is still there") from fault
    return {"size": held.st_size, "changed": held.st_mtime_ns, "head": head}


def write_job(folder: Path, job: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    write_atomically(folder / "job.json", json.dumps({"version": _VERSION, **job}, indent=1).encode())


def changed(folder: Path, job: dict[str, Any]) -> str:
    """Why the folder cannot be gone on with, as half a sentence; "" where it can."""
    try:
        held = json.loads((folder / "job.json").read_text("utf-8"))
    except (OSError, ValueError):
        return "what was left of an earlier run cannot be read"
    wanted = json.loads(json.dumps({"version": _VERSION, **job}))
    if held.get("source") != wanted["source"]:
        return "the source has changed since"
    return "" if held == wanted else "the settings are others than before"


def _part(folder: Path, number: int) -> Path:
    return _paths(folder, number)[0].with_suffix(".part")


def _paths(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"{number:05d}.mp4", folder / f"{number:05d}.json"
