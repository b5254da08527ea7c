"""A small folder of made-up face crops with a manifest, as training expects it."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

COLUMNS = ["file", "person", "use", "split", "stored_width", "gray", "inside", "sharpness"]
COLUMNS += [f"{point}_{axis}" for point in ("leye", "reye", "nose", "lmouth", "rmouth") for axis in "xy"]

# (source, use, split, how many): every combination that the real manifest has, and more
ROWS = [
    ("us", "train-ok", "train", 8),
    ("hist", "train-ok", "train", 4),
    ("us", "eval-only", "train", 2),
    ("us", "train-ok", "val", 3),
    ("hist", "eval-only", "val", 3),
    ("us", "train-ok", "test", 2),
    ("hist", "eval-only", "test", 2),
    ("frl", "eval-only", "fair", 2),
    ("frl", "train-ok", "fair", 1),
]


def make_faces(folder: Path, side: int = 256) -> Path:
    """Write the crops of ROWS and their manifest; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for source, use, split, count in ROWS:
        for number in range(count):
            person = f"{source}-{use}-{split}-{number}"
            cv2.imwrite(str(folder / f"{person}.png"), face(len(rows), side))
            rows.append(row(f"{person}.png", person, use, split, side))
    write_manifest(folder, rows)
    return folder


def face(seed: int, side: int) -> np.ndarray:
    """An oval with eyes and a mouth on a mottled ground."""
    random = np.random.default_rng(seed)
    ground = random.integers(30, 220, (8, 8, 3), np.uint8)
    picture = cv2.resize(ground, (side, side), interpolation=cv2.INTER_CUBIC)
    skin = tuple(int(v) for v in random.integers(90, 230, 3))
    at = lambda x, y: (int(x * side), int(y * side))  # noqa: E731
    cv2.ellipse(picture, at(0.5, 0.55), at(0.3, 0.4), 0, 0, 360, skin, -1, cv2.LINE_AA)
    for x in (0.38, 0.62):
        cv2.circle(picture, at(x, 0.47), side // 20, (20, 30, 40), -1, cv2.LINE_AA)
    cv2.ellipse(picture, at(0.5, 0.73), at(0.1, 0.03), 0, 0, 360, (60, 40, 160), -1, cv2.LINE_AA)
    return picture


def row(file: str, person: str, use: str, split: str, side: int) -> dict[str, str]:
    points = [(0.38, 0.47), (0.62, 0.47), (0.5, 0.61), (0.4, 0.73), (0.6, 0.73)]
    values = {"file": file, "person": person, "use": use, "split": split, "stored_width": str(side), "gray": "0", "inside": "1.0"}
    values["sharpness"] = "100"
    numbers = [str(value * side) for point in points for value in point]
    return values | dict(zip(COLUMNS[8:], numbers, strict=True))


def write_manifest(folder: Path, rows: list[dict[str, str]], columns: list[str] = COLUMNS) -> None:
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
