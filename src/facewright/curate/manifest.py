"""The manifest as a table of text: read whatever columns it has, written whole or not at all."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from facewright.data.aligned import MANIFEST, NEEDED_COLUMNS, POINT_COLUMNS
from facewright.errors import InputError
from facewright.media import write_atomically

COLUMNS = (
    "file",
    "person",
    "photo",
    "use",
    "split",
    "native_width",
    "stored_width",
    *POINT_COLUMNS,
    "score",
    "sharpness",
    "gray",
    "inside",
)
"""What `facewright dataset align` writes: NEEDED_COLUMNS of the recipes, and where the crop came from.

photo: the source. native_width: of the crop in the photo's own pixels. landmarks: in stored pixels. score: the detector's, 0 to 1.
sharpness: variance of the Laplacian at 256 pixels. gray: 1 where there is no colour but a tone. inside: the part that the photo covers.
"""

Table = list[dict[str, str]]


def read_table(folder: Path) -> tuple[list[str], Table]:
    """Column names and rows as they stand. Raises InputError where there is no readable manifest or a row has another number of values."""
    path = folder / MANIFEST
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            rows = list(reader)
            names = list(reader.fieldnames or [])
    except OSError as problem:
        raise InputError(f"cannot read {path}", problem.strerror or str(problem), "make one with: facewright dataset align") from problem
    except (csv.Error, ValueError) as problem:
        raise InputError(f"cannot use {path}", str(problem)) from problem
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise InputError(f"cannot use {path}", f"row {number} has another number of values than the heading")
    return names, rows


def missing_columns(names: Sequence[str]) -> list[str]:
    """Which columns the recipes would miss."""
    return [name for name in NEEDED_COLUMNS if name not in names]


def write_table(folder: Path, names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> Path:
    """Write the manifest. Raises OutputError."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path = folder / MANIFEST
    write_atomically(path, text.getvalue().encode("utf-8"))
    return path
