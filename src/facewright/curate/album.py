"""From photos to a folder of aligned crops with a manifest: what `facewright dataset align` does.

Each photo is done by itself and noted in a journal; what concerns several, who is who, which photographs are repeated, and the split, is
decided from the journal at the end, so that a run which was ended, or more photos later, give what one run would have given.
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from facewright.curate.alike import people, repeats, thumb_of
from facewright.curate.crop import Crop, cut
from facewright.curate.journal import FILE, FaceNote, Journal, PhotoNote, packed
from facewright.curate.manifest import COLUMNS, read_table, write_table
from facewright.curate.photos import Source
from facewright.curate.split import split_people
from facewright.data.aligned import MANIFEST, POINT_COLUMNS
from facewright.errors import FacewrightError, InputError, OutputError, UsageError
from facewright.faces import Face
from facewright.faces.detect import Detector
from facewright.faces.identity import Identity
from facewright.media import Origin, Photo, encode, read, write_atomically

FORMATS = ("webp", "png")
QUALITY = 95
LEAST_INSIDE = 0.7
"""Faces of which less lies in the photo are left out."""
REPORT = "align-report.json"


@dataclass(frozen=True)
class AlignSettings:
    """size: of crops at most, never enlarged. min_face: its longer side in photo pixels. val, test: parts held out. Raises UsageError."""

    size: int = 512
    min_face: int = 128
    format: str = "webp"
    val: float = 0.1
    test: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 64 <= self.size <= 4096:
            raise UsageError(f"--size cannot be {self.size}", "it is a number of pixels from 64 to 4096")
        if self.min_face < 16:
            raise UsageError(f"--min-face cannot be {self.min_face}", "a face of fewer than 16 pixels cannot be aligned")
        if self.format not in FORMATS:
            raise UsageError(f"--format cannot be {self.format!r}", what_to_do=f"use one of: {', '.join(FORMATS)}")
        split_people({}, self.val, self.test, self.seed)


@dataclass
class Aligned:
    """What became of the photos in the folder, of this run's and of earlier ones."""

    photos: int = 0
    crops: int = 0
    people: int = 0
    split: dict[str, int] = field(default_factory=dict)
    without_face: list[str] = field(default_factory=list)
    unreadable: list[dict[str, str]] = field(default_factory=list)
    too_small: dict[str, int] = field(default_factory=dict)
    cut_off: dict[str, int] = field(default_factory=dict)
    repeated: list[dict[str, str]] = field(default_factory=list)


def align_photos(
    photos: Sequence[Source],
    folder: Path,
    settings: AlignSettings,
    detector: Detector,
    identity: Identity,
    on_photo: Callable[[], None] = lambda: None,
) -> Aligned:
    """Cut every face of the photos into `folder` and write its manifest.csv and align-report.json.

    Photos that the folder's journal knows, unchanged since, are not looked at again. on_photo: called after each.
    Raises InputError where no photo has a face, or the folder was begun with other settings, OutputError.
    """
    if (folder / MANIFEST).is_file() and not (folder / FILE).is_file():
        raise OutputError(f"cannot write to {folder}", "it holds a manifest that was made otherwise", "choose another folder with -o")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OutputError(f"cannot write to {folder}", problem.strerror or str(problem), "choose another folder with -o") from problem
    journal = Journal(folder, {"size": settings.size, "min_face": settings.min_face, "format": settings.format})
    todo = [photo for photo in photos if not _is_done(photo, journal, folder)]
    for _ in range(len(photos) - len(todo)):
        on_photo()
    for source, photo in _read_ahead(todo):
        journal.add(_one(source, photo, folder, settings, detector, identity, journal))
        on_photo()
    return _finish(folder, journal, settings)


# One photo -----------------------------------------------------------------------------------------------------------------------------


def _one(
    source: Source,
    photo: Photo | FacewrightError,
    folder: Path,
    settings: AlignSettings,
    detector: Detector,
    identity: Identity,
    journal: Journal,
) -> PhotoNote:
    note = PhotoNote(str(source.path.resolve()), _stamp(source.path), source.below, source.folder)
    before = journal.photos.get(note.path)
    for old in before.faces if before is not None else ():
        with suppress(OSError):
            (folder / old.file).unlink()
    if isinstance(photo, FacewrightError):
        note.error = photo.why or photo.what
        return note
    faces = detector.detect(photo.pixels)
    taken = {face.file for other in journal.photos.values() if other.path != note.path for face in other.faces}
    cuts: list[tuple[Face, Crop]] = []
    for face in faces:
        if face.size < settings.min_face:
            note.small += 1
        elif (crop := cut(photo, face, settings.size)).inside < LEAST_INSIDE:
            note.outside += 1
        else:
            cuts.append((face, crop))
    largest = max((face.size for face, _ in cuts), default=0.0)
    for number, (face, crop) in enumerate(cuts):
        name = _name(source, number, settings.format, taken)
        taken.add(name)
        write_atomically(folder / name, encode(Photo(crop.pixels, None, Origin()), format=settings.format, quality=_quality(settings)))
        note.faces.append(_noted(name, source, crop, identity, largest=face.size == largest))
    return note


