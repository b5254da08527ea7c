"""Which clips are read and written, and by what they are recognised."""

from __future__ import annotations

from pathlib import Path

from facewright.errors import UsageError
from facewright.media import formats

SUFFIXES: dict[str, str] = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "mkv",
    ".webm": "webm",
    ".avi": "avi",
}
"""Suffix (lower case) to the container that is written under it."""

DEMUXERS = {"mp4": "mov", "mov": "mov", "mkv": "matroska", "webm": "matroska", "avi": "avi", "ts": "mpegts"}
"""Container to the one reader of FFmpeg that gets to see the file."""

MUXERS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm", "avi": "avi"}

HEAD = 1024
"""How many bytes ``recognise`` wants."""

_TS_PACKET = 188
_SOUND_BRANDS = {b"M4A ", b"M4B ", b"M4P "}


def is_clip(path: Path | str) -> bool:
    """Whether a file is taken for a clip: by its suffix (.mp4 .m4v .mov .mkv .webm .avi), or else by its first bytes.

    A suffix of a photo (.gif, .heic, ...) makes it none, whatever it holds. What cannot be read is no clip by content.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return True
    if suffix in formats.READABLE or not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return recognise(stream.read(HEAD)) is not None
    except OSError:
        return False


def recognise(head: bytes) -> str | None:
    """The container of a file by its first HEAD bytes, or None."""
    if head[:4] == b"\x1aE\xdf\xa3":
        return "webm" if b"webm" in head[:64] else "mkv"
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVIX"):
        return "avi"
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return "mov"
    if head[4:8] == b"ftyp" and formats.recognise(head) is None and head[8:12] not in _SOUND_BRANDS:
        return "mov" if head[8:12] == b"qt  " else "mp4"
    if len(head) > 3 * _TS_PACKET and all(head[at] == 0x47 for at in range(0, 4 * _TS_PACKET, _TS_PACKET)):
        return "ts"
    return None


def container_named(target: Path) -> str:
    """The container for a file name. Raises UsageError where clips of that suffix cannot be written."""
    container = SUFFIXES.get(target.suffix.lower())
    if container is None:
        raise UsageError(f"cannot write a clip as {target.name}", "the suffix is none of a clip's", f"use one of {', '.join(SUFFIXES)}")
    return container
