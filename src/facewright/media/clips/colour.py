"""From a clip's colours to RGB and back: by the matrix and the range that it is tagged with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facewright.media.clips.info import ClipInfo, Pixels
from facewright.media.clips.library import pyav

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

UNSPECIFIED = 2
LIMITED, FULL = 1, 2
RGB = 0

_BT709, _FCC, _BT601_625, _BT601_525, _SMPTE240, _BT2020 = 1, 4, 5, 6, 7, 9
_SCALER = {_BT709: 1, _FCC: 4, _BT601_625: 5, _BT601_525: 5, _SMPTE240: 7, _BT2020: 9}
"""Matrix of H.273 to the scaler's own number (SWS_CS_*)."""

PQ, HLG = 16, 18


def tags_of(frame: VideoFrame) -> dict[str, int]:
    """A frame's tags under the names of ``ClipInfo.colour``. The old "yuvj" formats are full range by name."""
    full = frame.format.name.startswith("yuvj")
    return {
        "primaries": int(frame.color_primaries),
        "transfer": int(frame.color_trc),
        "matrix": int(frame.colorspace),
        "range": FULL if full else int(frame.color_range),
    }


def matrix_of(colour: dict[str, int], height: int) -> int:
    """The matrix (H.273) that a clip's colours are read and written with.

    Where a clip has no tag: BT.709 from 720 lines on, BT.601 below, as players do. A matrix that the scaler does not know is read as
    BT.709; RGB has none, and is written with BT.709.
    """
    matrix = colour["matrix"]
    if matrix in _SCALER:
        return matrix
    if matrix == UNSPECIFIED:
        return _BT709 if height >= 720 else _BT601_525
    return _BT709


def range_of(colour: dict[str, int]) -> int:
    """LIMITED or FULL; a clip without a tag is limited."""
    return FULL if colour["range"] == FULL else LIMITED


class Converter:
    """Converts the frames of one clip. Not for two threads at once.

    Chroma is interpolated, not repeated, and rounding is accurate: with libswscale's defaults colours of 4:2:0 drift by more than 1 of 255.
    RGB -> stored -> RGB errs by 0.4 of 255 on average for limited range, in 4:4:4 and for smooth pictures in 4:2:0; by 0.7 for full range,
    0.4 of them towards dark (libswscale's own rounding).
    """

    def __init__(self, matrix: int, range: int) -> None:
        """matrix: of H.273, as ``matrix_of`` says; range: LIMITED or FULL."""
        reformatter = pyav().video.reformatter
        self._scaler: VideoReformatter = reformatter.VideoReformatter()
        kind = reformatter.Interpolation
        self._how = int(kind.BILINEAR | kind.ACCURATE_RND | kind.FULL_CHR_H_INT)
        self._matrix, self._range = _SCALER.get(matrix, _SCALER[_BT709]), range

    @classmethod
    def like(cls, info: ClipInfo) -> Converter:
        return cls(matrix_of(info.colour, info.height), range_of(info.colour))

    def to_rgb(self, frame: VideoFrame) -> Pixels:
        """H x W x 3 uint8, as stored (not turned)."""
        converted = self._scaler.reformat(
            frame,
            format="rgb24",
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=self._range,
            dst_color_range=FULL,
            interpolation=self._how,
            threads=1,
        )
        pixels: Pixels = np.asarray(converted.to_ndarray(), np.uint8)
        return pixels

    def from_rgb(self, pixels: Pixels, pixel_format: str) -> VideoFrame:
        """pixels: H x W x 3 uint8."""
        frame: VideoFrame = pyav().VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        converted: VideoFrame = self._scaler.reformat(
            frame,
            format=pixel_format,
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=FULL,
            dst_color_range=self._range,
            interpolation=self._how,
            threads=1,
        )
        return converted
