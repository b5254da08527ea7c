"""A photograph in memory: upright pixels, and everything needed to write it back as it came."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt

Pixels = npt.NDArray[Any]
"""uint8 or uint16; ``encode`` checks."""


@dataclass(frozen=True)
class JpegCoding:
    """How a JPEG was coded, so that it can be coded alike again.

    tables: quantisation tables, one per component in component order (64 values each, natural order);
        equal tables at the end are given once, as libjpeg repeats the last.
    subsampling: 0 for 4:4:4, 1 for 4:2:2, 2 for 4:2:0. Rarer layouts (4:4:0, 4:1:1) are given as 0, which loses nothing.
    rgb: stored as RGB, not as YCbCr.
    """

    tables: tuple[tuple[int, ...], ...]
    subsampling: int
    progressive: bool
    rgb: bool


@dataclass
class Origin:
    """Where a photo came from, how it was stored, and what came with it.

    format: "JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP", "GIF" or "HEIF". mode: Pillow's name of the stored pixel layout.
    bits: per channel as stored. path: as given to ``read``, None for bytes and streams.
    orientation: EXIF's 1..8 as found; the pixels of a Photo are upright already.
    exif: a TIFF structure without the "Exif" prefix. xmp: the packet. icc: the profile. dpi: across, down.
    photoshop: image resource blocks (where IPTC captions live). comments: JPEG and GIF comments.
    chunks: PNG's text and colour chunks, verbatim, as (type, data).
    jpeg: set for JPEG. lossless: set for WebP. compression: Pillow's name of TIFF's compression, else None.
    subsampling: AVIF's, as "4:2:0", else None.
    notes: what could not be kept, in words for a person; ``encode`` and ``write`` add to it.
    """

    format: str = "PNG"
    mode: str = "RGB"
    bits: int = 8
    path: Path | None = None
    orientation: int = 1
    exif: bytes | None = None
    xmp: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    photoshop: bytes | None = None
    comments: tuple[bytes, ...] = ()
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    jpeg: JpegCoding | None = None
    lossless: bool | None = None
    compression: str | None = None
    subsampling: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def text(self) -> dict[str, str]:
        """PNG's text by keyword."""
        from facewright.media.png import text_of

        return dict(filter(None, map(text_of, self.chunks)))

    def note(self, what: str) -> None:
        """Add to ``notes``, once."""
        if what not in self.notes:
            self.notes.append(what)


@dataclass
class Photo:
    """pixels: H x W x 3 RGB or H x W grey, uint8 or uint16, upright, in the colour space of ``origin.icc`` (sRGB where None).

    alpha: H x W of the same type, 0 is transparent, not premultiplied; None where the photo has none.
    """

    pixels: Pixels
    alpha: Pixels | None
    origin: Origin

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def is_grey(self) -> bool:
        return self.pixels.ndim == 2


def replaced(photo: Photo, pixels: Pixels) -> Photo:
    """The same photo with other pixels: same origin, same metadata.

    pixels: H' x W' (x 3); type and grey-ness are the caller's to keep. Where the size differs, alpha is resampled to it.
    """
    alpha = photo.alpha
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        import cv2

        alpha = cv2.resize(alpha, (pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_LINEAR)
    if alpha is not None and alpha.dtype != pixels.dtype:
        from facewright.media.pixels import as_depth

        alpha = as_depth(alpha, pixels.dtype)
    return Photo(pixels, alpha, photo.origin)
