"""Any folder of face crops, without a manifest: what the pictures and their names say of themselves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from PIL import Image

from facewright.data.aligned import FaceRow
from facewright.data.picture import FORMATS, Picture, reason, side_of

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_HELD_OUT = 0.05


def folder_pictures(folder: Path) -> list[Picture]:
    """The pictures below a folder, in the order of their names below it; hidden ones and hidden folders are passed over.

    Each may be trained on. A person is the first subfolder, unless its name is a number (as FFHQ's thousands are), else the file. Five
    people in a hundred, chosen by their names and at least one, are "val", the others "train".
    """
    names = sorted(_names(folder))
    with ThreadPoolExecutor() as pool:
        rows = list(pool.map(lambda name: _row(folder, name), names))
    return [Picture(row) for row in with_splits([replace(row, position=position) for position, row in enumerate(rows)])]


def plain_row(file: Path, name: str, width: int, problem: str = "") -> FaceRow:
    """What is known of a picture without a manifest; the split is to be chosen."""
    first = name.split("/", 1)[0] if "/" in name else ""
    person = first if first and not first.isdecimal() else name.rsplit(".", 1)[0]
    return FaceRow(file, person, "train-ok", "", width, None, False, 1.0, {"file": name}, problem=problem)


def with_splits(rows: Sequence[FaceRow]) -> list[FaceRow]:
    """The rows with a split where they have none, the same for all pictures of a person, from the names alone."""
    unknown = {row.person: _draw(row.person) for row in rows if not row.split}
    least = min(unknown.values(), default=0.0)
    # with a single person there is nobody to hold out
    held = {person for person, draw in unknown.items() if draw < _HELD_OUT or (draw == least and len(unknown) > 1)}
    return [row if row.split else replace(row, split="val" if row.person in held else "train") for row in rows]


def _draw(person: str) -> float:
    """A number in [0, 1) that the name decides."""
    return int.from_bytes(sha256(person.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64


def _names(folder: Path) -> list[str]:
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(place).relative_to(folder)
        found += [(below / name).as_posix() for name in files if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
    return found


def _row(folder: Path, name: str) -> FaceRow:
    file = folder / name
    try:
        with Image.open(file, formats=FORMATS) as picture:
            return plain_row(file, name, side_of(picture.size))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        return plain_row(file, name, 0, reason(problem))
