"""Faces from frame to frame of a clip: who is who, and where each is without the detector's trembling.

A tracker is fed the frames in order and answers a little later, when what follows is known: a face that was missed, or not looked for,
is put between the finds before and after; the points are smoothed by both sides, so that they do not lag behind a moving face. What it
keeps does not grow with the clip.

The smoothing was chosen by measuring, on a photographed face moved about in noise and JPEG, 25 frames a second, 30 px between the
eyes. Step from frame to frame of the still face, and error of the moving one's centre (a shake of 8 px at 2 Hz), in pixels:

                                            still   shaken
    the detector's points as they are       0.207   0.10
    a line, 0.08 s, whatever moves          0.021   2.06
    a line, 0.08 s, while it fits (here)    0.021 to 0.063   0.18 to 0.44
    one-euro filter (cutoff 1, beta 0.05)   0.032   3.36
    one-euro filter (cutoff 2, beta 0.05)   0.055   2.72
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewright.faces.align import TEMPLATE, similarity, solve
from facewright.faces.face import Face
from facewright.faces.warp import invert, transform

Floats = NDArray[np.float64]
Embed = Callable[[Face], NDArray[Any]]

BRIDGED = 0.5
"""Seconds for which a face may be missed and still be followed."""
SMOOTHED = 0.08
"""Standard deviation of the smoothing in seconds, where a face moves slowly enough for it."""
LEAST_LOOKS = 2
"""Finds that make a face: what was seen once, and not at the next look, was none."""
REACH = 0.6
"""How far from where it is expected a face may turn up, in sides of its box."""
SCALES = 1.6
"""By how much its size may change from find to find."""
REVIVED = 0.45
"""Identity distance (of the embedding that is handed in) under which somebody comes back with his old number."""
_REMEMBERED = 32  # people who left the shot
_EMBEDDED_AGAIN = 0.5  # seconds
_NOISE = 0.015  # of the distance between the eyes: how far finds of a still face lie from their mean (measured: 0.003 to 0.01)


@dataclass(frozen=True)
class Tracked:
    """A face in one frame. track: the person's number, from 0 in order of appearance; the same after a gap, another after a cut.

    face: its landmarks and box smoothed, its affine set. looked: whether the detector found it in this very frame.
    """

    track: int
    face: Face
    looked: bool


@dataclass(frozen=True)
class Moment:
    """The faces of one frame. index: of the frame, from 0. cut: a shot begins with it."""

    index: int
    faces: list[Tracked]
    cut: bool


class Tracker:
    """rate: frames a second. Feed it with `add`, frame by frame, and `finish`; both return what is settled, in order, each frame once.

    Memory: `horizon` frames' faces at most, however long the clip is.
    """

    def __init__(self, rate: float, *, bridged: float = BRIDGED, smoothing: float = SMOOTHED) -> None:
        self.gap = max(1, round(bridged * rate))
        self.sigma = smoothing * rate
        self.reach = max(1, round(2 * self.sigma))
        self._again = max(1, round(_EMBEDDED_AGAIN * rate))
        self._tracks: list[_Track] = []
        self._left: list[_Track] = []
        self._cuts: set[int] = set()
        self._coming = self._due = self._people = 0

    @property
    def horizon(self) -> int:
        """How many frames, at most, lie between the last one fed and the last one returned."""
        return self.gap + self.reach + 1

    def add(self, faces: Sequence[Face] | None, *, cut: bool = False, embed: Embed | None = None) -> list[Moment]:
        """The next frame. faces: what was found in it; None: nobody looked. cut: a new shot begins, which ends all tracks.

        embed: an identity embedding (unit of distance: 0.6 is somebody else) of a face of this frame; asked only where faces come so close
        that their places do not tell them apart, and now and then for reference while several are about.
        """
        now = self._coming
        if cut and now:
            self._cuts.add(now)
            for track in self._tracks:
                track.ended = True
            self._left = []
        if faces is not None:
            self._assign(now, faces, embed)
        for track in self._tracks:
            if not track.ended and now - track.last >= self.gap + 1:
                self._end(track)
        self._coming += 1
        return self._settled()

    def finish(self) -> list[Moment]:
        """The clip is over: all that is left."""
        for track in self._tracks:
            track.ended = True
        return self._settled(over=True)

    def _assign(self, now: int, faces: Sequence[Face], embed: Embed | None) -> None:
        live = [track for track in self._tracks if not track.ended]
        costs = np.array([[cost(track.expected(now), face, self._reach_of(track, now)) for face in faces] for track in live])
        costs = costs.reshape(len(live), len(faces))
        near = np.isfinite(costs)
        known: dict[int, NDArray[Any]] = {}

        def embedded(column: int) -> NDArray[Any]:
            assert embed is not None
            if column not in known:
                known[column] = np.asarray(embed(faces[column]), np.float64)
            return known[column]

        if embed is not None:
            for row, column in zip(*np.nonzero(near), strict=True):
                # a place that two could have, or one who could be at two places
                doubtful = near[row].sum() > 1 or near[:, column].sum() > 1
                if doubtful and live[row].embedding is not None:
                    costs[row, column] += 2 * live[row].distance(embedded(column))
        taken = dict(_paired(costs))
        for row, track in enumerate(live):
            if row in taken:
                track.see(now, faces[taken[row]])
            else:
                track.doubted = True
        for column, face in enumerate(faces):
            if column not in taken.values():
                track = _Track(-1, now, face)
                if embed is not None and self._left:
                    track.embed(now, embedded(column))
                    track.number = self._number_of(track)
                self._tracks.append(track)
        if embed is not None and len(faces) > 1:
            seen = {id(track.newest): track for track in self._tracks if track.last == now}
            for column, face in enumerate(faces):
                track = seen[id(face)]
                alone = all(other is face or overlap(face.box, other.box) < 0.05 for other in faces)
                if alone and near[:, column].sum() <= 1 and now - track.embedded >= self._again:
                    track.embed(now, embedded(column))

    def _reach_of(self, track: _Track, now: int) -> float:
        """Who was not seen for a while may have gone another way."""
        return REACH * (1 + (now - track.last) / self.gap)

    def _number_of(self, newcomer: _Track) -> int:
        """The number of somebody who left this shot and is back, else -1: a new one is given when it is sure that it is a face."""
        distances = [newcomer.distance(track.embedding) for track in self._left if track.embedding is not None]
        if not distances or min(distances) > REVIVED:
            return -1
        back = [track for track in self._left if track.embedding is not None][int(np.argmin(distances))]
        self._left.remove(back)
        return back.number

    def _end(self, track: _Track) -> None:
        track.ended = True
        if track.looks >= LEAST_LOOKS and track.embedding is not None:
            self._left = [*self._left, track][-_REMEMBERED:]

    def _settled(self, over: bool = False) -> list[Moment]:
        ready = []
        while self._due < self._coming and (over or self._is_settled(self._due)):
            ready.append(self._moment(self._due))
            self._due += 1
        since = self._due - self.reach
        self._tracks = [track for track in self._tracks if not track.ended or track.last >= self._due]
        for track in self._tracks:
            track.forget(since)
        return ready

    def _is_settled(self, frame: int) -> bool:
        shot_over = any(cut > frame for cut in self._cuts)
        if not shot_over and self._coming <= frame + self.reach:
            return False
        return not any(
            not track.ended and track.first <= frame and (track.last < frame or track.looks < LEAST_LOOKS) for track in self._tracks
        )

    def _moment(self, frame: int) -> Moment:
        here = [track for track in self._tracks if track.first <= frame <= track.last and self._is_face(track)]
        for track in here:
            if track.number < 0:
                track.number, self._people = self._people, self._people + 1
        faces = [Tracked(track.number, track.at(frame, self.sigma, self.reach), frame in track.finds) for track in here]
        cut = frame in self._cuts
        self._cuts.discard(frame)
        return Moment(frame, faces, cut)

    def _is_face(self, track: _Track) -> bool:
        """A single find counts only where there was no other look that could have confirmed it."""
        return track.looks >= LEAST_LOOKS or not track.doubted


@dataclass
class _Track:
    """One face while it is followed. finds: frame -> what was found there, only as far back as smoothing reaches."""

    number: int
    first: int
    newest: Face
    looks: int = 1
    ended: bool = False
    doubted: bool = False
    embedding: NDArray[Any] | None = None
    embedded: int = -(10**9)
    embeddings: int = 0
    finds: dict[int, Face] = field(default_factory=dict)
    numbers: dict[int, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.last = self.first
        self.finds[self.first], self.numbers[self.first] = self.newest, _as_numbers(self.newest)

    def see(self, frame: int, face: Face) -> None:
        self.last, self.newest = frame, face
        self.finds[frame], self.numbers[frame] = face, _as_numbers(face)
        self.looks += 1

    def expected(self, frame: int) -> Face:
        """Where it goes if it moves on as between the finds that are kept."""
        first = min(self.finds)
        if first == self.last:
            return self.newest
        # a velocity that rests on few frames does not reach far
        onward = min(frame - self.last, 4 * (self.last - first)) / (self.last - first)
        return _between(self.finds[first], self.newest, 1 + onward)

    def at(self, frame: int, sigma: float, reach: int) -> Face:
        """Its place in a frame from `first` to `last`, smoothed."""
        known = sorted(self.finds)
        frames = np.arange(max(known[0], frame - reach), min(self.last, frame + reach) + 1)
        values = np.stack([self.numbers[each] for each in known])
        dense = np.stack([np.interp(frames, known, column) for column in values.T], axis=1)
        nearest = self.finds[min(known, key=lambda each: abs(each - frame))]
        eyes = float(np.linalg.norm(nearest.landmarks[1] - nearest.landmarks[0]))
        numbers = smoothed(frames - frame, dense, sigma, _NOISE * eyes)
        box, landmarks, placed = numbers[:4], numbers[4:14].reshape(5, 2), numbers[14:].reshape(5, 2)
        return replace(nearest, box=box, landmarks=landmarks, affine=solve(placed, TEMPLATE))

    def forget(self, since: int) -> None:
        """Finds before `since`, but for the last one before it and the last two of all."""
        known = sorted(self.finds)
        for each in [each for each in known[:-2] if each <= since][:-1]:
            del self.finds[each], self.numbers[each]

    def embed(self, frame: int, embedding: NDArray[Any]) -> None:
        """Its reference is the mean of what was seen so far."""
        self.embeddings += 1
        held = np.zeros_like(embedding) if self.embedding is None else self.embedding
        self.embedding = held + (embedding - held) / self.embeddings
        self.embedded = frame

    def distance(self, embedding: NDArray[Any]) -> float:
        assert self.embedding is not None
        return float(np.linalg.norm(self.embedding - embedding))


def cost(expected: Face, found: Face, reach: float = REACH) -> float:
    """How badly two faces match: 0 for the same place, up to 1 + reach, infinite out of reach.

    1 - overlap of the boxes, and the mean distance of the points in sides of the box, which is what `reach` limits.
    """
    side, other = (float(np.sqrt(max(face.area, 1e-6))) for face in (expected, found))
    if max(side, other) > SCALES * min(side, other):
        return float("inf")
    apart = float(np.linalg.norm(expected.landmarks - found.landmarks, axis=1).mean()) / max(side, other)
    return apart + 1 - overlap(expected.box, found.box) if apart <= reach else float("inf")


def pairs(before: Sequence[Face], after: Sequence[Face]) -> list[tuple[int, int]]:
    """Which face is which, by their places alone, best match first; what matches nothing is left out."""
    return _paired(np.array([[cost(a, b) for b in after] for a in before]).reshape(len(before), len(after)))


def overlap(a: Floats, b: Floats) -> float:
    """Of two boxes x1, y1, x2, y2: their common area in their joint area."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    common = float(np.prod(np.clip(high - low, 0, None)))
    joint = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - common
    return common / joint if joint > 0 else 0.0


