"""What is known of a clip, and one picture of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""H x W x 3 RGB, upright."""


@dataclass(frozen=True)
class ClipInfo:
    """What a clip says of itself, and what its first pictures show.

    width, height: in pixels, as seen: after the rotation tag is applied.
    size: of the file, in bytes.
    container: "mp4", "mov", "mkv", "webm", "avi" or "ts", by content.
    frames: how many pictures the file says it holds, None where it does not say; a damaged file may hold fewer.
    duration: seconds; 0.0 where it is not known.
    rate: pictures a second on average. A variable rate shows in ``variable``, told by the first pictures.
    time_base: the unit of every pts, in seconds. start: pts of the first picture.
    rotation: degrees by which the stored picture is turned counter-clockwise to stand upright: 0, 90, 180 or 270. mirrored: whether left
    and right are exchanged after that.
    colour: code points of ITU-T H.273 under "primaries", "transfer", "matrix" (2 is unspecified) and "range" (0 unspecified, 1 limited,
    2 full), as tagged.
    pixel_aspect: width of a pixel to its height, upright.
    pixel_format: PyAV's name of how the pixels are stored ("yuv420p"); bits: of one channel.
    audio, others: codecs of the sound tracks, and of subtitle, data and further video tracks.
    """

    path: Path
    size: int
    container: str
    width: int
    height: int
    frames: int | None
    duration: float
    rate: Fraction
    time_base: Fraction
    start: int
    variable: bool
    rotation: int
    mirrored: bool
    colour: dict[str, int]
    pixel_aspect: Fraction
    codec: str
    pixel_format: str
    bits: int
    interlaced: bool
    audio: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def has_audio(self) -> bool:
        return bool(self.audio)


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture. index: from 0, in the order of showing. pts: when it is shown, in ``ClipInfo.time_base``; rises from frame to frame."""

    index: int
    pts: int
    pixels: Pixels
