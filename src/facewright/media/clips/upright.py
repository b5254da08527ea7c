"""The display matrix: how a stored picture is turned and flipped to stand upright."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facewright.media.clips.info import Pixels

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_ONE = 1 << 16


@dataclass(frozen=True)
class Turn:
    """First transpose (rows become columns), then flip the rows' order, then each row's."""

    transposed: bool = False
    upside_down: bool = False
    mirrored: bool = False

    @property
    def rotation(self) -> int:
        """Degrees counter-clockwise, 0 to 270, of the turn without the flip that may be left (``flips``)."""
        if not self.transposed:
            return 180 if self.upside_down else 0
        return 90 if self.upside_down else 270

    @property
    def flips(self) -> bool:
        """Whether left and right are exchanged after the rotation."""
        if not self.transposed:
            return self.mirrored != self.upside_down
        return self.mirrored == self.upside_down

    def __call__(self, pixels: Pixels) -> Pixels:
        """pixels: H x W x 3 as stored. Returns them upright, contiguous."""
        if self.transposed:
            pixels = pixels.swapaxes(0, 1)
        if self.upside_down:
            pixels = pixels[::-1]
        if self.mirrored:
            pixels = pixels[:, ::-1]
        return np.ascontiguousarray(pixels)


def turn_of(frame: VideoFrame) -> Turn:
    """The turn that a frame's display matrix asks for. Of an angle between the quarters the nearest quarter is taken.

    The matrix holds a b u / c d v / x y w in row order, fixed point with 16 bits behind the point for a, b, c, d, and maps a stored
    place: x' = a x + c y + tx, y' = b x + d y + ty, y downward (ISO/IEC 14496-12, 6.2.2).
    """
    from av.sidedata.sidedata import Type

    held = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
    if held is None:
        return Turn()
    numbers = struct.unpack("=9i", bytes(held)[:36])
    a, b, c, d = numbers[0], numbers[1], numbers[3], numbers[4]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Turn(False, d < 0, a < 0)
    return Turn(True, b < 0, c < 0)
