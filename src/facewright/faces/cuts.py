"""Where one shot of a clip ends and the next begins."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]

_SIZE = (64, 36)
_BINS = 24
_COLOURS = 0.35
"""Part of a picture's colours that has to change."""
_PLACES = 0.10
"""Mean change of a pixel, of 1."""
_ABOVE = 2.5
"""Times the change from frame to frame just before: fire, flashing lights and a shaken camera change a lot all the time."""


class Cuts:
    """Tells, frame by frame, whether a new shot begins. Keeps two small pictures' worth, however long the clip is."""

    def __init__(self) -> None:
        self._last: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        self._usual = 0.0

    def begins(self, pixels: Pixels) -> bool:
        """pixels: H x W x 3, uint8. False for the first frame.

        A cut changes which colours there are (histograms by channel, half their L1 distance) and the picture place by place; a moving
        camera changes the places and keeps the colours, a brightening light shifts them a little each frame.
        """
        small = cv2.resize(pixels, _SIZE, interpolation=cv2.INTER_AREA)
        colours = np.concatenate([np.histogram(small[..., c], _BINS, (0, 256))[0] for c in range(3)]) / (
            3 * small.shape[0] * small.shape[1]
        )
        now = (np.asarray(colours, np.float32), np.asarray(small / 255, np.float32))
        last, self._last = self._last, now
        if last is None:
            return False
        # neighbouring bins count as half the same: noise and a little light push colours over a bin's edge
        soft = [np.convolve(each, [0.25, 0.5, 0.25], "same") for each in (last[0], now[0])]
        recoloured = float(np.abs(soft[0] - soft[1]).sum()) / 2
        moved = float(np.abs(last[1] - now[1]).mean())
        cut = recoloured > _COLOURS and moved > max(_PLACES, _ABOVE * self._usual)
        self._usual = 0.0 if cut else 0.5 * self._usual + 0.5 * moved
        return cut
