"""Restored faces come and go gradually: a face that is found in one frame and not in the next must not pop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

EASED = 0.2
"""Seconds in which a face fades in or out."""

T = TypeVar("T")


@dataclass
class _Waiting(Generic[T]):
    """A frame, its tracks, and the number of its shot. frame is None once it was given: pictures are large."""

    frame: T | None
    tracks: frozenset[int]
    shot: int


class Easing(Generic[T]):
    """How much of each track is shown in each frame, from the frames in which it is there and wanted, those to come included.

    A track is shown in full `reach` frames after it begins and before it ends. A shot's first and last frames are no beginning and no
    end: there, all of it is seen at once. rate: frames a second.
    """

    def __init__(self, rate: float, *, eased: float = EASED) -> None:
        self.reach = max(1, round(eased * rate))
        self._frames: list[_Waiting[T]] = []
        self._due = 0  # place in `_frames` of the next frame to be given

    def add(self, frame: T, tracks: Iterable[int], cut: bool) -> Iterator[tuple[T, dict[int, float]]]:
        """The next frame, its tracks, and whether it begins a shot. Yields those that are settled, with their tracks' parts (0 to 1]."""
        shot = self._frames[-1].shot + cut if self._frames else 0
        self._frames.append(_Waiting(frame, frozenset(tracks), shot))
        yield from self._settled(self.reach)

    def finish(self) -> Iterator[tuple[T, dict[int, float]]]:
        yield from self._settled(0)

    def _settled(self, later: int) -> Iterator[tuple[T, dict[int, float]]]:
        while self._due + later < len(self._frames):
            here = self._frames[self._due]
            frame, here.frame = here.frame, None
            assert frame is not None
            yield frame, {track: self._distance(track) / (self.reach + 1) for track in here.tracks}
            self._due += 1
            if self._due > self.reach:
                del self._frames[0]
                self._due -= 1

    def _distance(self, track: int) -> int:
        """Frames to the nearest one of this shot that lacks the track; reach + 1 where all lie further."""
        shot = self._frames[self._due].shot
        for away in range(1, self.reach + 1):
            for place in (self._due - away, self._due + away):
                if 0 <= place < len(self._frames) and self._frames[place].shot == shot and track not in self._frames[place].tracks:
                    return away
        return self.reach + 1


class Following:
    """A number for each track that follows its wish, at most a step each frame. Tracks that are gone are forgotten."""

    def __init__(self, rate: float, *, eased: float = EASED) -> None:
        self.step = 1 / (1 + max(1, round(eased * rate)))
        self._at: dict[int, float] = {}

    def next(self, wishes: dict[int, float], *, falls_at_once: bool = False) -> dict[int, float]:
        """The numbers of one frame. A new track begins where it wishes. falls_at_once: only rise gradually."""
        at = {}
        for track, wish in wishes.items():
            last = self._at.get(track, wish)
            low = wish if falls_at_once else last - self.step
            at[track] = min(max(wish, low), last + self.step)
        self._at = at
        return dict(at)
