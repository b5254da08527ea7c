"""A restored face from frame to frame: what the network draws anew each time is calmed where the damaged face itself stands still.

R(t) is what is shown in frame t, N(t) the network's picture, C(t) the damaged crop, F the motion from C(t) to C(t-1), all in the aligned
crop. Of the picture shown before, led along the motion, a part a stays:

    R(t) = N(t) + a (R(t-1)(x + F) - N(t)),   a = KEPT exp(-(|G C(t) - G C(t-1)(x + F)| / TOLD)^2)

where the crop itself did not change. Where it did (a mouth opens, a hand comes in, the motion is not understood), a falls to 0 and the
network's fresh picture is shown, so that nothing is smeared and nothing lags.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.metrics.flicker import places_along

Picture = NDArray[np.float32]

KEPT = 0.6
TOLD = 8 / 255
"""A change of the damaged crop, in [0, 1], that is taken for one of the face; less may be its noise."""
_BLUR = 2.0  # of a crop of 256
MEMORY = 40
"""Frames after which nothing is left of a picture, to less than a level of 255: KEPT^40 is 1e-9."""


class Steadier:
    """Remembers one picture a track."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[int, NDArray[np.uint8], Picture, Picture]] = {}
        self._motion = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def steadied(self, track: int, frame: int, crop: Picture, restored: Picture) -> Picture:
        """crop, restored: S x S x 3 RGB in [0, 1], before and after the network. Only the frame just before counts."""
        calm = np.asarray(cv2.GaussianBlur(crop, (0, 0), _BLUR * len(crop) / 256), np.float32)
        guide = np.asarray(np.rint(255 * cv2.cvtColor(calm, cv2.COLOR_RGB2GRAY)), np.uint8)
        last = self._last.get(track)
        shown = restored
        if last is not None and last[0] == frame - 1:
            x, y = places_along(self._motion, guide, last[1])
            before, earlier = (_moved(picture, x, y) for picture in (last[2], last[3]))
            changed = np.abs(calm - before).max(axis=-1)
            inside = (x >= 0) & (y >= 0) & (x <= len(crop) - 1) & (y <= len(crop) - 1)
            kept = np.float32(KEPT) * inside * np.exp(-((changed / np.float32(TOLD)) ** 2))
            shown = np.asarray(restored + kept[..., None].astype(np.float32) * (earlier - restored), np.float32)
        self._last[track] = (frame, guide, calm, shown)
        return shown

    def forget_before(self, frame: int) -> None:
        """Tracks that were not seen since."""
        self._last = {track: held for track, held in self._last.items() if held[0] >= frame}


def _moved(picture: Picture, x: Picture, y: Picture) -> NDArray[Any]:
    return np.asarray(cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
