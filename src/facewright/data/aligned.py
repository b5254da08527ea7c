"""What is known of aligned face crops: the rows of a manifest, which say who is shown, how sharp it is, and what it may be used for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facewright.errors import InputError

MANIFEST = "manifest.csv"
POINT_COLUMNS = tuple(f"{point}_{axis}" for point in ("leye", "reye", "nose", "lmouth", "rmouth") for axis in "xy")
NEEDED_COLUMNS = ("file", "person", "use", "split", "stored_width", *POINT_COLUMNS, "gray", "inside")
"""What every manifest has; other columns are kept as they are."""


@dataclass(frozen=True)
class FaceRow:
    """One picture: a row of the manifest, or what can be told of a picture without one.

    landmarks: 5 x 2 in stored pixels, centres at integers; None where nobody looked. columns: all of the manifest's by name; "file" is
    always there. position: among all pictures of the source, in the order of their names. problem: why it cannot be used, where known.
    """

    file: Path
    person: str
    use: str
    split: str
    stored_width: int
    landmarks: NDArray[np.float64] | None
    grey: bool
    inside: float
    columns: Mapping[str, str]
    position: int = -1
    problem: str = ""

    @property
    def name(self) -> str:
        """The file's name below its folder, with forward slashes."""
        return self.columns["file"]

    @property
    def source(self) -> str:
        """The kind of picture: what stands before the first dash of the person's name."""
        return self.person.split("-", 1)[0]


Keep = Callable[[FaceRow], bool]


def read_manifest(folder: Path, keep: Keep = lambda row: True) -> list[FaceRow]:
    """The rows of folder/manifest.csv that `keep` accepts, in the order of their file names.

    Raises InputError where the manifest is missing or lacks a column.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(
            f"no face manifest at {path}",
            "a training folder holds manifest.csv and the crops it names",
            "name the folder with --data FOLDER",
        )
    rows = []
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.DictReader(lines)
        try:
            for columns in reader:
                rows.append(row_of(columns, folder))
        except KeyError as problem:
            raise InputError(f"cannot use {path}", f"it has no column {problem}") from problem
        except (TypeError, ValueError, csv.Error) as problem:
            raise InputError(f"cannot use {path}", f"line {reader.line_num}: {problem}") from problem
    placed = (replace(row, position=position) for position, row in enumerate(sorted(rows, key=lambda row: row.file.name)))
    return [row for row in placed if keep(row)]


def row_of(columns: Mapping[str, str], folder: Path) -> FaceRow:
    """The row that these columns describe. Raises KeyError, TypeError or ValueError for a missing or bad one."""
    if None in columns.values() or None in columns:
        raise ValueError("it has another number of values than the heading")
    points = [columns[name] for name in POINT_COLUMNS]
    return FaceRow(
        file=folder / columns["file"],
        person=columns["person"],
        use=columns["use"],
        split=columns["split"],
        stored_width=int(columns["stored_width"]),
        landmarks=np.array([float(point) for point in points]).reshape(5, 2) if any(points) else None,
        grey=columns["gray"] == "1",
        inside=float(columns["inside"] or 1),
        columns=columns,
    )
