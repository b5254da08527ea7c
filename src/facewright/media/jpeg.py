"""What a JPEG carries beside its pixels: how it was coded, comments, Photoshop's blocks."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from PIL import JpegImagePlugin

from facewright.media.photo import JpegCoding

_PHOTOSHOP = b"Photoshop 3.0\0"
_MOST_IN_SEGMENT = 65_533
_SCAN = 0xDA
_STALE_BLOCKS = {0x0409, 0x040C, 0x040F, 0x0422, 0x0423, 0x0424}
"""Thumbnails (they show the photo before), and second copies of ICC, EXIF and XMP, which are kept in their own places."""
_KNOWN = (b"JFIF\0", b"JFXX\0", b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0", b"MPF\0", _PHOTOSHOP, b"Adobe", b"Ducky")
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"

Segments = list[tuple[str, bytes]]


def coding_of(image: JpegImagePlugin.JpegImageFile) -> JpegCoding:
    """How an opened JPEG was coded. The tables follow the components, whatever numbers they were stored under."""
    layers: list[tuple[int, int, int, int]] = image.layer[:3]
    tables = [tuple(image.quantization[layer[3]]) for layer in layers if layer[3] in image.quantization]
    while len(tables) > 1 and tables[-1] == tables[-2]:
        tables.pop()
    rgb = len(image.layer) == 3 and (image.info.get("adobe_transform") == 0 or bytes(layer[0] for layer in layers) == b"RGB")
    sampling = JpegImagePlugin.get_sampling(image) if len(image.layer) == 3 else 0
    return JpegCoding(tuple(tables), max(0, sampling), bool(image.info.get("progressive")), rgb)


def save_options(coding: JpegCoding | None, quality: int | None) -> dict[str, Any]:
    """Options for Pillow: coded as the source was, or at ``quality``, 95 without a source. 4:4:4 where nothing says otherwise."""
    options: dict[str, Any] = {"subsampling": coding.subsampling if coding else 0, "progressive": bool(coding and coding.progressive)}
    if coding and coding.rgb:
        options["keep_rgb"] = True
    if coding and coding.tables and quality is None:
        options["qtables"] = [list(table) for table in coding.tables]
    else:
        options["quality"] = 95 if quality is None else quality
    return options


def reaches_picture(file: bytes) -> bool:
    """Whether the segments lead to a start of scan, or the file ends before."""
    return any(marker == _SCAN for marker, _, _ in _segments(file))


def completed(file: bytes) -> bytes:
    """A file that ends early, ended properly: a segment that is cut off removed, an end marker set.

    libjpeg then gives what it has: grey where nothing came, and of a progressive picture all scans so far.
    """
    for _, start, end in _segments(file):
        if end > len(file):
            file = file[:start]
    return file.rstrip(b"\xff") + b"\xff\xd9"


def comments_of(segments: Segments) -> tuple[bytes, ...]:
    return tuple(data for name, data in segments if name == "COM")


def photoshop_of(segments: Segments) -> bytes | None:
    """The image resource blocks of all APP13 segments, or None."""
    return b"".join(data[len(_PHOTOSHOP) :] for name, data in segments if name == "APP13" and data.startswith(_PHOTOSHOP)) or None


def not_kept(segments: Segments) -> list[str]:
    """Notes about segments that will not be written again."""
    notes = []
    for name, data in segments:
        if data.startswith(_EXTENDED_XMP):
            notes.append("the extension part of XMP is not kept")
        elif name.startswith("APP") and not data.startswith(_KNOWN):
            notes.append(f"application data ({name}) are not kept")
    return list(dict.fromkeys(notes))


def fresh_blocks(photoshop: bytes) -> bytes | None:
    """Photoshop's blocks without those that restoration makes stale; None where nothing is left or they cannot be followed."""
    kept, at = b"", 0
    while at + 12 <= len(photoshop) and photoshop[at : at + 4] in (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR"):
        (number,) = struct.unpack_from(">H", photoshop, at + 4)
        name = 1 + photoshop[at + 6]
        size_at = at + 6 + name + name % 2
        if size_at + 4 > len(photoshop):
            return None
        (size,) = struct.unpack_from(">I", photoshop, size_at)
        end = size_at + 4 + size
        if end > len(photoshop):
            return None
        if number not in _STALE_BLOCKS:
            kept += photoshop[at:end] + b"\0" * (size % 2)
        at = end + size % 2
    return kept or None


def photoshop_segments(blocks: bytes) -> bytes:
    most = _MOST_IN_SEGMENT - len(_PHOTOSHOP)
    return b"".join(_segment(0xED, _PHOTOSHOP + blocks[at : at + most]) for at in range(0, len(blocks), most))


def comment_segments(comments: tuple[bytes, ...]) -> bytes:
    return b"".join(_segment(0xFE, comment[:_MOST_IN_SEGMENT]) for comment in comments)


def _segments(file: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, where its segment begins, where it ends) in file order, coded picture data skipped. The last may end behind the file."""
    at = 2
    while (at := file.find(b"\xff", at)) >= 0 and at + 2 <= len(file):
        marker = file[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(file[at + 2 : at + 4], "big") if at + 4 <= len(file) else len(file) + 1
        yield marker, at, end
        at = max(end, at + 2)


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data
