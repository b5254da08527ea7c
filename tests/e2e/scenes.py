"""Small clips with faces in them, filmed off photographs: by a moving camera, or with people who walk past each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

av = pytest.importorskip("av")

Pixels = NDArray[np.uint8]
RATE = 25
SOUND_RATE = 16_000


def camera_over(photo: Pixels, frames: int, size: tuple[int, int] = (320, 240), zoom: float = 1.0) -> list[Pixels]:
    """A camera pans over the photo, comes nearer and shakes a little; each frame with noise of its own."""
    random = np.random.default_rng(0)
    width, height = size
    scale = zoom * max(width / photo.shape[1], height / photo.shape[0]) * 1.1
    views = []
    for t in range(frames):
        s = scale * (1 + 0.15 * t / max(1, frames - 1))
        middle = [photo.shape[1] / 2 + 0.5 * t, photo.shape[0] / 2 + 2 * np.sin(t / 4)]
        affine = np.array([[s, 0, width / 2 - s * middle[0]], [0, s, height / 2 - s * middle[1]]])
        view = cv2.warpAffine(photo, affine, size, flags=cv2.INTER_AREA if s < 1 else cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        views.append(damaged(view, random))
    return views


def people_crossing(left: Pixels, right: Pixels, frames: int, size: tuple[int, int] = (320, 240)) -> list[Pixels]:
    """Two portraits move over a background, from either side to the other; the second passes in front."""
    random = np.random.default_rng(1)
    width, height = size
    ground = cv2.resize(random.uniform(60, 140, (6, 8, 3)), size, interpolation=cv2.INTER_CUBIC)
    side = height * 3 // 4
    heads = [cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA).astype(np.float64) for head in (left, right)]
    oval = np.zeros((side, side), np.float64)
    cv2.ellipse(oval, (side // 2, side // 2), (int(0.4 * side), int(0.49 * side)), 0, 0, 360, 1, -1)
    oval = cv2.GaussianBlur(oval, (0, 0), side / 60)[..., None]
    views = []
    for t in range(frames):
        part = t / (frames - 1)
        view = ground.copy()
        for head, at in zip(heads, (part, 1 - part), strict=True):
            x, y = round(at * (width - side)), height // 8
            view[y : y + side, x : x + side] += oval * (head - view[y : y + side, x : x + side])
        views.append(damaged(np.clip(view, 0, 255).astype(np.uint8), random))
    return views


def damaged(view: Pixels, random: np.random.Generator, blur: float = 1.0, noise: float = 5) -> Pixels:
    soft = cv2.GaussianBlur(view, (0, 0), blur).astype(np.float64)
    return np.clip(soft + random.normal(0, noise, view.shape), 0, 255).astype(np.uint8)


def film(path: Path, pictures: Sequence[Pixels], *, times: Sequence[int] | None = None, sound: bool = True, turned: int = 0) -> Path:
    """A clip of the pictures. times: in thousandths of a second, for a variable rate; turned: by a rotation tag."""
    base = Fraction(1, 1000)
    times = times or [round(1000 * t / RATE) for t in range(len(pictures))]
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"crf": "14", "preset": "ultrafast"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = base
        if turned:
            stream.set_display_rotation(turned)
        voice = out.add_stream("aac", rate=SOUND_RATE, layout="mono") if sound else None
        for pixels, pts in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = pts, base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if voice is not None:
            wave = (8000 * np.sin(np.arange(round(times[-1] / 1000 * SOUND_RATE)) / 9)).astype(np.int16)
            for start in range(0, len(wave), 1024):
                piece = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="s16", layout="mono")
                piece.sample_rate, piece.pts, piece.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
                out.mux(voice.encode(piece))
            out.mux(voice.encode(None))
    return path


def frames_of(path: Path) -> list[Pixels]:
    """As stored, upright or not."""
    with av.open(str(path)) as clip:
        return [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]


def times_of(path: Path) -> list[Fraction]:
    with av.open(str(path)) as clip:
        return [frame.pts * frame.time_base for frame in clip.decode(video=0)]


def sound_of(path: Path) -> list[tuple[Any, ...]]:
    """Bytes and time of every packet."""

    def packets() -> Iterator[tuple[Any, ...]]:
        with av.open(str(path)) as clip:
            for packet in clip.demux(audio=0):
                if packet.size:
                    yield bytes(packet), packet.pts * packet.time_base

    return list(packets())
