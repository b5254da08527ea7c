"""In which frames of a clip the detector looks, and what it finds there.

Looking is dear, and faces move little from frame to frame: every few frames are enough. Where they are not, it looks between: where a
face came or went, and where one is not where its path leads, half-way until it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from facewright.faces import Face
from facewright.faces.cuts import Cuts
from facewright.faces.track import pairs
from facewright.media.clips import Frame

Detect = Callable[[Any], list[Face]]

EVERY = 0.12
"""Seconds between two looks while all is as expected."""
STRAIGHT = 0.04
"""How far from its path a face may be found, in sides of its box, before it is looked for between the frames as well."""


@dataclass(frozen=True)
class Seen:
    """A frame, and what was found in it; None: nobody looked. cut: a shot begins with it."""

    frame: Frame
    faces: list[Face] | None
    cut: bool


def look(frames: Iterable[Frame], detect: Detect, rate: float, *, every: float = EVERY) -> Iterator[Seen]:
    """Each frame, in order, at most `every` seconds of them held back.

    detect: finds the faces of H x W x 3. It looks at each frame whose index is a multiple of the step, so that a run that begins
    in the middle soon looks at the same frames as one from the beginning, and at the first and the last frame of each shot.
    """
    step = max(1, round(every * rate))
    cuts, shot = Cuts(), _Shot(detect)
    for frame in frames:
        if cuts.begins(frame.pixels):
            yield from shot.close()
            shot = _Shot(detect, cut=True)
        yield from shot.add(frame, wanted=frame.index % step == 0)
    yield from shot.close()


class _Shot:
    """Frames since the last look, which is the first of `held`, until the next."""

    def __init__(self, detect: Detect, cut: bool = False) -> None:
        self.detect, self.cut = detect, cut
        self.held: list[Frame] = []
        self.found: dict[int, list[Face]] = {}
        self.given = -1

    def add(self, frame: Frame, wanted: bool) -> Iterator[Seen]:
        self.held.append(frame)
        if not self.found:
            self._look(frame)
        elif wanted:
            self._look(frame)
            self._between(0, len(self.held) - 1)
        else:
            return
        yield from self._give()

    def close(self) -> Iterator[Seen]:
        """The shot is over: its last frame is looked at as well."""
        if self.held and self.held[-1].index not in self.found:
            self._look(self.held[-1])
            self._between(0, len(self.held) - 1)
        yield from self._give()

    def _look(self, frame: Frame) -> None:
        self.found[frame.index] = self.detect(frame.pixels)

    def _give(self) -> Iterator[Seen]:
        for frame in self.held:
            if frame.index > self.given:
                yield Seen(frame, self.found.get(frame.index), self.cut)
                self.given, self.cut = frame.index, False
        looked = sorted(self.found)
        self.found = {index: self.found[index] for index in looked[-2:]}  # two tell a direction
        self.held = self.held[-1:]

    def _between(self, left: int, right: int) -> None:
        """Look half-way where what was found at both ends is no straight path. left, right: places in `held`."""
        if right - left < 2 or self._is_straight(self.held[left].index, self.held[right].index):
            return
        middle = (left + right) // 2
        self._look(self.held[middle])
        self._between(left, middle)
        self._between(middle, right)

    def _is_straight(self, left: int, right: int) -> bool:
        """Whether all faces went on as before, or hardly moved. left, right: frames that were looked at."""
        a, b = self.found[left], self.found[right]
        partners = dict(pairs(a, b))
        if len(partners) < max(len(a), len(b)):
            return False
        earlier = max((index for index in self.found if index < left), default=None)
        known = {} if earlier is None else {late: early for early, late in pairs(self.found[earlier], a)}
        for here, there in partners.items():
            way = (b[there].landmarks - a[here].landmarks).mean(axis=0)
            if earlier is not None and here in known:
                before = (a[here].landmarks - self.found[earlier][known[here]].landmarks).mean(axis=0)
                way = way - before * (right - left) / (left - earlier)
            if float(np.linalg.norm(way)) > STRAIGHT * b[there].size:
                return False
        return True