def _noted(name: str, source: Source, crop: Crop, identity: Identity, *, largest: bool) -> FaceNote:
    columns = {
        "file": name,
        "photo": source.below,
        "use": "train-ok",
        "native_width": str(crop.native_width),
        "stored_width": str(len(crop.pixels)),
        **dict(zip(POINT_COLUMNS, (f"{value:.2f}" for value in crop.landmarks.reshape(-1)), strict=True)),
        "score": f"{crop.score:.4f}",
        "sharpness": f"{crop.sharpness:.1f}",
        "gray": str(int(crop.grey)),
        "inside": f"{crop.inside:.3f}",
    }
    tensor = torch.from_numpy(crop.pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    if tensor.shape[-1] < 64:
        tensor = torch.nn.functional.interpolate(tensor, (64, 64), mode="bilinear")
    embedding = identity.embed(tensor)[0].cpu().numpy().astype(np.float32)
    return FaceNote(columns, packed(embedding), packed(thumb_of(crop.pixels)), largest)


def _name(source: Source, number: int, suffix: str, taken: set[str]) -> str:
    """anna/beach.jpg has anna-beach_0.webp, anna-beach_1.webp, ...; another photo of that name gets a mark more."""
    stem = re.sub(r"[^\w.+-]+", "_", source.below.rpartition(".")[0].replace("/", "-")).strip(".-") or "photo"
    name = f"{stem}_{number}.{suffix}"
    mark = 2
    while name in taken:
        name = f"{stem}~{mark}_{number}.{suffix}"
        mark += 1
    return name


def _quality(settings: AlignSettings) -> int | None:
    return QUALITY if settings.format == "webp" else None


def _read_ahead(photos: Sequence[Source]) -> Iterator[tuple[Source, Photo | FacewrightError]]:
    """Each photo decoded, or why it cannot be; one more is read meanwhile."""

    def decoded(source: Source) -> Photo | FacewrightError:
        try:
            return read(source.path)
        except FacewrightError as problem:
            return problem

    with ThreadPoolExecutor(1) as pool:
        waiting: deque[tuple[Source, Future[Photo | FacewrightError]]] = deque()
        for source in photos:
            waiting.append((source, pool.submit(decoded, source)))
            if len(waiting) > 1:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()


def _is_done(source: Source, journal: Journal, folder: Path) -> bool:
    note = journal.photos.get(str(source.path.resolve()))
    return (
        note is not None
        and note.stamp == _stamp(source.path)
        and all(face.file in journal.dropped or (folder / face.file).is_file() for face in note.faces)
    )


def _stamp(path: Path) -> list[int]:
    """Size and time of the last change; nothing for a file that is gone."""
    try:
        state = path.stat()
    except OSError:
        return []
    return [state.st_size, state.st_mtime_ns]


# All of them ---------------------------------------------------------------------------------------------------------------------------


def _finish(folder: Path, journal: Journal, settings: AlignSettings) -> Aligned:
    notes = sorted(journal.photos.values(), key=lambda note: note.below)
    # a crop that somebody has removed since, of a photo that was not given again, is gone on purpose
    faces = [(note, face) for note in notes for face in note.faces if face.file in journal.dropped or (folder / face.file).is_file()]
    result = Aligned(
        photos=len(notes),
        without_face=[note.below for note in notes if not note.faces and not note.error and not note.small + note.outside],
        unreadable=[{"photo": note.below, "why": note.error} for note in notes if note.error],
        too_small={note.below: note.small for note in notes if note.small},
        cut_off={note.below: note.outside for note in notes if note.outside},
    )
    if not faces:
        raise InputError("no photo has a face that can be used", _why_none(result, settings))
    seen = [face.seen for _, face in faces]
    copies = repeats(seen)
    result.repeated = [
        {"file": faces[i][1].file, "photo": faces[i][0].below, "same_as": faces[j][1].file} for i, j in sorted(copies.items())
    ]
    # a copy whose better one has been removed is cut again by the next run
    stay = [index for index in range(len(faces)) if index not in copies and (folder / faces[index][1].file).is_file()]
    who = people(
        [seen[index] for index in stay],
        [faces[index][0].path for index in stay],
        [faces[index][0].folder for index in stay],
        [faces[index][1].largest for index in stay],
        [faces[index][1].file.rpartition(".")[0] for index in stay],
    )
    known = {row["person"]: row["split"] for row in read_table(folder)[1]} if (folder / MANIFEST).is_file() else {}
    splits = split_people(Counter(who), settings.val, settings.test, settings.seed, known)
    rows = [{**faces[index][1].columns, "person": person, "split": splits[person]} for index, person in zip(stay, who, strict=True)]
    # the manifest first: a crop that it does not name does no harm, a missing one would
    write_table(folder, COLUMNS, sorted(rows, key=lambda row: row["file"]))
    dropped = {faces[index][1].file for index in copies}
    journal.drop(dropped)
    for name in dropped:
        with suppress(OSError):
            (folder / name).unlink()
    result.crops, result.people = len(rows), len(set(who))
    result.split = {name: sum(row["split"] == name for row in rows) for name in ("train", "val", "test")}
    write_atomically(folder / REPORT, json.dumps(vars(result), indent=1, ensure_ascii=False).encode())
    return result


def _why_none(result: Aligned, settings: AlignSettings) -> str:
    told = [
        (len(result.unreadable), "cannot be read"),
        (len(result.without_face), "show no face"),
        (len(result.too_small), f"show faces smaller than {settings.min_face} pixels"),
        (len(result.cut_off), "show faces that are cut off"),
    ]
    return f"of {result.photos} photos " + ", ".join(f"{count} {what}" for count, what in told if count)
