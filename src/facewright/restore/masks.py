"""Which pixels of a photo are holes: told by a mask's file, by a folder of masks, or by pure white strokes in the photo itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewright.errors import InputError
from facewright.faces.holes import Holes
from facewright.media import READABLE, Photo, read

Finder = Callable[[Photo], Holes]
"""From a photo to its holes, H x W. Raises InputError."""

WHITE = "the mask is white where there is a hole, black elsewhere, and as large as the photo"


def white(photo: Photo) -> Holes:
    """Where a photo is pure white, which CodeFormer's program takes for holes. JPEG blurs such strokes: save them as PNG or the like."""
    full = photo.pixels == np.iinfo(photo.pixels.dtype).max
    return full if photo.is_grey else np.asarray(full.all(axis=2))


def holes_in(mask: Photo) -> Holes:
    """Where a mask is white: at least half as bright as white, and at least half opaque where it has alpha.

    A mask of one colour only says everything by its alpha: what is painted is the hole, whatever it was painted with.
    """
    half = np.iinfo(mask.pixels.dtype).max / 2
    bright = mask.pixels.mean(axis=2) if mask.pixels.ndim == 3 else mask.pixels
    if mask.alpha is None:
        return np.asarray(bright > half)
    painted = mask.alpha > half
    if painted.any() and not painted.all() and np.ptp(bright[painted]) == 0:
        return np.asarray(painted)
    return np.asarray((bright > half) & painted)


class Masks:
    """The masks of a run: one file for every photo, or a folder with a file of each photo's name (old.jpg has old.png, or old-mask.png).

    The longest path that fits counts: album/1950/a.jpg has 1950/a.png in the folder rather than a.png. Raises InputError where there is
    nothing of that name; for a photo without its mask, for two that could be meant, for one that cannot be read, is of another size, or
    covers all of the photo.
    """

    def __init__(self, path: str | Path, *, pixel_limit: int | None = 200_000_000) -> None:
        self.path, self.pixel_limit = Path(path), pixel_limit
        if not self.path.exists():
            raise InputError(f"cannot read the mask {path}", "there is no such file or folder", "check the path")
        self._found = _named(self.path) if self.path.is_dir() else {}
        self._last: tuple[Path, Holes] | None = None

    def __call__(self, photo: Photo) -> Holes:
        path = self.of(photo)
        if self._last is None or self._last[0] != path:
            self._last = path, holes_in(_read(path, self.pixel_limit))
        holes = self._last[1]
        check_size(holes, photo, str(path))
        return holes

    def of(self, photo: Photo) -> Path:
        """The file of a photo's mask."""
        if not self.path.is_dir():
            return self.path
        source = photo.origin.path
        if source is None:
            raise InputError("cannot choose a mask", "a photo from standard input has no name", "name a file with --mask")
        parts = source.resolve().with_suffix("").parts
        for start in range(len(parts)):
            found = self._found.get(parts[start:], [])
            if len(found) > 1:
                found = [path for path in found if path.suffix.lower() == source.suffix.lower()] or found
            if len(found) > 1:
                names = " and ".join(str(path.relative_to(self.path)) for path in found[:2])
                raise InputError(f"cannot choose a mask for {source}", f"{names} could be meant", "leave one of them")
            if found:
                return found[0]
        raise InputError(f"there is no mask for {source}", f"{self.path} holds none of its name", f"put a {source.stem}.png there")

    @property
    def facts(self) -> list[Any]:
        """What a journal compares: a mask that was painted anew makes another result."""
        paths = [self.path] if not self._found else sorted(path for found in self._found.values() for path in found)
        return [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in dict.fromkeys(paths)]

    def holds(self, path: Path) -> bool:
        """Whether a file is one of the masks, and so no photo."""
        inside, whole = path.resolve(), self.path.resolve()
        return inside == whole or (self.path.is_dir() and whole in inside.parents)


def check_size(holes: NDArray[Any], photo: Photo, name: str) -> None:
    """Raises InputError unless the mask is as large as the (upright) photo."""
    if holes.shape == photo.pixels.shape[:2]:
        return
    height, width = holes.shape[:2]
    turned = ", it lies on its side" if holes.shape[::-1] == photo.pixels.shape[:2] else ""
    raise InputError(
        f"cannot use the mask {name}",
        f"it is {width} x {height}, the photo is {photo.width} x {photo.height}{turned}",
        f"save it at the photo's size: {WHITE}",
    )


def _read(path: Path, pixel_limit: int | None) -> Photo:
    try:
        return read(path, pixel_limit=pixel_limit)
    except InputError as error:
        raise InputError(f"cannot read the mask {path}", error.why, error.what_to_do) from error


def _named(folder: Path) -> dict[tuple[str, ...], list[Path]]:
    """All masks below a folder by their path without suffix."""
    found: dict[tuple[str, ...], list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in READABLE and path.is_file() and not path.name.startswith("."):
            inside = path.relative_to(folder).with_suffix("")
            name = re.sub(r"[-_]mask$", "", inside.name)
            for each in dict.fromkeys((inside.name, name)):
                found.setdefault((*inside.parts[:-1], each), []).append(path)
    return found
