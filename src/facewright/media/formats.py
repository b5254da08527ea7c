"""Which formats are read and written, by what they are recognised, and what each can hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facewright.errors import UsageError

if TYPE_CHECKING:
    from facewright.media.photo import Origin

READABLE: dict[str, str] = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".mpo": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".gif": "GIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
}
"""Suffix (lower case) to format. What a file really is follows from its first bytes; suffixes serve to find photos in folders."""

SPOKEN = {"WEBP": "WebP"}
"""Formats whose name a person writes otherwise."""

WRITABLE = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "TIFF": ".tif", "AVIF": ".avif", "BMP": ".bmp", "HEIF": ".heic"}
"""Format to the suffix that it is given."""

MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "HEIF": "image/heic",
}
"""Format to what HTTP calls it."""

HOLDS_ALPHA = {"PNG", "WEBP", "TIFF", "AVIF", "HEIF"}
HOLDS_16_BITS = {"PNG", "TIFF"}
LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_536, "HEIF": 65_535}

HEAD = 64
"""How many bytes ``recognise`` wants."""

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

_FOREIGN = {
    b"%PDF": "a PDF document",
    b"8BPS": "a Photoshop file",
    b"\x00\x00\x00\x0cjP  ": "a JPEG 2000 picture",
    b"\xff\x4f\xff\x51": "a JPEG 2000 picture",
    b"\xff\x0a": "a JPEG XL picture",
    b"\x00\x00\x00\x0cJXL ": "a JPEG XL picture",
    b"PK\x03\x04": "a zip archive or an office document",
    b"<svg": "an SVG drawing",
    b"\x1aE\xdf\xa3": "a film",
}


def default_suffix(origin: Origin) -> str:
    """The suffix under which a restored photo of this origin is best written.

    The source's own (".jpeg" stays ".jpeg") where it fits what the file is and that format can be written well. GIF and BMP become
    ".png": 256 colours would spoil a restored face, and neither carries metadata; a GIF may also have alpha. ".mpo", ".apng" and ".dib"
    become their plain forms.
    """
    format = "PNG" if origin.format in ("GIF", "BMP") else origin.format
    own = origin.path.suffix if origin.path is not None else ""
    if own.lower() not in (".mpo", ".apng", ".dib") and READABLE.get(own.lower()) == format:
        return own
    return WRITABLE.get(format, ".png")


def format_named(name: str) -> str:
    """The format that a name ("jpeg", "WebP") or suffix (".tif") stands for. Raises UsageError where it cannot be written."""
    upper = name.lstrip(".").upper()
    format = upper if upper in WRITABLE else READABLE.get("." + upper.lower(), "")
    if format not in WRITABLE:
        if format == "GIF":
            raise UsageError("cannot write GIF", "its 256 colours would spoil a photo", "write .png instead")
        raise UsageError(f"cannot write a photo as {name!r}", "the format is not known", f"use one of {', '.join(WRITABLE.values())}")
    return format


def media_type(name: str) -> str:
    """What HTTP calls a file of that name."""
    return MEDIA_TYPES.get(READABLE.get(Path(name).suffix.lower(), ""), "application/octet-stream")


def format_of(target: Path, origin: Origin) -> str:
    """The format for a file name: by its suffix, or the origin's own where it has none."""
    return format_named(target.suffix or default_suffix(origin))


def recognise(head: bytes) -> str | None:
    """The format of a file by its first HEAD bytes, or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    # "BM" alone opens many a text: the header's own length must be one that exists.
    if head[:2] == b"BM" and head[14:18] in (
        b"\x0c\0\0\0",
        b"\x28\0\0\0",
        b"\x34\0\0\0",
        b"\x38\0\0\0",
        b"\x40\0\0\0",
        b"\x6c\0\0\0",
        b"\x7c\0\0\0",
    ):
        return "BMP"
    return _brand(head) if head[4:8] == b"ftyp" else None


def describe(head: bytes) -> str:
    """What a file that is none of our formats seems to be, for a sentence that begins with "it is"."""
    for magic, name in _FOREIGN.items():
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return "a film"
    printable = sum(32 <= byte < 127 or byte in (9, 10, 13) for byte in head)
    return "a text file, not a picture" if printable >= 0.95 * len(head) else "not a picture of a known format"


def spoken(format: str) -> str:
    return SPOKEN.get(format, format)


def _brand(head: bytes) -> str | None:
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))]
    if _AVIF_BRANDS & set(brands):
        return "AVIF"
    return "HEIF" if _HEIF_BRANDS & set(brands) else None
