"""What was learned of each photo, one JSON line a photo, so that a run that was ended goes on where it was."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from facewright.curate.alike import THUMB, Seen
from facewright.errors import InputError, OutputError

FILE = ".facewright-align.jsonl"


@dataclass
class FaceNote:
    """A crop's columns of the manifest, and what tells the face; largest: in its photo."""

    columns: dict[str, str]
    embedding: str
    thumb: str
    largest: bool

    @property
    def file(self) -> str:
        return self.columns["file"]

    @property
    def seen(self) -> Seen:
        thumb = np.frombuffer(base64.b64decode(self.thumb), np.uint8).reshape(THUMB, THUMB)
        return Seen(np.frombuffer(base64.b64decode(self.embedding), np.float32), thumb, float(self.columns["native_width"]))


@dataclass
class PhotoNote:
    """path: resolved; stamp: size and time of change; below, folder: see photos.Source. error: why it could not be read.

    small, outside: faces that were left out as too small, or as lying mostly outside the photo.
    """

    path: str
    stamp: list[int]
    below: str
    folder: str
    faces: list[FaceNote] = field(default_factory=list)
    error: str = ""
    small: int = 0
    outside: int = 0


class Journal:
    """Append-only, one in a folder of crops. Raises InputError where it was begun with other settings, OutputError."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.path = folder / FILE
        self.photos: dict[str, PhotoNote] = {}
        self.dropped: set[str] = set()
        """Crops that were removed as repeated."""
        begun = None
        for line in self._lines():
            if "settings" in line:
                begun = line["settings"]
            elif "dropped" in line:
                self.dropped = set(line["dropped"])
            elif "path" in line:
                note = PhotoNote(**{**line, "faces": [FaceNote(**face) for face in line["faces"]]})
                self.photos[note.path] = note
        if begun is None:
            self._append({"settings": settings})
        elif begun != settings:
            told = ", ".join(f"--{name.replace('_', '-')} {value}" for name, value in begun.items())
            raise InputError(f"cannot go on in {folder}", f"it was begun with {told}", "give the same, or another folder with -o")

    def add(self, note: PhotoNote) -> None:
        self.photos[note.path] = note
        self._append(asdict(note))

    def drop(self, files: set[str]) -> None:
        if files != self.dropped:
            self.dropped = files
            self._append({"dropped": sorted(files)})

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Whole lines; the one that a kill cut short is passed over."""
        if not self.path.is_file():
            return
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                content = json.loads(line)
            except ValueError:
                continue
            if isinstance(content, dict):
                yield content

    def _append(self, content: dict[str, Any]) -> None:
        try:
            with self.path.open("ab") as file:
                # a line break first: the last line may have been cut short
                start = b"\n" if file.tell() else b""
                file.write(start + json.dumps(content).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as problem:
            raise OutputError(f"cannot write {self.path}", problem.strerror or str(problem), "choose another folder with -o") from problem


def packed(array: np.ndarray[Any, Any]) -> str:
    """An array's bytes as text."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
