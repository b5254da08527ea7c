"""Aligned face crops on disk, described by a manifest: which may be trained on, who is shown, how sharp they are."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facewright.errors import InputError


@dataclass(frozen=True)
class FaceRow:
    """One row of the manifest; landmarks are 5 x 2 in stored pixels."""

    file: Path
    person: str
    use: str
    split: str
    stored_width: int
    landmarks: NDArray[np.float64]
    grey: bool
    inside: float
    columns: dict[str, str]

    @property
    def source(self) -> str:
        """The kind of picture: what stands before the first dash of the person's name."""
        return self.person.split("-", 1)[0]


def read_manifest(folder: Path, keep: Callable[[FaceRow], bool] = lambda row: True) -> list[FaceRow]:
    """The rows of folder/manifest.csv that `keep` accepts, in the order of their file names.

    Raises InputError where the manifest is missing or lacks a column.
    """
    path = folder / "manifest.csv"
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
                rows.append(_row(folder, columns))
        except KeyError as problem:
            raise InputError(f"cannot use {path}", f"it has no column {problem}") from problem
        except (TypeError, ValueError, csv.Error) as problem:
            raise InputError(f"cannot use {path}", f"line {reader.line_num}: {problem}") from problem
    return sorted((row for row in rows if keep(row)), key=lambda row: row.file.name)


def _row(folder: Path, columns: dict[str, str]) -> FaceRow:
    if None in columns.values() or None in columns:
        raise ValueError("it has another number of values than the heading")
    points = [float(columns[f"{point}_{axis}"]) for point in ("leye", "reye", "nose", "lmouth", "rmouth") for axis in "xy"]
    return FaceRow(
        file=folder / columns["file"],
        person=columns["person"],
        use=columns["use"],
        split=columns["split"],
        stored_width=int(columns["stored_width"]),
        landmarks=np.array(points).reshape(5, 2),
        grey=columns["gray"] == "1",
        inside=float(columns["inside"] or 1),
        columns=columns,
    )


class AlignedFaces:
    """Crops decoded once and held in memory at `size` (uint8 RGB): 1,400 crops of 320 pixels are 430 MB."""

    def __init__(self, rows: Sequence[FaceRow], size: int) -> None:
        self.rows, self.size = list(rows), size
        if not self.rows:
            raise InputError("no faces to read", "the manifest has no row of the wanted use and split")
        self.pixels = np.empty((len(self.rows), size, size, 3), np.uint8)
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._load, range(len(self.rows))))

    def __len__(self) -> int:
        return len(self.rows)

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

    def _load(self, index: int) -> None:
        file = self.rows[index].file
        try:
            with Image.open(file, formats=("WEBP", "PNG", "JPEG")) as picture:
                pixels = np.asarray(picture.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
            raise InputError(f"cannot read {file}", str(problem)) from problem
        if pixels.shape[0] != pixels.shape[1]:
            raise InputError(f"cannot use {file}", f"it is {pixels.shape[1]} x {pixels.shape[0]}; an aligned face crop is square")
        shrinking = pixels.shape[0] > self.size
        self.pixels[index] = cv2.resize(pixels, (self.size, self.size), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC)
