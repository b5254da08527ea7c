"""A photo cut into tiles that overlap, so that a network whose memory grows with the picture can enlarge a photo of any size.

A tile has a core, its share of the result, and a window: the core with context for the network. Windows reach beyond the photo, which is
mirrored there. Rows and columns are cut alike, so one axis at a time is all there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np
from numpy.typing import NDArray

from facewright.errors import UsageError

LOBES = 4  # of the Lanczos kernel, as OpenCV's


@dataclass(frozen=True)
class Span:
    """One axis of a tile, in the photo's pixels: the core from start to stop, the window from first to last (both exclusive at the end)."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def length(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Axis:
    """One side of a photo with what is mirrored beyond its ends.

    length: of the photo. places: for each pixel from -margin on, which of the photo's it is. covered: where the last core ends.
    context: of a window around its core; less where the mirrored pixels end. multiple: windows start and end at multiples of it.
    """

    length: int
    places: NDArray[np.intp]
    margin: int
    covered: int
    context: int
    multiple: int = 1

    @classmethod
    def mirrored(cls, length: int, context: int, multiple: int = 1) -> Axis:
        """Each window has its whole context, at the photo's ends, too, so that no end looks different to the network."""
        context = ceil(context / multiple) * multiple
        covered = ceil(length / multiple) * multiple
        places = np.pad(np.arange(length), (context, covered - length + context), mode="reflect")
        return cls(length, places, context, covered, context, multiple)

    @classmethod
    def published(cls, length: int, pre_pad: int, tile_pad: int, multiple: int = 1) -> Axis:
        """Real-ESRGAN's own cutting: mirrored behind the last pixel only, by pre_pad, then to a multiple; the network's zeros in front."""
        places = np.pad(np.arange(length), (0, pre_pad), mode="reflect")
        places = np.pad(places, (0, -len(places) % multiple), mode="reflect")
        return cls(length, places, 0, len(places), tile_pad, multiple)

    def spans(self, tile: int = 0) -> list[Span]:
        """Cores of `tile` pixels in order, the last one shorter; 0: a single one. Raises UsageError where the multiple is not kept."""
        return self.cut(0, self.covered, tile or self.covered)

    def even(self, tile: int) -> list[Span]:
        """Cores of at most `tile` pixels, about equally long."""
        count = ceil(self.covered / max(tile, self.multiple))
        return self.spans(ceil(self.covered / count / self.multiple) * self.multiple)

    def cut(self, start: int, stop: int, tile: int) -> list[Span]:
        """The cores between start and stop."""
        corners = [*range(start, stop, tile), stop]
        if len(corners) > 2 and (tile % self.multiple or self.context % self.multiple):
            raise UsageError(
                f"tiles of {tile} px with {self.context} px around them do not fit this model",
                f"it works on blocks of {self.multiple} px",
                f"use multiples of {self.multiple}",
            )
        beyond = len(self.places) - self.margin
        return [Span(a, b, max(a - self.context, -self.margin), min(b + self.context, beyond)) for a, b in pairwise(corners)]

    def window(self, span: Span) -> NDArray[np.intp]:
        """The photo's pixels that the window shows."""
        return self.places[span.first + self.margin : span.last + self.margin]


@dataclass(frozen=True)
class Share:
    """What a tile gives to the result along one axis.

    target: where in the result. source: where in the network's picture of the window, when nothing is resampled.
    weights: len(target) x len(network's picture), the resampling, else None.
    """

    target: slice
    source: slice
    weights: NDArray[np.float32] | None


def share(axis: Axis, span: Span, scale: int, size: int) -> Share:
    """The tile's share of a side of `size` pixels. scale: how many times the network enlarges."""
    length = axis.length
    if size == length * scale:
        stop = min(span.stop, length)
        return Share(slice(span.start * scale, stop * scale), slice((span.start - span.first) * scale, (stop - span.first) * scale), None)
    # a pixel of the result belongs to the tile in whose core its centre lies
    start, stop = (min(max(ceil((2 * edge * size - length) / (2 * length)), 0), size) for edge in (span.start, span.stop))
    stop = size if span.stop >= length else stop
    weights = lanczos(np.arange(start, stop), length * scale / size, span.first * scale, span.last * scale)
    return Share(slice(start, stop), slice(0, 0), weights)


def lanczos(pixels: NDArray[np.intp], step: float, first: int, last: int) -> NDArray[np.float32]:
    """Weights of the source pixels first .. last - 1 for these pixels of the result: len(pixels) x (last - first), rows sum to 1.

    step: source pixels per pixel of the result; above 1 the kernel is widened so that nothing aliases.
    """
    centres = (pixels + 0.5) * step - 0.5
    distance = (np.arange(first, last)[None] - centres[:, None]) / max(step, 1.0)
    weights = np.where(np.abs(distance) < LOBES, np.sinc(distance) * np.sinc(distance / LOBES), 0.0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def reach(step: float, scale: int) -> int:
    """How many of the photo's pixels beyond its core a tile needs for `lanczos`."""
    return ceil((LOBES * max(step, 1.0) + 1) / scale)
