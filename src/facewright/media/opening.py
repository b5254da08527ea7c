"""An open photo: known by its first bytes, checked for size, handed to the one decoder that it calls for."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile

from facewright.errors import InputError
from facewright.media import formats, jpeg, tiff

COPY_AGAIN = "copy it again from the source"
_LARGE = 50_000_000
"""Pixels from which on Pillow's own limit might speak up while it decodes."""


@dataclass
class File:
    """An open photo. stream: seekable, from its very beginning."""

    stream: BinaryIO
    name: str
    path: Path | None
    format: str

    def data(self) -> bytes:
        self.stream.seek(0)
        return self.stream.read()

    def length(self) -> int:
        return self.stream.seek(0, io.SEEK_END)

    def error(self, why: str, what_to_do: str) -> InputError:
        return InputError(f"cannot read {self.name}", why, what_to_do)

    def damaged(self, fault: Exception) -> InputError:
        said = " ".join(str(fault).split())[:120] or type(fault).__name__
        return self.error(f"it is damaged, or of a kind that is not known ({formats.spoken(self.format)}: {said})", COPY_AGAIN)

    def truncated(self, share: float) -> InputError:
        part = f", with about {share:.0%} of the picture" if 0 < share < 1 else ""
        todo = f"{COPY_AGAIN}, or add --salvage to restore the part that is there" if share > 0 else COPY_AGAIN
        return self.error(f"it ends after {self.length():,} bytes{part} (truncated {formats.spoken(self.format)})", todo)


@contextlib.contextmanager
def opened(source: Path | str | BinaryIO | bytes) -> Iterator[File]:
    """The source as a seekable stream whose format is known. Raises InputError."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield _recognised(io.BytesIO(source), "the photo", None)
    elif isinstance(source, (str, Path)):
        path = Path(source)
        what = f"cannot read {path}"
        try:
            # A folder is asked for first: what opening one says differs between systems.
            if path.is_dir():
                raise InputError(what, "it is a folder", "name a photo in it, or restore the folder as a whole")
            stream = path.open("rb")
        except FileNotFoundError as fault:
            raise InputError(what, "there is no such file", "check the name") from fault
        except PermissionError as fault:
            raise InputError(what, "you may not read it", "change its permissions, or copy it to a place of yours") from fault
        except (OSError, ValueError) as fault:
            raise InputError(what, getattr(fault, "strerror", None) or str(fault), "check the name") from fault
        with stream:
            yield _recognised(stream if stream.seekable() else _in_memory(stream, str(path)), str(path), path)
    else:
        name = "standard input" if getattr(source, "name", None) in ("<stdin>", 0) else "the photo"
        yield _recognised(_in_memory(source, name), name, None)


def _in_memory(stream: BinaryIO, name: str) -> BinaryIO:
    """The rest of a stream; what does not begin like a photo is not read on, as it may never end."""
    head = stream.read(formats.HEAD)
    _format(head, name)
    return io.BytesIO(head + stream.read())


def _recognised(stream: BinaryIO, name: str, path: Path | None) -> File:
    try:
        head = stream.read(formats.HEAD)
        stream.seek(0)
    except OSError as fault:
        raise InputError(f"cannot read {name}", fault.strerror or str(fault), COPY_AGAIN) from fault
    return File(stream, name, path, _format(head, name))


def _format(head: bytes, name: str) -> str:
    format = formats.recognise(head)
    if format is None:
        why = f"it is {formats.describe(head)}" if head else "it is empty"
        todo = "give a JPEG, PNG, WebP, TIFF, AVIF, BMP, GIF or HEIF file" if head else COPY_AGAIN
        raise InputError(f"cannot read {name}", why, todo)
    return format


def check_size(file: File, size: tuple[int, int] | None, pixel_limit: int | None) -> None:
    if size is None or pixel_limit is None or size[0] * size[1] <= pixel_limit:
        return
    held = f"{size[0]:,} x {size[1]:,} pixels ({size[0] * size[1] / 1e6:,.0f} megapixels)"
    raise file.error(
        f"it claims {held}, beyond the limit of {pixel_limit / 1e6:,.0f} megapixels", "raise --pixel-limit if you trust the file"
    )


_guard = threading.Lock()
_unlimited = 0
_limit_before: int | None = None


@contextlib.contextmanager
def _pillow_unlimited() -> Iterator[None]:
    """Pillow's own limit of pixels, one number for the whole process, is off while any of our threads is inside.

    It would warn, or refuse, below ours. Counted, so that the last one out restores what the first one found.
    """
    global _unlimited, _limit_before
    with _guard:
        if _unlimited == 0:
            _limit_before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _unlimited += 1
    try:
        yield
    finally:
        with _guard:
            _unlimited -= 1
            if _unlimited == 0:
                Image.MAX_IMAGE_PIXELS = _limit_before


def opened_image(stream: BinaryIO, format: str) -> ImageFile.ImageFile:
    """Only the one decoder that the first bytes call for gets to see the file. Its header is parsed, no pixel decoded."""
    stream.seek(0)
    with _pillow_unlimited():
        return Image.open(stream, formats=(format,))


def load(image: ImageFile.ImageFile) -> None:
    with _pillow_unlimited() if image.width * image.height > _LARGE else contextlib.nullcontext():
        image.load()


def ends_early(file: File) -> bool:
    """Whether a file that could not even be opened is cut off, by what its format says about its length."""
    data = file.data()
    if file.format == "JPEG":
        return not jpeg.reaches_picture(data)
    if file.format == "WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    if file.format == "BMP":
        return len(data) < int.from_bytes(data[2:6], "little") or len(data) < 54
    if file.format in ("AVIF", "HEIF"):
        at = 0
        while at + 8 <= len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            if size < 8:
                return False
            at += size
        return at > len(data)
    if file.format == "TIFF" and data[:4] in (b"II*\0", b"MM\0*"):
        return len(data) < 8 or tiff.first_directory(data) + 2 > len(data)
    return file.format == "GIF" and not data.endswith(b";")
