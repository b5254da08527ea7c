"""Sets to evaluate models on: our own faces under seeded damage, and the published sets as they were published."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from facewright.data import FaceRow, read_manifest
from facewright.data.aligned import MANIFEST
from facewright.data.picture import Picture
from facewright.errors import FacewrightError, InputError, UsageError
from facewright.evaluate import damages
from facewright.evaluate.damages import Damage, Damaged
from facewright.evaluate.methods import Method, ModelMethod
from facewright.evaluate.pairs import pictures_in
from facewright.evaluate.source import GIVEN, Case, Failure, Image, stamp_of

VARIABLE = "FACEWRIGHT_DATA"


@dataclass(frozen=True)
class Definition:
    """split: of our own faces, or "" for a published set, which has folders `damaged` and, with `truth`, `truth`. size: pixels; count: as
    published; groups: rows that are always shown. purpose: choosing or reporting."""

    name: str
    words: str
    split: str = ""
    size: int = 512
    count: int = 0
    truth: bool = False
    groups: tuple[str, ...] = ()

    @property
    def offline(self) -> bool:
        return bool(self.split)


SUITES: dict[str, Definition] = {
    suite.name: suite
    for suite in (
        Definition("val-faces", "validation faces, for choosing between models", "val", 256, groups=("source",)),
        Definition("test-faces", "faces of people that no model saw, for reporting", "test", 256, groups=("source",)),
        Definition("fair-faces", "people who said who they are, for reporting by group", "fair", 256, groups=("group", "gender", "age")),
        Definition("celeba-test", "CelebA-Test of GFP-GAN: CelebA-HQ under its blind degradation", count=3000, truth=True),
        Definition("lfw-test", "LFW-Test: the first photograph of each person, mildly damaged", count=1711),
        Definition("celebchild-test", "CelebChild-Test: childhood photographs, old and often grey", count=180),
        Definition("webphoto-test", "WebPhoto-Test: old photographs from the internet", count=407),
        Definition("wider-test", "WIDER-Test of CodeFormer: faces of crowds, hard", count=970),
    )
}


def suite(name: str) -> Definition:
    """Raises UsageError with the nearest names."""
    if name not in SUITES:
        near = get_close_matches(name, SUITES, 3, 0.4) or list(SUITES)
        raise UsageError(f"there is no suite called {name!r}", f"the nearest are {', '.join(near)}", f"use one of: {', '.join(SUITES)}")
    return SUITES[name]


def open_suite(
    name: str,
    methods: Sequence[Method],
    *,
    data: Path | None = None,
    conditions: Sequence[str] = (),
    size: int | None = None,
    seed: int = 7,
    limit: int | None = None,
) -> Suite:
    """conditions: damages, for our own faces. size: pixels, else the suite's. limit: about so many pictures, evenly spread.

    Raises InputError where the data is not there, saying how it has to lie; UsageError for what does not fit the suite.
    """
    definition = suite(name)
    if not definition.offline and conditions:
        raise UsageError(f"--damage does not fit {name}", "its pictures come damaged", "leave it out, or take val-faces")
    side = size or definition.size
    if side < 64:
        raise UsageError(f"--size cannot be {side}", "the judges need faces of 64 pixels at least")
    if definition.offline:
        wanted = tuple(conditions) or damages.DEFAULT
        made = {condition: damages.named(condition, side) for condition in dict.fromkeys(wanted)}
        pictures = _own(definition, data, side)
    else:
        made, pictures = {}, _published(definition, data)
    if limit is not None:
        if limit < 1:
            raise UsageError(f"--limit cannot be {limit}", "at least one picture has to be measured")
        pictures = [pictures[round(index * len(pictures) / limit)] for index in range(limit)] if limit < len(pictures) else pictures
    return Suite(definition, pictures, methods, made, side, seed)


class Suite:
    """Faces at `size` pixels, damaged by `made` (or read damaged), restored by `methods`; see `source.Source`."""

    def __init__(
        self, definition: Definition, pictures: list[_Pictured], methods: Sequence[Method], made: dict[str, Damage], size: int, seed: int
    ) -> None:
        self.definition, self.size, self.seed, self.made = definition, size, seed, made
        self.name = definition.name
        self.conditions = tuple(made) or (GIVEN,)
        self.has_truth = definition.offline or definition.truth
        self.by_name = {method.name: method for method in methods}
        self.methods = {method.name: method.stamp for method in methods}
        self.models = tuple(method.name for method in methods if isinstance(method, ModelMethod))
        self.own_truth = frozenset(name for name in self.conditions if name.startswith("old-photo") or "color" in name)
        self.facts: dict[str, object] = {"suite": definition.name, "size": size, "seed": seed}
        self.failures: list[Failure] = []
        self.pictures: dict[str, _Pictured] = {}
        self.cases: list[Case] = []
        for pictured in pictures:
            row = pictured.damaged.row if pictured.damaged is not None else _row(pictured.truth)
            try:
                stamp = "|".join(stamp_of(each.row.file) for each in (pictured.truth, pictured.damaged) if each is not None)
            except OSError as problem:
                self.failures.append(Failure(row.name, problem.strerror or str(problem)))
                continue
            self.cases.append(Case(row.name, row.person, stamp, (size, size), {**row.columns, "source": row.source}))
            self.pictures[row.name] = pictured

    def open(self, cases: Sequence[Case]) -> OpenedSuite:
        return OpenedSuite(self, cases)


class OpenedSuite:
    """Damages when asked; keeps the last condition's pictures, so that all methods see the same."""

    def __init__(self, suite: Suite, cases: Sequence[Case]) -> None:
        self.suite = suite
        self.cases: list[Case] = []
        self.failures: list[Failure] = []
        self._clean: list[Image] = []
        self._given: list[Image] = []
        self._kept: tuple[str, list[Damaged]] = ("", [])
        for case in cases:
            pictured = suite.pictures[case.name]
            try:
                clean = _levels(pictured.truth, suite.size) if pictured.truth is not None else None
                given = _levels(pictured.damaged, suite.size) if pictured.damaged is not None else None
            except FacewrightError as problem:
                self.failures.append(Failure(case.name, problem.why or str(problem)))
                continue
            self.cases.append(case)
            if clean is not None:
                self._clean.append(clean)
            if given is not None:
                self._given.append(given)

    def truth(self, condition: str) -> list[Image] | None:
        if not self.suite.has_truth:
            return None
        return [each.truth for each in self._damaged(condition)]

    def shown(self, condition: str, method: str) -> list[Image]:
        return self.suite.by_name[method](self._damaged(condition))

    def _damaged(self, condition: str) -> list[Damaged]:
        if self._kept[0] != condition:
            self._kept = (condition, self._make(condition))
        return self._kept[1]

    def _make(self, condition: str) -> list[Damaged]:
        if not self.suite.made:
            truths = self._clean or self._given
            return [Damaged(given, given, truth) for given, truth in zip(self._given, truths, strict=True)]
        damage = self.suite.made[condition]
        return [
            damage(clean, damages.generator_of(case.name, self.suite.seed)) for case, clean in zip(self.cases, self._clean, strict=True)
        ]


