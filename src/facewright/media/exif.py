"""EXIF (CIPA DC-008): read the orientation, set it right, drop what would tell a lie.

EXIF is patched in its place wherever it can be: maker notes hold offsets that break when moved.
"""

from __future__ import annotations

import struct

from facewright.media import tiff

_WIDTH, _HEIGHT, _PIXEL_WIDTH, _PIXEL_HEIGHT = 0x0100, 0x0101, 0xA002, 0xA003
_X_RESOLUTION = 0x011A
_STRIPS, _STRIP_LENGTHS, _THUMBNAIL, _THUMBNAIL_LENGTH = 0x0111, 0x0117, 0x0201, 0x0202

_DESCRIBING = {0x010D, 0x010E, 0x010F, 0x0110, 0x011D, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298, 0x83BB}
_DESCRIBING |= set(range(0x9C9B, 0x9CA0)) | {tiff.EXIF_POINTER, tiff.GPS_POINTER, tiff.ORIENTATION}
"""What of a TIFF file's first directory is about the photo, not about how its pixels are stored."""

_DATE, _ARTIST, _COPYRIGHT = 0x0132, 0x013B, 0x8298
_TEXT = (tiff.ASCII, tiff.UTF8)
_EXIF_DATES = (0x9003, 0x9004, 0x9010, 0x9011, 0x9012, 0x9290, 0x9291, 0x9292)


def without_prefix(blob: bytes | None) -> bytes | None:
    """The TIFF structure of an EXIF block, None where there is none. (Some writers put the prefix twice.)"""
    while blob and blob.startswith(b"Exif\0\0"):
        blob = blob[6:]
    return blob or None


def orientation(exif: bytes) -> int | None:
    """1..8; 1 where it is nonsense, None where EXIF does not say."""
    try:
        for entry in tiff.entries(exif, tiff.first_directory(exif))[0]:
            if entry.tag == tiff.ORIENTATION:
                value = tiff.number(exif, entry)
                return value if value is not None and 1 <= value <= 8 else 1
    except tiff.Damaged:
        pass
    return None


def states_resolution(exif: bytes) -> bool:
    try:
        return any(entry.tag == _X_RESOLUTION for entry in tiff.entries(exif, tiff.first_directory(exif))[0])
    except tiff.Damaged:
        return False


def settled(exif: bytes, width: int, height: int, *, forget_orientation: bool = False) -> bytes:
    """EXIF that fits upright pixels of this size: orientation 1 (or removed), sizes corrected, no thumbnail.

    The thumbnail shows the picture as it was before restoration, so it is wiped, not only unlinked. Previews within maker notes are out
    of reach. Raises tiff.Damaged where the structure cannot be followed.
    """
    out = bytearray(exif)
    at = tiff.first_directory(out)
    found, next_at = tiff.entries(out, at)
    _wipe_thumbnail(out, next_at)

    sizes = {_WIDTH: width, _HEIGHT: height, _PIXEL_WIDTH: width, _PIXEL_HEIGHT: height}
    for entry in found:
        if entry.tag in sizes:
            tiff.set_number(out, entry, sizes[entry.tag])
        elif entry.tag == tiff.ORIENTATION:
            tiff.set_number(out, entry, 1)
        elif entry.tag == tiff.EXIF_POINTER and (inner_at := tiff.number(out, entry)) is not None:
            for inner in tiff.entries(out, inner_at)[0]:
                if inner.tag in sizes:
                    tiff.set_number(out, inner, sizes[inner.tag])
    if forget_orientation:
        for entry in found:
            if entry.tag == tiff.ORIENTATION:
                _remove(out, at, entry, next_at)
    if orientation(bytes(out)) not in (1, None):
        raise tiff.Damaged("the orientation cannot be set")
    return bytes(out)


def essentials(exif: bytes) -> bytes | None:
    """Only dates, artist and copyright, as EXIF of its own; None where there are none of them."""
    directory = tiff.taken(exif, tiff.first_directory(exif), only=(_DATE, _ARTIST, _COPYRIGHT, tiff.EXIF_POINTER))
    kept = tiff.Directory({tag: value for tag, value in directory.values.items() if value.kind in _TEXT})
    inner = directory.inner.get(tiff.EXIF_POINTER, tiff.Directory())
    dates = {tag: value for tag, value in inner.values.items() if tag in _EXIF_DATES and value.kind in _TEXT}
    if dates:
        kept.inner[tiff.EXIF_POINTER] = tiff.Directory(dates)
    return tiff.alone(kept) if kept.values or kept.inner else None


def of_tiff_file(file: bytes) -> bytes | None:
    """What a TIFF file's first directory says about the photo, as EXIF of its own; None where it says nothing."""
    directory = tiff.taken(file, tiff.first_directory(file), only=_DESCRIBING)
    return tiff.alone(directory) if directory.values or directory.inner else None


def for_tiff_file(exif: bytes) -> tiff.Directory:
    """The reverse: what of EXIF belongs into the first directory of a TIFF file (the orientation is 1 by then)."""
    return tiff.taken(exif, tiff.first_directory(exif), only=_DESCRIBING - {tiff.ORIENTATION})


def _wipe_thumbnail(out: bytearray, next_at: int) -> None:
    order = tiff.byte_order(out)
    (at,) = struct.unpack_from(order + "L", out, next_at)
    struct.pack_into("<L", out, next_at, 0)
    try:
        found, end = tiff.entries(out, at)
    except tiff.Damaged:
        return
    spans = [(at, end + 4)]
    for offsets, lengths in ((_THUMBNAIL, _THUMBNAIL_LENGTH), (_STRIPS, _STRIP_LENGTHS)):
        places = [tiff.number(out, entry) for entry in found if entry.tag == offsets]
        sizes = [tiff.number(out, entry) for entry in found if entry.tag == lengths]
        spans += [(place, place + size) for place, size in zip(places, sizes, strict=False) if place is not None and size is not None]
    first = tiff.first_directory(out)
    for start, stop in sorted(spans, reverse=True):
        # Only behind the first directory's table: a thumbnail said to lie there is a forgery.
        if start < next_at + 4 and stop > first:
            continue
        if stop >= len(out) - 1 and start >= next_at + 4:
            del out[start:]
        else:
            stop = min(stop, len(out))
            out[start:stop] = bytes(max(0, stop - start))


def _remove(out: bytearray, at: int, entry: tiff.Entry, next_at: int) -> None:
    """Take one entry out of the directory at ``at``; the entries behind it move up."""
    end = next_at + 4
    out[entry.at : end] = out[entry.at + 12 : end] + bytes(12)
    order = tiff.byte_order(out)
    (count,) = struct.unpack_from(order + "H", out, at)
    struct.pack_into(order + "H", out, at, count - 1)
