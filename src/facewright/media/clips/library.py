"""PyAV, the optional part that reads and writes clips: imported where it is needed, its errors said in our words."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from facewright.errors import InputError, missing_extra
from facewright.media import formats
from facewright.media.clips import kinds

if TYPE_CHECKING:
    from av.container import InputContainer

COPY_AGAIN = "copy it again from the source"


def pyav() -> ModuleType:
    """The module ``av``. Raises UsageError naming the extra where it is not installed."""
    try:
        import av
    except ImportError as fault:
        raise missing_extra("clips", "video") from fault
    return av


def opened(path: Path, pixel_limit: int | None = None) -> tuple[InputContainer, str]:
    """An open clip and its container's name. Raises InputError: missing, a folder, empty, not a clip, unreadable.

    pixel_limit: width times height beyond which FFmpeg, that decodes a little to learn what a file is, is to decode nothing.

    Only the reader that the first bytes call for gets to see the file: some of FFmpeg's formats are lists of other files and
    addresses, and a clip that was sent by a stranger must not make this machine open those.
    """
    av = pyav()
    what = f"cannot read {path}"
    try:
        if path.is_dir():
            raise InputError(what, "it is a folder", "name a clip in it")
        with path.open("rb") as stream:
            head = stream.read(kinds.HEAD)
    except FileNotFoundError as fault:
        raise InputError(what, "there is no such file", "check the name") from fault
    except PermissionError as fault:
        raise InputError(what, "you may not read it", "change its permissions, or copy it to a place of yours") from fault
    except (OSError, ValueError) as fault:
        raise InputError(what, getattr(fault, "strerror", None) or str(fault), COPY_AGAIN) from fault
    container = kinds.recognise(head)
    if container is None:
        raise InputError(what, f"it is {_described(head)}" if head else "it is empty", "give an MP4, MOV, MKV, WebM or AVI file")
    try:
        # "file:" keeps FFmpeg from reading a name like "http:..." or "concat:..." as an address.
        opened = av.open(
            f"file:{os.fspath(path)}", "r", format=kinds.DEMUXERS[container], options=within(pixel_limit), metadata_errors="replace"
        )
    except av.FFmpegError as fault:
        raise InputError(what, _unreadable(path, container, fault), COPY_AGAIN) from fault
    return opened, container


def within(pixel_limit: int | None) -> dict[str, str]:
    """FFmpeg's option that makes a decoder refuse much larger pictures. Room is left for its padding; who is exact is ``probing``."""
    return {} if pixel_limit is None else {"max_pixels": str(pixel_limit + pixel_limit // 8 + 1_000_000)}


def said(fault: BaseException) -> str:
    """FFmpeg's own words for what went wrong, on one line."""
    return " ".join(str(getattr(fault, "strerror", None) or fault).split())[:120]


def _described(head: bytes) -> str:
    if formats.recognise(head) is not None:
        return "a photo, not a clip"
    return formats.describe(head).replace("picture", "clip")


def _unreadable(path: Path, container: str, fault: Exception) -> str:
    if container in ("mp4", "mov") and not _has_index(path):
        return f"it ends after {path.stat().st_size:,} bytes, before the index that an {container.upper()} file needs (truncated)"
    if isinstance(fault, EOFError):
        return f"it ends after {path.stat().st_size:,} bytes, before any picture (truncated {container.upper()})"
    return f"it is damaged, or of a kind that is not known ({container.upper()}: {said(fault)})"


def _has_index(path: Path) -> bool:
    """Whether a whole "moov" box lies in an MP4 or MOV file, by walking over its boxes."""
    end = path.stat().st_size
    with path.open("rb") as stream:
        at = 0
        while at + 8 <= end:
            stream.seek(at)
            head = stream.read(16)
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:16], "big") if size == 1 else size or end - at
            if size < 8:
                return False
            if head[4:8] == b"moov":
                return at + size <= end
            at += size
    return False