def smoothed(offsets: NDArray[Any], values: Floats, sigma: float, noise: float) -> Floats:
    """The values at offset 0: a line through what is near, by least squares with Gaussian weights.

    offsets: N frames from the wanted one, which is among them. values: N x D. sigma: in frames; it shrinks until the line misses the
    values by no more than `noise` (RMS, in their own unit), so that a turn or a jerk is followed and only the detector's trembling goes.
    A line, not a mean: steady motion is followed without lag, also at a track's first and last frame.
    """
    offsets = np.asarray(offsets, np.float64)
    while True:
        weights = np.exp(-0.5 * (offsets / sigma) ** 2)
        weights /= weights.sum()
        middle, mean = weights @ offsets, weights @ values
        away = offsets - middle
        spread = weights @ away**2
        slope = (weights * away) @ (values - mean) / spread if spread > 1e-9 else np.zeros_like(mean)
        missed = float(np.sqrt((weights @ (values - mean - away[:, None] * slope) ** 2).mean()))
        if missed <= noise or sigma < 0.3:
            return np.asarray(mean - middle * slope)
        sigma *= 0.8


def _paired(costs: Floats) -> list[tuple[int, int]]:
    """Rows with columns, each once, cheapest first."""
    chosen: list[tuple[int, int]] = []
    for row, column in sorted(zip(*np.nonzero(np.isfinite(costs)), strict=True), key=lambda place: float(costs[place])):
        if all(row != r and column != c for r, c in chosen):
            chosen.append((int(row), int(column)))
    return chosen


def _between(a: Face, b: Face, part: float) -> Face:
    """part 0: a; 1: b; beyond 1: where b goes on."""
    return replace(b, box=a.box + part * (b.box - a.box), landmarks=a.landmarks + part * (b.landmarks - a.landmarks))


def _as_numbers(face: Face) -> Floats:
    """Box, landmarks, and where the template's points lie in the photo: 24 numbers that may be averaged.

    An alignment is fitted to those points that agree, and which do changes from frame to frame: so the fits are averaged, not the points.
    """
    placed = transform(invert(similarity(face.landmarks)), TEMPLATE)
    return np.concatenate([face.box, face.landmarks.ravel(), placed.ravel()])
