"""What is told of a restored clip in the end: who was in it, what was done to each, and how calm it is. It outlives a kill."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from facewright.faces import Face
from facewright.faces.track import Tracked, pairs
from facewright.media import write_atomically
from facewright.metrics import Flicker
from facewright.restore.result import FaceResult

_NOTE = "tally-{:09d}.json"


@dataclass
class Person:
    """Somebody in a clip. first, last: frames. frames: in how many the face was followed; restored, blended: in how many of these it was.

    reasons: by their text without numbers: an example, and in how many frames. identity: the largest distance of what was pasted.
    """

    first: int
    last: int
    frames: int = 0
    restored: int = 0
    blended: int = 0
    identity: float | None = None
    fidelity: float = 0.0
    score: float = 0.0
    pixels: float = 0.0
    reasons: dict[str, tuple[str, int]] = field(default_factory=dict)

    def add(self, face: FaceResult) -> None:
        self.frames += 1
        self.restored += face.action == "restored"
        self.blended += face.action == "blended"
        if face.identity is not None and face.action != "left alone":
            self.identity = max(self.identity or 0.0, face.identity)
        self.fidelity += face.fidelity or 0.0
        self.score = max(self.score, face.face.score)
        self.pixels = max(self.pixels, face.pixels)
        for reason in face.reasons:
            if not reason.startswith("w "):  # each frame has its own
                key = re.sub(r"[0-9.]+", "#", reason)
                example, count = self.reasons.get(key, (reason, 0))
                self.reasons[key] = (example, count + 1)

    def told(self, number: int) -> dict[str, Any]:
        done = self.restored + self.blended
        action = "left alone" if not done else "restored" if self.restored >= self.blended else "blended"
        often = sorted(self.reasons.values(), key=lambda each: -each[1])
        return {
            "face": number,
            "first_frame": self.first,
            "last_frame": self.last,
            "frames": self.frames,
            "frames_restored": done,
            "action": action,
            "reasons": [text if count == self.frames else f"{text} ({count:,} of {self.frames:,} frames)" for text, count in often[:3]],
            "fidelity": round(self.fidelity / done, 3) if done else None,
            "identity[dlib]": None if self.identity is None else round(self.identity, 3),
            "score": round(self.score, 4),
            "crop_pixels": round(self.pixels, 1),
        }


class Tally:
    """memory: how many frames back the places of faces are kept, for a run that goes on there."""

    def __init__(self, memory: int) -> None:
        self.frames = 0
        self.people: dict[int, Person] = {}
        self.flicker = Flicker()
        self._places: deque[tuple[int, dict[int, Face]]] = deque(maxlen=memory + 1)

    def place(self, frame: int, faces: Iterable[tuple[int, Face]]) -> None:
        """Who is where in a frame, restored or not."""
        self._places.append((frame, dict(faces)))

    def add(self, frame: int, faces: Iterable[tuple[int, FaceResult]]) -> None:
        """A frame that was written."""
        self.frames += 1
        for number, face in faces:
            person = self.people.setdefault(number, Person(frame, frame))
            person.last = frame
            person.add(face)

    @property
    def restored(self) -> int:
        """Faces of frames that were changed."""
        return sum(person.restored + person.blended for person in self.people.values())

    def told(self) -> list[dict[str, Any]]:
        return [person.told(number) for number, person in sorted(self.people.items())]

    def save(self, folder: Path) -> None:
        """Note what holds for the frames so far, for a run that goes on behind them. Raises OutputError."""
        places = [[frame, {number: _as_list(face) for number, face in faces.items()}] for frame, faces in self._places]
        held = {
            "frames": self.frames,
            "people": {number: asdict(person) for number, person in self.people.items()},
            "flicker": self.flicker.sums.tolist(),
            "places": places,
        }
        write_atomically(folder / _NOTE.format(self.frames), json.dumps(held).encode())
        for older in sorted(folder.glob(_NOTE.format(0).replace("0" * 9, "*")))[:-2]:
            older.unlink(missing_ok=True)

    def load(self, folder: Path, frames: int) -> bool:
        """What an earlier run noted for its first `frames` frames; False where it did not."""
        try:
            held = json.loads((folder / _NOTE.format(frames)).read_text("utf-8"))
            people = {
                int(number): Person(**{**each, "reasons": {key: (str(text), int(count)) for key, (text, count) in each["reasons"].items()}})
                for number, each in held["people"].items()
            }
            sums = np.array(held["flicker"], np.float64)
            places = [(int(frame), {int(number): _as_face(each) for number, each in faces.items()}) for frame, faces in held["places"]]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        self.frames, self.people, self.flicker.sums = frames, people, sums
        self._places.extend(places)
        return True


class Numbers:
    """The numbers by which people are told: those of the tracks, or, in a run that goes on, those that the earlier run gave them."""

    def __init__(self, earlier: Tally) -> None:
        self._places = dict(earlier._places)
        self._free = max(earlier.people, default=-1) + 1
        self._names: dict[int, int] = {}

    def of(self, frame: int, tracked: Sequence[Tracked]) -> list[int]:
        """For each face its person's number."""
        known = self._places.pop(frame, {})
        numbers = list(known)
        for here, there in pairs([each.face for each in tracked], [known[number] for number in numbers]):
            self._names.setdefault(tracked[here].track, numbers[there])
        for each in tracked:
            if each.track not in self._names:
                self._names[each.track], self._free = self._free, self._free + 1
        return [self._names[each.track] for each in tracked]


def _as_list(face: Face) -> list[Any]:
    return [face.box.tolist(), face.landmarks.tolist(), face.score, face.turn]


def _as_face(held: list[Any]) -> Face:
    box, landmarks, score, turn = held
    return Face(np.array(box, np.float64), np.array(landmarks, np.float64), float(score), int(turn))
