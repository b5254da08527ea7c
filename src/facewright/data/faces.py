"""Sets of face crops, whatever they are kept in: a folder with a manifest, any folder of pictures, WebDataset shards."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from facewright.data.aligned import MANIFEST, FaceRow, Keep, read_manifest
from facewright.data.folder import folder_pictures
from facewright.data.picture import Picture, Pixels
from facewright.data.shards import shard_pictures, shards_of
from facewright.errors import InputError

log = logging.getLogger(__name__)

BUDGET = 2_000_000_000
"""Bytes of decoded pictures that are kept."""
LEAST = 32
"""Pixels; smaller pictures show no face that one could learn from."""


class Faces(Protocol):
    """Square face crops at one size, by index; the order depends on the names alone."""

    size: int
    rows: Sequence[FaceRow]

    def __len__(self) -> int: ...

    def pixels(self, index: int) -> Pixels:
        """S x S x 3 uint8 RGB at `size`; may be called from several threads. Raises InputError where the picture cannot be decoded."""
        ...

    def landmarks(self, index: int) -> NDArray[np.float64] | None:
        """5 x 2 in pixels at `size`, centres at integers; None where they are not known."""
        ...

    def name(self, index: int) -> str:
        """Below the folder or archive, with forward slashes."""
        ...

    def weights(self, shares: dict[str, float]) -> NDArray[np.float64]:
        """Sampling probabilities, one a face: each source in `shares` gets that share of all draws."""
        ...


@dataclass(frozen=True)
class Skipped:
    """A picture that is left out."""

    name: str
    why: str


def open_faces(
    source: str | Path,
    size: int,
    *,
    keep: Keep = lambda row: True,
    limit: int | None = None,
    least: int = LEAST,
    budget: int = BUDGET,
    threads: int | None = None,
) -> FaceSet:
    """The faces of a source that `keep` accepts, at `size` pixels.

    source: a folder with manifest.csv, a folder of pictures (also in its folders), a folder of WebDataset .tar shards, one such shard, or
    a pattern of them (faces-*.tar, faces-{000000..000009}.tar). What a picture without a manifest is taken for, see `folder`.
    limit: about so many of them, evenly spread. least, budget, threads: see FaceSet.
    Raises InputError where there is no such source, or not one good picture in it.
    """
    pictures = list_pictures(source)
    chosen = [picture for picture in pictures if picture.row.problem or keep(picture.row)]
    if not any(not picture.row.problem for picture in chosen):
        _raise_none(source, len(pictures), [Skipped(each.row.name, each.row.problem) for each in chosen])
    if limit is not None:
        chosen = chosen[:: max(1, len(chosen) // limit)]
    root = Path(source) if Path(source).is_dir() else Path(source).parent
    return FaceSet(chosen, size, least=least, budget=budget, threads=threads, root=root, total=len(pictures))


def list_pictures(source: str | Path) -> list[Picture]:
    """All pictures of a source, as for `open_faces`, with what is known of them; nothing is decoded. Raises InputError."""
    path = Path(source)
    if path.name == MANIFEST and path.is_file():
        path = path.parent
    if (path / MANIFEST).is_file():
        return [Picture(row) for row in read_manifest(path)]
    if shards := shards_of(source):
        return shard_pictures(shards)
    if not path.is_dir():
        raise InputError(
            f"cannot read faces from {source}", "there is no such folder or shard", "name a folder of face crops, or .tar shards"
        )
    pictures = folder_pictures(path)
    if not pictures:
        raise InputError(f"no faces in {source}", "it holds no manifest.csv, no .tar shards and no PNG, JPEG or WebP pictures")
    return pictures


class FaceSet:
    """Faces decoded once and kept as uint8 while they fit into `budget` bytes; the others are decoded when asked for.

    What is broken, not square or smaller than `least` pixels is left out: `skipped` lists it, and the log says how many. Where all fit
    (1,400 crops of 320 pixels are 430 MB) they are decoded here; else only their heads are read here, and a picture that later turns out
    broken raises InputError and joins `skipped`. root: the folder that they are in; total: how many pictures the whole source has.
    Raises InputError where not one is good.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        size: int,
        *,
        least: int = LEAST,
        budget: int = BUDGET,
        threads: int | None = None,
        root: Path | None = None,
        total: int | None = None,
    ) -> None:
        self.size, self.least, self.root = size, least, root
        self.total = len(pictures) if total is None else total
        self.skipped = [Skipped(picture.row.name, picture.row.problem) for picture in pictures if picture.row.problem]
        self.pictures = [picture for picture in pictures if not picture.row.problem]
        self._kept = np.empty((min(len(self.pictures), budget // (3 * size * size)), size, size, 3), np.uint8)
        self._slots: dict[int, int] = {}
        self._lock = Lock()
        everything = len(self._kept) == len(self.pictures)
        with ThreadPoolExecutor(threads) as pool:
            problems = list(pool.map(self._load if everything else self._look, range(len(self.pictures))))
        good = [index for index, problem in enumerate(problems) if problem is None]
        self.skipped += [
            Skipped(picture.row.name, problem) for picture, problem in zip(self.pictures, problems, strict=True) if problem is not None
        ]
        if not good:
            _raise_none("", len(pictures), self.skipped)
        if everything:
            self._slots = dict(enumerate(good))
        self.pictures = [self.pictures[index] for index in good]
        self.rows: Sequence[FaceRow] = [picture.row for picture in self.pictures]
        if self.skipped:
            log.warning("%d of %d pictures are left out: %s", len(self.skipped), len(pictures), _listed(self.skipped))

    def __len__(self) -> int:
        return len(self.pictures)

    def pixels(self, index: int) -> Pixels:
        """S x S x 3 uint8 RGB at `size`, not to be written to. Raises InputError where the picture turns out broken."""
        slot = self._slots.get(index)
        if slot is not None:
            return np.asarray(self._kept[slot])
        try:
            pixels = self._decoded(index)
        except InputError as problem:
            self._note(index, problem)
            raise
        with self._lock:
            slot = self._slots.get(index, len(self._slots))
            if slot < len(self._kept):
                self._kept[slot] = pixels
                self._slots[index] = slot
        return pixels

    def stacked(self) -> Pixels:
        """All of them: N x S x S x 3."""
        return np.stack([self.pixels(index) for index in range(len(self))])

    def landmarks(self, index: int) -> NDArray[np.float64] | None:
        row = self.rows[index]
        return None if row.landmarks is None else (row.landmarks + 0.5) * (self.size / row.stored_width) - 0.5

    def name(self, index: int) -> str:
        return self.rows[index].name

    def weights(self, shares: dict[str, float]) -> NDArray[np.float64]:
        """Sampling probabilities: each source in `shares` gets that share of all draws, the rest is split over the other rows.

        Where there are no other rows, the named sources share everything.
        """
        sources = Counter(row.source for row in self.rows)
        named = {source: share for source, share in shares.items() if source in sources}
        others = sum(count for source, count in sources.items() if source not in named)
        left = 1 - sum(named.values())
        weights = np.array([named[row.source] / sources[row.source] if row.source in named else left / max(1, others) for row in self.rows])
        return np.asarray(weights / weights.sum())

    def _decoded(self, index: int) -> Pixels:
        picture = self.pictures[index]
        if picture.row.stored_width < self.least:
            raise InputError(f"cannot use {picture.row.file}", self._too_small(picture.row.stored_width))
        return picture.pixels(self.size)

    def _load(self, index: int) -> str | None:
        try:
            self._kept[index] = self._decoded(index)
        except InputError as problem:
            return problem.why
        return None

    def _look(self, index: int) -> str | None:
        try:
            side = self.pictures[index].side()
        except InputError as problem:
            return problem.why
        return self._too_small(side) if side < self.least else None

    def _too_small(self, side: int) -> str:
        return f"it is {side} pixels wide, and {self.least} are the least"

    def _note(self, index: int, problem: InputError) -> None:
        skipped = Skipped(self.name(index), problem.why)
        with self._lock:
            if skipped in self.skipped:
                return
            self.skipped.append(skipped)
        log.warning("%s is left out: %s", skipped.name, skipped.why)


class AlignedFaces(FaceSet):
    """The faces of chosen rows of a manifest."""

    def __init__(self, rows: Sequence[FaceRow], size: int, *, least: int = LEAST, budget: int = BUDGET) -> None:
        if not rows:
            raise InputError("no faces to read", "the manifest has no row of the wanted use and split")
        super().__init__([Picture(row) for row in rows], size, least=least, budget=budget)


def _raise_none(source: str | Path, found: int, skipped: Sequence[Skipped]) -> NoReturn:
    what = f"no faces to read in {source}" if source else "no faces to read"
    if not skipped:
        raise InputError(what, f"none of its {found} pictures is of the wanted use, split and size")
    raise InputError(
        what, f"not one of {found} pictures can be used: {_listed(skipped)}", "make crops with: facewright dataset align PHOTOS -o DIR"
    )


def _listed(skipped: Sequence[Skipped]) -> str:
    told = "; ".join(f"{each.name} ({each.why})" for each in skipped[:5])
    return told if len(skipped) <= 5 else f"{told}; and {len(skipped) - 5} more"
