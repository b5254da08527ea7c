"""What is evaluated: pictures under conditions, shown by methods. A suite and a pair of folders are two kinds of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
"""H x W x 3 RGB in [0, 1]."""

GIVEN = "as given"
"""The condition of pictures that come damaged."""


@dataclass(frozen=True)
class Case:
    """One picture. person: who is shown, where known, else the name; stamp: of the files it comes from; columns: of the manifest."""

    name: str
    person: str
    stamp: str
    size: tuple[int, int]
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A picture that could not be measured."""

    name: str
    why: str


class Opened(Protocol):
    """Some cases, read. cases: those that could be; failures: the others."""

    cases: list[Case]
    failures: list[Failure]

    def truth(self, condition: str) -> list[Image] | None:
        """What they should be restored to; None where nobody knows."""
        ...

    def shown(self, condition: str, method: str) -> list[Image]:
        """What the method makes of them."""
        ...


class Source(Protocol):
    """conditions: kinds of damage, or the one `GIVEN`; methods: name to stamp, in the order of the tables; models: those among them that
    are somebody's model; own_truth: conditions under which the truth is not the clean picture. failures: known before anything is opened.
    """

    name: str
    cases: list[Case]
    failures: list[Failure]
    conditions: tuple[str, ...]
    methods: dict[str, str]
    models: tuple[str, ...]
    own_truth: frozenset[str]
    has_truth: bool
    facts: dict[str, object]

    def open(self, cases: Sequence[Case]) -> Opened:
        """cases: all of one size."""
        ...


def stamp_of(path: Path) -> str:
    """Size and time of a file: enough to see that it was replaced. Raises OSError."""
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}"


def batches(cases: Sequence[Case], size: int) -> list[list[Case]]:
    """In parts of at most `size` cases, all of one picture size, in the order of the sizes."""
    by_size: dict[tuple[int, int], list[Case]] = {}
    for case in cases:
        by_size.setdefault(case.size, []).append(case)
    return [same[start : start + size] for same in by_size.values() for start in range(0, len(same), size)]
