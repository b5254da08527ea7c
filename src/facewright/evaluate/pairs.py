"""Folders of restored pictures against a folder of true ones, paired by name without suffix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from facewright.data import read_manifest
from facewright.data.aligned import MANIFEST
from facewright.errors import FacewrightError, InputError
from facewright.evaluate.source import GIVEN, Case, Failure, Image, stamp_of
from facewright.media import read

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".gif")
TRUTH = "truth"
_NAMED = 5


class Folders:
    """restored: name of the method to its folder; truth: None where only no-reference metrics are wanted.

    Each picture must be in every folder; a truth folder's manifest.csv, if it has one, tells persons and groups.
    Raises InputError: a folder is missing or empty, a name is there twice, or a picture in one folder has none in another (named).
    A picture that cannot be read, or whose sizes differ, is a failure of that picture.
    """

    conditions: tuple[str, ...] = (GIVEN,)
    own_truth: frozenset[str] = frozenset()

    def __init__(self, restored: Mapping[str, Path], truth: Path | None) -> None:
        self.folders = dict(restored)
        self.truth = truth
        self.has_truth = truth is not None
        self.name = "restored against truth" if truth is not None else "restored pictures without truth"
        every = {**self.folders, **({TRUTH: truth} if truth is not None else {})}
        self.files = {name: pictures_in(folder) for name, folder in every.items()}
        self._pair()
        self.methods = {name: str(folder.resolve()) for name, folder in self.folders.items()}
        self.models = tuple(self.folders)
        self.facts: dict[str, object] = {"truth": str(truth.resolve()) if truth is not None else ""}
        self.failures: list[Failure] = []
        self.cases = self._looked_through()

    def open(self, cases: Sequence[Case]) -> OpenedPairs:
        return OpenedPairs(self, cases)

    def _pair(self) -> None:
        anchor = next(reversed(self.files))
        names = self.files[anchor].keys()
        for method, files in self.files.items():
            self._match(self._folder(method), files.keys() - names, self._folder(anchor), names - files.keys())
            self._match(self._folder(anchor), names - files.keys(), self._folder(method), files.keys() - names)

    def _match(self, folder: Path, lonely: Set[str], other: Path, candidates: Set[str]) -> None:
        """Raise where pictures of a folder have no partner in the other. candidates: those of the other that have none either."""
        if not lonely:
            return
        named = sorted(lonely)
        told = ", ".join(named[:_NAMED]) + (f" and {len(named) - _NAMED} more" if len(named) > _NAMED else "")
        near = get_close_matches(named[0], sorted(candidates), 1, 0.5)
        meant = f" (is {named[0]} meant to be {near[0]}?)" if near else ""
        raise InputError(
            f"cannot pair {folder} with {other}",
            f"{len(named)} of {folder} {'have' if len(named) > 1 else 'has'} no partner: {told}{meant}",
            "pictures are paired by their names without suffix: rename or remove these",
        )

    def _looked_through(self) -> list[Case]:
        """From the files' heads alone."""
        known = _manifest(self.truth)
        cases = []
        for stem in sorted(next(iter(self.files.values()))):
            files = {name: files[stem] for name, files in self.files.items()}
            try:
                sizes = {name: _size(path) for name, path in files.items()}
                stamp = "|".join(stamp_of(path) for path in files.values())
            except FacewrightError as problem:
                self.failures.append(Failure(stem, str(problem)))
                continue
            if len(set(sizes.values())) > 1:
                told = ", ".join(f"{name} {width} x {height}" for name, (width, height) in sizes.items())
                self.failures.append(Failure(stem, f"its pictures differ in size: {told}"))
                continue
            columns = known.get(stem, {})
            cases.append(Case(stem, columns.get("person", stem), stamp, next(iter(sizes.values())), columns))
        if not cases:
            first = self.failures[0]
            raise InputError(f"not one of {len(self.failures)} pairs can be compared", f"{first.name}: {first.why}")
        return cases

    def _folder(self, method: str) -> Path:
        return self.folders[method] if method in self.folders else self.truth or Path()


class OpenedPairs:
    def __init__(self, source: Folders, cases: Sequence[Case]) -> None:
        self.cases: list[Case] = []
        self.failures: list[Failure] = []
        self._pictures: dict[str, list[Image]] = {name: [] for name in source.files}
        self._has_truth = source.has_truth
        for case in cases:
            try:
                each = {name: _pixels(files[case.name]) for name, files in source.files.items()}
            except FacewrightError as problem:
                self.failures.append(Failure(case.name, str(problem)))
                continue
            if len({picture.shape for picture in each.values()} | {(case.size[1], case.size[0], 3)}) > 1:
                self.failures.append(Failure(case.name, "its pictures differ in size once they are turned upright"))
                continue
            self.cases.append(case)
            for name, picture in each.items():
                self._pictures[name].append(picture)

    def truth(self, condition: str) -> list[Image] | None:
        return self._pictures[TRUTH] if self._has_truth else None

    def shown(self, condition: str, method: str) -> list[Image]:
        return self._pictures[method]


def pictures_in(folder: Path) -> dict[str, Path]:
    """Name without suffix to file, of the pictures in a folder (not below it), by name. Raises InputError."""
    if not folder.is_dir():
        raise InputError(f"cannot evaluate {folder}", "it is a file" if folder.is_file() else "there is no such folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem in found:
            raise InputError(f"cannot pair {folder}", f"{found[path.stem].name} and {path.name} have the same name", "remove one of them")
        found[path.stem] = path
    if not found:
        raise InputError(f"there is nothing to evaluate in {folder}", "no picture lies in it")
    return found


def names_of(folders: Sequence[Path]) -> dict[str, Path]:
    """A short name a folder that tells them apart: its own, with as many of its parents as that takes."""
    resolved = [folder.resolve() for folder in folders]
    for depth in range(1, 20):
        names = ["/".join(folder.parts[-depth:]) for folder in resolved]
        if len(set(names)) == len(names):
            return {name if name != TRUTH else f"./{name}": folder for name, folder in zip(names, folders, strict=True)}
    raise InputError(f"cannot compare {folders[0]} with itself", what_to_do="name each folder once")


def _size(path: Path) -> tuple[int, int]:
    """(width, height) upright, from the head."""
    try:
        with Picture.open(path) as image:
            width, height = image.size
            # asked for its Exif, a PNG without any would be decoded whole
            told = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
            turned = told.get(0x0112, 1) in (5, 6, 7, 8)
        return (height, width) if turned else (width, height)
    except (OSError, ValueError, SyntaxError, Picture.DecompressionBombError):
        # the reader of photos knows more kinds, and says better what is wrong
        pixels = read(path).pixels
        return pixels.shape[1], pixels.shape[0]


def _pixels(path: Path) -> Image:
    pixels = read(path).pixels
    levels = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, axis=2)


def _manifest(folder: Path | None) -> dict[str, Mapping[str, str]]:
    if folder is None or not (folder / MANIFEST).is_file():
        return {}
    return {Path(row.name).stem: row.columns for row in read_manifest(folder)}
