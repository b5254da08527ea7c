"""Clips of marked faces, a detector that finds the marks, and how to read what comes out."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from restorer_samples import Drift, scene
from torch import Tensor

from facewright.faces import Face
from facewright.faces.align import TEMPLATE
from facewright.media.clips import ClipReader, Frame

av = pytest.importorskip("av")

Pixels = NDArray[np.uint8]
MARKS = {"red": (255, 0, 0), "blue": (0, 0, 255), "green": (0, 255, 0)}
SIDE = 90
"""Of a face's template square, in pixels."""
RATE = 25


class MarkFinder:
    """Finds the marks, and counts its looks."""

    name = "marks"

    def __init__(self) -> None:
        self.looks = 0

    def detect(self, photo: NDArray[Any]) -> list[Face]:
        self.looks += 1
        found = []
        for score, colour in enumerate(MARKS.values()):
            here = (np.abs(photo.astype(np.int64) - colour) < 45).all(axis=2)
            if here.sum() > 30:
                y, x = (axis.mean() for axis in np.nonzero(here))
                points = (TEMPLATE - 256) * (SIDE / 512) + [x, y]
                box = np.array([x - 0.3 * SIDE, y - 0.3 * SIDE, x + 0.3 * SIDE, y + 0.4 * SIDE])
                found.append(Face(box, points, 0.99 - 0.01 * score))
        return found


class Knows(Drift):
    """A judge who tells people by their marks."""

    def embed(self, crops: Tensor) -> Tensor:
        side = crops.shape[-1]
        return crops[:, :, side // 2 - 2 : side // 2 + 2, side // 2 - 2 : side // 2 + 2].mean(dim=(2, 3))


def drawn(frames: Sequence[dict[str, tuple[float, float]]], seed: int = 0) -> list[Pixels]:
    """Each frame's marks at (x, y) on soft blobs, which differ from seed to seed."""
    ground = np.roll(scene(), 40 * seed, axis=(0, 1))[:160] if seed < 9 else (0.4 * scene()[:160]).astype(np.uint8)
    pictures = []
    for marks in frames:
        picture = ground.copy()
        for name, (x, y) in marks.items():
            cv2.circle(picture, (round(x), round(y)), 5, MARKS[name], -1)
        pictures.append(picture)
    return pictures


def film(path: Path, pictures: Sequence[Pixels], times: Sequence[int] | None = None) -> Path:
    """times: in thousandths of a second."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "4", "preset": "ultrafast"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = times[index] if times else 40 * index, Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def frames_of(path: Path) -> list[Pixels]:
    with av.open(str(path)) as clip:
        return [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]


def times_of(path: Path) -> list[Fraction]:
    with av.open(str(path)) as clip:
        return [frame.pts * frame.time_base for frame in clip.decode(video=0)]


class Counted:
    """A clip's reader that knows which of its frames are still held."""

    held: ClassVar[weakref.WeakSet[Frame]] = weakref.WeakSet()

    @classmethod
    def frames(cls, reader: ClipReader, start: int = 0) -> Iterator[Frame]:
        for frame in reader._frames(start):
            cls.held.add(frame)
            yield frame
            del frame
