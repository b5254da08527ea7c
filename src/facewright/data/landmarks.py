"""Landmarks of many crops in one file: read in the published layout and in ours, written in both.

Published (FFHQ_eye_mouth_landmarks_512.pth): a dict of "00000000", "00000001", ..., the position of the picture in the sorted data set, to
{"left_eye": [cx, cy, half], "right_eye": .., "mouth": ..} at 512 pixels. Files of others have the names of pictures for keys.
Ours (landmarks.json, or the same as .npz): by name, with the points themselves.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewright.data.components import PARTS, SIZE, Parts, parts_of
from facewright.data.faces import FaceSet
from facewright.errors import InputError, UsageError

FILE = "landmarks.json"
"""Beside the pictures, where `facewright dataset landmarks` writes it."""
FORMAT = "facewright landmarks 1"


@dataclass
class Landmarks:
    """parts: 3 x 3 (see `components`) at SIZE pixels, by the picture's name or, in the published file, by its position.

    points: 5 x 2 or 68 x 2 at SIZE pixels by name, where the file has them.
    """

    parts: dict[str, Parts] = field(default_factory=dict)
    positions: dict[int, Parts] = field(default_factory=dict)
    points: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def of(self, name: str, position: int) -> Parts | None:
        """The parts of the picture of that name (with or without its suffix, with or without its folder), or at that position.

        Where names are numbers, as FFHQ's are, the number is the position, so that a part of the set keeps its parts.
        """
        if self.positions:
            stem = name.rpartition("/")[2].rpartition(".")[0]
            return self.positions.get(int(stem) if stem.isdecimal() else position)
        for key in (name, name.rpartition(".")[0], name.rpartition("/")[2], name.rpartition("/")[2].rpartition(".")[0]):
            if key in self.parts:
                return self.parts[key]
        return None


def component_table(faces: FaceSet, source: str | Path | None = None) -> Parts:
    """The parts of every face at faces.size pixels, len(faces) x 3 x 3, as PairStream takes them.

    source: a file that `read_landmarks` reads; None for landmarks.json beside the pictures, and else the five points of the manifest.
    Raises InputError that counts the faces without any.
    """
    beside = None if faces.root is None else faces.root / FILE
    path = Path(source) if source is not None else beside if beside is not None and beside.is_file() else None
    known = None if path is None else read_landmarks(path)
    if known is not None and known.positions:
        _check_positions(faces, known, path)
    table, missing = np.zeros((len(faces), 3, 3)), []
    for index, row in enumerate(faces.rows):
        parts = None if known is None else known.of(row.name, row.position)
        points = faces.landmarks(index)
        if parts is not None:
            table[index] = parts * (faces.size / SIZE)
        elif points is not None and source is None:
            table[index] = parts_of(points, faces.size)
        else:
            missing.append(row.name)
    if missing:
        told = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        where = f"{path} does not name them" if path is not None else "there is no landmarks.json, and no points in a manifest"
        raise InputError(f"{len(missing)} of {len(faces)} faces have no landmarks ({told})", where, "run: facewright dataset landmarks DIR")
    return table


def read_landmarks(path: str | Path) -> Landmarks:
    """The published .pth, one like it with names for keys, or our .json or .npz. A .pth is read by the guards that weights pass.

    Entries may also be 5 or 68 points, {"a.png": [[x, y], ...]} or {"a.png": {"points": ..}}; parts follow by the rules of `components`.
    Raises InputError, for a .pth also ModelError.
    """
    path = Path(path)
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix in (".pth", ".pt"):
        from facewright.weights.reader import read_mapping

        content: Any = read_mapping(path)
    else:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as problem:
            raise InputError(f"cannot read {path}", problem.strerror or str(problem)) from problem
        except ValueError as problem:
            raise InputError(f"cannot use {path}", f"it is no JSON ({problem})") from problem
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"cannot use {path}", "it names no picture")
    return _from_mapping(content, path)


def encode_landmarks(path: Path, points: Mapping[str, NDArray[np.float64]], *, found: Mapping[str, bool]) -> bytes:
    """The file's bytes: ours for .json and .npz, the published layout for .pth (by position, in the order of names).

    points: 5 x 2 or 68 x 2 at SIZE pixels by name; found: whether a detector saw the face, or the points are only likely.
    Raises UsageError for another suffix.
    """
    names = sorted(points)
    parts = {name: parts_of(points[name], SIZE) for name in names}
    if path.suffix == ".npz":
        stream = io.BytesIO()
        arrays = {"names": np.array(names), "points": np.array([points[name] for name in names])}
        np.savez_compressed(stream, allow_pickle=False, **arrays, found=np.array([found[name] for name in names]), size=np.array(SIZE))
        return stream.getvalue()
    if path.suffix == ".pth":
        import torch

        stream = io.BytesIO()
        torch.save({f"{position:08d}": _named(parts[name]) for position, name in enumerate(names)}, stream)
        return stream.getvalue()
    if path.suffix != ".json":
        raise UsageError(f"cannot write landmarks as {path.suffix or path.name}", what_to_do="use .json, .npz or .pth")
    faces = {name: {"found": found[name], "points": np.round(points[name], 2).tolist(), **_named(parts[name])} for name in names}
    lines = ",\n".join(f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(entry)}" for name, entry in faces.items())
    return f'{{"format": "{FORMAT}", "size": {SIZE}, "faces": {{\n{lines}\n}}}}\n'.encode()


def _named(parts: Parts) -> dict[str, list[float]]:
    return {name: [round(float(value), 4) for value in part] for name, part in zip(PARTS, parts, strict=True)}


def _read_npz(path: Path) -> Landmarks:
    try:
        with np.load(path, allow_pickle=False) as stored:
            names, points, size = [str(name) for name in stored["names"]], stored["points"].astype(np.float64), float(stored["size"])
    except OSError as problem:
        raise InputError(f"cannot read {path}", problem.strerror or str(problem)) from problem
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile) as problem:
        raise InputError(f"cannot use {path}", f"it holds no landmarks ({problem})") from problem
    at = _at_size(points, size)
    return Landmarks({name: parts_of(each, SIZE) for name, each in zip(names, at, strict=True)}, points=dict(zip(names, at, strict=True)))


def _from_mapping(content: Mapping[Any, Any], path: Path) -> Landmarks:
    size = SIZE
    if isinstance(content.get("faces"), Mapping):
        size, content = int(content.get("size", SIZE)), content["faces"]
    result = Landmarks()
    by_position = all(isinstance(key, str) and len(key) == 8 and key.isdecimal() for key in content)
    for key, entry in content.items():
        try:
            parts, points = _entry(entry, size)
        except (TypeError, ValueError, KeyError) as problem:
            raise InputError(f"cannot use {path}", f"its entry {key!r} has neither eyes and mouth nor points ({problem})") from problem
        if by_position:
            result.positions[int(key)] = parts
        else:
            result.parts[str(key)] = parts
        if points is not None:
            result.points[str(key)] = points
    return result


def _entry(entry: Any, size: int) -> tuple[Parts, NDArray[np.float64] | None]:
    points = entry.get("points") if isinstance(entry, Mapping) else entry
    at = None if points is None else _at_size(np.array(points, np.float64), size)
    if isinstance(entry, Mapping) and PARTS[0] in entry:
        parts = np.array([[float(value) for value in entry[name]] for name in PARTS]) * (SIZE / size)
        if parts.shape != (3, 3):
            raise ValueError("a part is cx, cy, half")
        return parts, at
    if at is None:
        raise KeyError(PARTS[0])
    return parts_of(at, SIZE), at


def _at_size(points: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    return np.asarray((points + 0.5) * (SIZE / size) - 0.5)


def _check_positions(faces: FaceSet, known: Landmarks, path: Path | None) -> None:
    """Positions mean something only in the set that they were counted in."""
    numbered = all(row.name.rpartition("/")[2].rpartition(".")[0].isdecimal() for row in faces.rows)
    if not numbered and faces.total != len(known.positions):
        raise InputError(
            f"{path} does not belong to these pictures",
            f"it names {len(known.positions)} by their position, and there are {faces.total}",
            "run: facewright dataset landmarks DIR",
        )
