"""Which photos a data set is made from, and in which person's folder each lies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facewright.errors import InputError
from facewright.media import READABLE


@dataclass(frozen=True)
class Source:
    """A photo: `below` is its path below the folder that was named, or its name; `folder` its first subfolder there, "" where in none."""

    path: Path
    below: str
    folder: str = ""


def find_photos(places: Sequence[str | Path], leave_out: Path | None = None) -> list[Source]:
    """Photos that are named, and those in folders that are named (in their folders too), each once, in the order of names.

    Hidden files and folders and what lies in `leave_out` are passed over. Raises InputError for a place that is
    not there, or without photos.
    """
    found: dict[str, Source] = {}
    skipped = None if leave_out is None else leave_out.resolve()
    for place in map(Path, places):
        if place.is_dir():
            inside = sorted(_below(place, skipped))
            if not inside:
                raise InputError(f"no photos in {place}", "it holds no file with a picture's suffix")
            for name in inside:
                path = place / name
                found.setdefault(os.path.realpath(path), Source(path, name, name.split("/")[0] if "/" in name else ""))
        elif place.is_file():
            found.setdefault(os.path.realpath(place), Source(place, place.name))
        else:
            raise InputError(f"cannot read {place}", "there is no such photo or folder")
    return list(found.values())


def _below(folder: Path, skipped: Path | None) -> list[str]:
    names = []
    for place, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith(".") and (Path(place) / each).resolve() != skipped]
        names += [
            (Path(place) / each).relative_to(folder).as_posix()
            for each in files
            if Path(each).suffix.lower() in READABLE and not each.startswith(".")
        ]
    return names
