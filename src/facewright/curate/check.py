"""Is a set of faces fit to be trained on? What `facewright dataset check` does: every picture is decoded once."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.curate.alike import NEAR_EQUAL, Thumb, difference, near_pairs, thumb_of
from facewright.curate.manifest import missing_columns, read_table
from facewright.data.aligned import MANIFEST
from facewright.data.faces import LEAST, list_pictures
from facewright.data.folder import SUFFIXES
from facewright.data.picture import Picture
from facewright.errors import InputError

FAULTS = {
    "unreadable": "cannot be read",
    "oblong": "are not square",
    "tiny": f"are smaller than {LEAST} pixels",
    "other width": "have another width than the manifest says",
    "landmarks outside": "have landmarks outside the picture",
    "person in two splits": "show a person who is in another split too",
    "repeated across splits": "are in another split too",
}
REMARKS = {
    "repeated": "are there twice",
    "nearly the same": "are nearly the same as another",
    "not in the manifest": "are not in the manifest",
}
_ALIKE = 0.14
"""Distance of two outlines below which the thumbs are compared: a correlation of 0.99."""


@dataclass
class Checked:
    """pictures: how many there are. faults: (name, why) by the keys of FAULTS; a picture with one is bad. remarks: by those of REMARKS."""

    pictures: int = 0
    faults: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    remarks: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def bad(self) -> list[str]:
        """Names of pictures with a fault."""
        return sorted({name for found in self.faults.values() for name, _ in found})


@dataclass(frozen=True)
class _Look:
    side: int
    content: str
    thumb: Thumb


def check(source: str | Path, on_picture: Callable[[], None] = lambda: None) -> Checked:
    """Look at every picture of a folder, a manifest or shards. Raises InputError where nothing is there, or columns are missing."""
    path = Path(source)
    if (path / MANIFEST).is_file() and (missing := missing_columns(read_table(path)[0])):
        named = "column" if len(missing) == 1 else "columns"
        raise InputError(f"cannot use {path / MANIFEST}", f"it has no {named} {', '.join(missing)}")
    pictures = list_pictures(source)
    result = Checked(len(pictures))
    looks: dict[str, tuple[Picture, _Look]] = {}
    with ThreadPoolExecutor() as pool:
        for picture, look in zip(pictures, pool.map(_look, pictures), strict=True):
            on_picture()
            if isinstance(look, str):
                result.faults["oblong" if "square" in look else "unreadable"].append((picture.row.name, look))
            else:
                looks[picture.row.name] = picture, look
                _check_one(picture, look, result)
    _check_people([picture for picture, _ in looks.values()], result)
    _check_repeats(looks, result)
    if (path / MANIFEST).is_file():
        _check_unlisted(path, {picture.row.name for picture in pictures}, result)
    return result


def _look(picture: Picture) -> _Look | str:
    """What is seen, or why nothing is."""
    if picture.row.problem:
        return picture.row.problem
    try:
        pixels = picture.pixels()
    except InputError as problem:
        return problem.why
    return _Look(len(pixels), sha256(pixels.tobytes()).hexdigest(), thumb_of(pixels))


def _check_one(picture: Picture, look: _Look, result: Checked) -> None:
    row = picture.row
    if look.side < LEAST:
        result.faults["tiny"].append((row.name, f"{look.side} pixels"))
    if look.side != row.stored_width:
        result.faults["other width"].append((row.name, f"it has {look.side} pixels, the manifest says {row.stored_width}"))
    if row.landmarks is not None and not ((row.landmarks >= -0.5) & (row.landmarks <= look.side - 0.5)).all():
        result.faults["landmarks outside"].append((row.name, "its points lie beyond its edge"))


def _check_people(pictures: list[Picture], result: Checked) -> None:
    """Only what is trained on counts: a picture kept for evaluation may show anybody of its split's neighbours."""
    splits: dict[str, set[str]] = defaultdict(set)
    for picture in pictures:
        if picture.row.use == "train-ok":
            splits[picture.row.person].add(picture.row.split)
    for picture in pictures:
        others = splits[picture.row.person] - {picture.row.split}
        if picture.row.use == "train-ok" and others:
            why = f"{picture.row.person} is in {picture.row.split} and in {', '.join(sorted(others))}"
            result.faults["person in two splits"].append((picture.row.name, why))


def _check_repeats(looks: dict[str, tuple[Picture, _Look]], result: Checked) -> None:
    first: dict[str, Picture] = {}
    for name, (picture, look) in looks.items():
        other = first.setdefault(look.content, picture)
        if other is picture:
            continue
        if other.row.split != picture.row.split:
            result.faults["repeated across splits"].append((name, f"{other.row.name} is the same and in {other.row.split}"))
        else:
            result.remarks["repeated"].append((name, other.row.name))
    single = [picture.row.name for picture in first.values()]
    thumbs = [looks[name][1].thumb for name in single]
    near: dict[int, int] = {}
    for i, j in near_pairs(_outlines(thumbs), _ALIKE):
        if difference(thumbs[i], thumbs[j]) < NEAR_EQUAL:
            near.setdefault(j, i)
    if near:
        result.remarks["nearly the same"] = [(single[j], single[i]) for j, i in near.items()]


def _outlines(thumbs: list[Thumb]) -> NDArray[np.float32]:
    """N x 64: each picture at 8 x 8, with mean 0 and length 1."""
    small = [cv2.resize(thumb, (8, 8), interpolation=cv2.INTER_AREA).astype(np.float32).reshape(-1) for thumb in thumbs]
    flat = [each - each.mean() for each in small]
    return np.array([each / max(float(np.linalg.norm(each)), 1.0) for each in flat], np.float32).reshape(-1, 64)


def _check_unlisted(folder: Path, listed: set[str], result: Checked) -> None:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            below = (Path(place) / name).relative_to(folder).as_posix()
            if name.lower().endswith(SUFFIXES) and below not in listed:
                result.remarks["not in the manifest"].append((below, ""))
