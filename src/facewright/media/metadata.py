"""What travels with the pixels: chosen by the person, corrected so that it tells the truth about the picture that is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from facewright.errors import UsageError
from facewright.media import exif, jpeg, png, tiff
from facewright.media.photo import Photo
from facewright.media.pixels import colour_space

Metadata = Literal["keep", "basic", "strip"]

_BASIC_TEXT = {"Author", "Copyright", "Creation Time"}


@dataclass(frozen=True)
class Carried:
    """Metadata ready to be written; as in Origin."""

    exif: bytes | None = None
    xmp: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    photoshop: bytes | None = None
    comments: tuple[bytes, ...] = ()
    chunks: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def text_chunks(self) -> tuple[tuple[bytes, bytes], ...]:
        return tuple(chunk for chunk in self.chunks if chunk[0] in png.TEXT)


def carried(photo: Photo, choice: Metadata, *, forget_orientation: bool = False, colour_written: bool | None = None) -> Carried:
    """What to write with ``photo``.

    keep: everything, with the orientation set to 1 in EXIF and XMP, stated sizes corrected, and thumbnails removed, as they show the photo
    before restoration. basic: ICC, DPI, and from EXIF and PNG text dates, artist and copyright; no place, no camera, no serial numbers, no
    maker notes. strip: ICC and PNG's colour chunks only, as without them the pixels would mean other colours.

    forget_orientation: leave the tag out instead of setting it to 1. colour_written: whether the file will hold colour, where that is not
    what the pixels are. Adds to ``photo.origin.notes`` what had to be left out. Raises UsageError for another choice.
    """
    if choice not in get_args(Metadata):
        raise UsageError(f"cannot handle metadata as {choice!r}", "", f"use one of {', '.join(get_args(Metadata))}")
    origin = photo.origin
    colour = tuple(chunk for chunk in origin.chunks if chunk[0] in png.COLOUR)
    profile = _fitting_profile(photo, not photo.is_grey if colour_written is None else colour_written)
    if choice == "strip":
        return Carried(icc=profile, chunks=colour)

    block = None
    if origin.exif:
        try:
            settled = exif.settled(origin.exif, photo.width, photo.height, forget_orientation=forget_orientation)
            block = settled if choice == "keep" else exif.essentials(settled)
        except tiff.Damaged:
            origin.note("EXIF is damaged and is not kept")
    if choice == "basic":
        text = tuple(chunk for chunk in origin.chunks if png.keyword_of(chunk) in _BASIC_TEXT)
        return Carried(exif=block, icc=profile, dpi=origin.dpi, chunks=colour + text)

    blocks = jpeg.fresh_blocks(origin.photoshop) if origin.photoshop else None
    packet = settled_xmp(origin.xmp, photo.width, photo.height) if origin.xmp else None
    return Carried(block, packet, profile, origin.dpi, blocks, origin.comments, origin.chunks)


def xmp_orientation(xmp: bytes) -> int:
    """1..8; 1 where it is absent or nonsense."""
    found = _stated(b"tiff:Orientation").search(xmp)
    return int(found[2]) if found and 1 <= int(found[2][:2]) <= 8 else 1


def settled_xmp(xmp: bytes, width: int, height: int) -> bytes:
    """XMP that fits upright pixels of this size: orientation 1, sizes corrected, no thumbnails, no pointer to an extension."""
    facts = {b"tiff:Orientation": 1, b"tiff:ImageWidth": width, b"tiff:ImageLength": height}
    facts |= {b"exif:PixelXDimension": width, b"exif:PixelYDimension": height}
    for name, value in facts.items():
        xmp = _stated(name).sub(rb"\g<1>%d" % value, xmp)
    for name in (b"xmp:Thumbnails", b"xap:Thumbnails"):
        xmp = _without_element(xmp, name)
    return re.sub(rb"""\sxmpNote:HasExtendedXMP\s*=\s*(?:"[^"]*"|'[^']*')""", b"", xmp)


def _stated(name: bytes) -> re.Pattern[bytes]:
    """A number that XMP states as attribute or element; read and replaced by one pattern, so that neither misses what the other sees."""
    return re.compile(rb"""(%s\s*(?:=\s*["']|>)\s*)(\d+)""" % name)


def _without_element(xmp: bytes, name: bytes) -> bytes:
    """Without ``<name ...>...</name>``. Searched by hand: a lazy pattern would take a hostile packet's square of time."""
    kept, at = [], 0
    while (start := xmp.find(b"<" + name, at)) >= 0:
        close = b"</" + name + b">"
        end = xmp.find(close, start)
        if end < 0:
            break
        kept.append(xmp[at:start])
        at = end + len(close)
    return b"".join(kept) + xmp[at:]


def _fitting_profile(photo: Photo, colour_written: bool) -> bytes | None:
    """The profile, unless it is one for grey and the file will hold colour, or one for inks."""
    space = colour_space(photo.origin.icc)
    if not space:
        return None
    if space == "RGB" or (space == "GRAY" and not colour_written):
        return photo.origin.icc
    photo.origin.note(f"the colour profile is for {space}, not for what is written, and is not kept")
    return None