@dataclass(frozen=True)
class _Pictured:
    truth: Picture | None
    damaged: Picture | None


def _own(definition: Definition, data: Path | None, size: int) -> list[_Pictured]:
    folder = _faces_folder(data)
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"the faces of {definition.name} are not there",
            f"there is no {folder / MANIFEST}",
            f"name a folder of crops with a manifest.csv (columns file, person, split, ...) with --data, or set {VARIABLE}",
        )
    rows = read_manifest(folder, lambda row: row.split == definition.split and row.stored_width >= size)
    if not rows:
        raise InputError(
            f"no faces for {definition.name}", f"no row of {folder / MANIFEST} has the split {definition.split!r} and {size} pixels"
        )
    return [_Pictured(Picture(row), None) for row in rows]


def _faces_folder(data: Path | None) -> Path:
    if data is not None:
        return data if (data / MANIFEST).is_file() or not (data / "faces").is_dir() else data / "faces"
    beside = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    return Path(os.environ.get(VARIABLE, beside)) / "faces"


def _published(definition: Definition, data: Path | None) -> list[_Pictured]:
    layout = f"DIR/{definition.name}/damaged/*.png" + (
        f" and DIR/{definition.name}/truth/*.png (the same names)" if definition.truth else ""
    )
    wanted = f"it has {definition.count:,} aligned pictures of {definition.size} px; lay them out as {layout}, and pass --data DIR"
    what = f"the pictures of {definition.name} are not there"
    root = data or Path(os.environ.get(VARIABLE, ""))
    if data is None and not os.environ.get(VARIABLE):
        raise InputError(what, "they are not part of facewright", wanted)
    root = root / definition.name if (root / definition.name).is_dir() else root
    folders = [root / "damaged", *([root / "truth"] if definition.truth else [])]
    for folder in folders:
        if not folder.is_dir():
            raise InputError(what, f"there is no folder {folder}", wanted)
    damaged = pictures_in(folders[0])
    truths = pictures_in(folders[1]) if definition.truth else {}
    if definition.truth and (odd := sorted(damaged.keys() ^ truths.keys())):
        raise InputError(
            f"cannot pair {folders[0]} with {folders[1]}", f"{len(odd)} without a partner: {', '.join(odd[:5])}", "rename or remove these"
        )
    return [_Pictured(_plain(truths[stem]) if stem in truths else None, _plain(path)) for stem, path in damaged.items()]


def _plain(path: Path) -> Picture:
    return Picture(FaceRow(path, path.stem, "", "", 0, None, False, 1.0, {"file": path.name}))


def _row(picture: Picture | None) -> FaceRow:
    assert picture is not None
    return picture.row


def _levels(picture: Picture, size: int) -> Image:
    return np.asarray(picture.pixels(size) / np.float32(255), np.float32)
