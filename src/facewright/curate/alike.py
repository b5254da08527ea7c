"""Which crops are of one person, and which are one photograph twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Thumb = NDArray[np.uint8]

SAME_PERSON = 0.6
"""dlib's own threshold for two photographs of one person (identity[dlib])."""
SURELY_SAME = 0.45
"""Below it, strangers are rare enough to follow chains of likeness; people nearer than this are kept in one split."""
REPEATED = 0.25
"""Two copies of one photograph lie closer than this, and so may two photographs of one minute: pixels decide."""
NEAR_EQUAL = 6.0
"""Mean difference of two thumbs in levels of 255, brightness and contrast apart."""
THUMB = 32
_BLOCK = 1024
_K = TypeVar("_K", bound=Hashable)


@dataclass
class Seen:
    """What tells a face: its embedding (128), a grey thumb (THUMB x THUMB), and the width that the photo has of it."""

    embedding: Floats
    thumb: Thumb
    width: float


def thumb_of(pixels: NDArray[np.uint8]) -> Thumb:
    """pixels: S x S x 3 RGB."""
    small = cv2.resize(pixels, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def difference(one: Thumb, other: Thumb) -> float:
    """Mean absolute difference in levels, once both have the same mean and spread."""
    a, b = (thumb.astype(np.float64) - thumb.mean() for thumb in (one, other))
    spread = (a.std() + b.std()) / 2
    return float(np.abs(a / max(a.std(), 1.0) - b / max(b.std(), 1.0)).mean() * spread)


def repeats(faces: Sequence[Seen]) -> dict[int, int]:
    """{index: index of the copy that stays} of the same photograph in several copies; the widest stays, then the first."""
    kept_by: dict[int, int] = {}
    order = sorted(range(len(faces)), key=lambda index: (-faces[index].width, index))
    place = {index: rank for rank, index in enumerate(order)}
    pairs = sorted(
        (sorted(pair, key=place.__getitem__) for pair in _near(faces, REPEATED)), key=lambda pair: [place[each] for each in pair]
    )
    for better, worse in pairs:
        if better not in kept_by and worse not in kept_by and difference(faces[better].thumb, faces[worse].thumb) < NEAR_EQUAL:
            kept_by[worse] = better
    return kept_by


def people(
    faces: Sequence[Seen], photos: Sequence[str], folders: Sequence[str], largest: Sequence[bool], names: Sequence[str]
) -> list[str]:
    """A person's name for each face.

    photos: where each was found; two faces of one photo are two people. folders: the subfolder that the photo lies in, "" where in none.
    largest: whether it is the photo's largest face. names: of the crops.
    A subfolder is taken for a person's where most of its photos' largest faces are one person; the faces in it that are another's, and
    faces without such a folder, are grouped by likeness, and join a folder's person where they are alike. A group has the name of its
    first crop.
    """
    label: list[str | None] = [None] * len(faces)
    for folder, members in _by(folders).items():
        core = _core(faces, [index for index in members if largest[index]]) if folder else None
        if core is not None:
            for index in members:
                if float(np.linalg.norm(faces[index].embedding - core)) < SAME_PERSON:
                    label[index] = folder
    found: list[str] = [""] * len(faces)
    for group in _groups(len(faces), ((i, j) for i, j in _near(faces, SURELY_SAME) if photos[i] != photos[j])):
        known = Counter(label[index] for index in group if label[index] is not None)
        common = min(known, key=lambda each: (-known[each], each or "")) if known else None
        for index in group:
            found[index] = label[index] or common or names[group[0]]
    return found


def _core(faces: Sequence[Seen], members: Sequence[int]) -> Floats | None:
    """The embedding that most of the members are like; None where fewer than three fifths are."""
    if not members:
        return None
    embeddings = np.stack([faces[index].embedding for index in members])
    like = np.stack([np.linalg.norm(embeddings - each, axis=1) < SAME_PERSON for each in embeddings]).sum(axis=0)
    best = int(like.argmax())
    return np.asarray(embeddings[best]) if like[best] >= 0.6 * len(members) else None


def near_pairs(vectors: Floats, limit: float) -> Iterator[tuple[int, int]]:
    """Pairs i < j of N x D vectors closer than `limit`."""
    squares = (vectors**2).sum(axis=1)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        distances = squares[block, None] + squares[None, start:] - 2 * vectors[block] @ vectors[start:].T
        for i, j in np.argwhere(distances < limit**2).tolist():
            if i < j:
                yield start + i, start + j


def _near(faces: Sequence[Seen], limit: float) -> Iterator[tuple[int, int]]:
    return near_pairs(np.stack([face.embedding for face in faces]).astype(np.float32), limit) if faces else iter(())


def _groups(count: int, pairs: Iterator[tuple[int, int]]) -> list[list[int]]:
    """Connected components, each in rising order."""
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    for i, j in pairs:
        a, b = sorted((root(i), root(j)))
        parent[b] = a
    return list(_by([root(index) for index in range(count)]).values())


def _by(labels: Sequence[_K]) -> dict[_K, list[int]]:
    groups = defaultdict(list)
    for index, each in enumerate(labels):
        groups[each].append(index)
    return dict(groups)
