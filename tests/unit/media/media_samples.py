"""Small photos and metadata, made from nothing, for the tests of the media room."""

from __future__ import annotations

import functools
import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, ImageCms

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'tiff:Orientation="6" exif:PixelXDimension="5" xmp:Label="attic"><xmp:Thumbnails><rdf:Alt>/9j/OLDPICTURE</rdf:Alt></xmp:Thumbnails>'
    b"</rdf:Description></rdf:RDF></x:xmpmeta>"
)
MAKER_NOTE = b"MAKER\0\x07secret serial 4711"
THUMBNAIL = b"\xff\xd8THE OLD FACE\xff\xd9"


def scene(height: int = 24, width: int = 36, channels: int = 3, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    """A smooth, lopsided picture: no turn or mirror of it is itself. H x W x channels, H x W for 1."""
    y, x = np.mgrid[0:height, 0:width]
    most = np.iinfo(dtype).max
    planes = [(x * (3 + c) / (width * (4 + c)) + (y / height) ** 2 / (3 + c)) for c in range(channels)]
    picture = np.stack(planes, axis=-1) * most * 0.7
    picture += np.random.default_rng(seed).uniform(0, most * 0.02, picture.shape)
    picture = picture.astype(dtype)
    return picture[..., 0] if channels == 1 else picture


def saved(image: Image.Image | np.ndarray, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, format=format, **options)
    return out.getvalue()


@functools.cache  # it carries the second of its making
def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_block(orientation: int | None = 6, order: str = ">", width: int = 5, height: int = 7) -> bytes:
    """EXIF as cameras write it: make, orientation, date, artist, copyright, EXIF and GPS directories, maker note, a thumbnail behind all.

    Written here by hand, so that it shares no code with what it tests.
    """
    ifd0: list[tuple[int, int, int, Any]] = [
        (0x010F, 2, 0, b"Attic Cameras\0"),
        (0x0132, 2, 0, b"1999:12:31 23:59:59\0"),
        (0x013B, 2, 0, "Zoë\0".encode()),
        (0x8298, 2, 0, b"(c) Grandma\0"),
        (0x8769, 4, 1, "exif"),
        (0x8825, 4, 1, "gps"),
    ]
    if orientation is not None:
        ifd0.append((0x0112, 3, 1, orientation))
    exif = [(0x9003, 2, 0, b"1999:12:31 23:00:00\0"), (0x927C, 7, 0, MAKER_NOTE), (0xA002, 4, 1, width), (0xA003, 3, 1, height)]
    gps = [(0x0001, 2, 0, b"N\0"), (0x001D, 2, 0, b"1999:12:31\0")]
    ifd1 = [(0x0103, 3, 1, 6), (0x0201, 4, 1, "thumbnail"), (0x0202, 4, 1, len(THUMBNAIL))]

    def size(entries: list[Any]) -> int:
        tail = sum(len(v) + len(v) % 2 for _, _, _, v in entries if isinstance(v, bytes) and len(v) > 4)
        return 2 + 12 * len(entries) + 4 + tail

    place = {"ifd0": 8}
    place["exif"] = place["ifd0"] + size(ifd0)
    place["gps"] = place["exif"] + size(exif)
    place["ifd1"] = place["gps"] + size(gps)
    place["thumbnail"] = place["ifd1"] + size(ifd1)

    def directory(entries: list[Any], at: int, following: int) -> bytes:
        table, tail = struct.pack(order + "H", len(entries)), b""
        behind = at + 2 + 12 * len(entries) + 4
        for tag, kind, count, value in sorted(entries):
            if isinstance(value, bytes):
                table += struct.pack(order + "HHL", tag, kind, len(value))
                if len(value) <= 4:
                    table += value.ljust(4, b"\0")
                else:
                    table += struct.pack(order + "L", behind + len(tail))
                    tail += value + b"\0" * (len(value) % 2)
            else:
                number = place[value] if isinstance(value, str) else value
                packed = struct.pack(order + {3: "H", 4: "L"}[kind], number)
                table += struct.pack(order + "HHL", tag, kind, count) + packed.ljust(4, b"\0")
        return table + struct.pack(order + "L", following) + tail

    head = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "L", 8)
    return (
        head
        + directory(ifd0, place["ifd0"], place["ifd1"])
        + directory(exif, place["exif"], 0)
        + directory(gps, place["gps"], 0)
        + directory(ifd1, place["ifd1"], 0)
        + THUMBNAIL
    )


def photoshop_blocks() -> bytes:
    """A caption (IPTC) and a thumbnail, as Photoshop keeps them."""
    caption = b"\x1c\x02\x78\x00\x0fMarket day 1931"
    return _block(0x0404, caption) + _block(0x040C, b"OLDTHUMB!")


def _block(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">H", number) + b"\0\0" + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2)


def jpeg_segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_16(picture: np.ndarray, extra: bytes = b"", colour_type: int | None = None) -> bytes:
    """A 16-bit PNG with no filter at all, written without the code under test. picture: H x W (x C) uint16."""
    height, width = picture.shape[:2]
    channels = 1 if picture.ndim == 2 else picture.shape[2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels] if colour_type is None else colour_type
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in picture)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def with_png_chunks(file: bytes, extra: bytes) -> bytes:
    return file[:33] + extra + file[33:]


def chunks_of(file: bytes) -> list[tuple[bytes, bytes]]:
    """A PNG's chunks, checksums verified."""
    found, at = [], 8
    while at < len(file):
        length, kind = struct.unpack_from(">I4s", file, at)
        data = file[at + 8 : at + 8 + length]
        (crc,) = struct.unpack_from(">I", file, at + 8 + length)
        assert crc == zlib.crc32(kind + data), kind
        found.append((kind, data))
        at += 12 + length
    return found
