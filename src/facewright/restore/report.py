"""The report: one self-contained page with a before/after slider for each photo, and each face's numbers, deeds and reasons.

It needs no network and no other file. What has been added lies on the disk, not in memory, so that a report may cover any number
of photos; so that a browser can still open it, previews get smaller as their number grows.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import mmap
import os
import re
import shutil
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO, cast

import cv2
import numpy as np
from numpy.typing import NDArray

import facewright
from facewright.errors import OutputError
from facewright.faces.align import TEMPLATE_SIZE, align
from facewright.faces.identity import SAME_PERSON
from facewright.faces.warp import finer, resized
from facewright.media import Photo, write_atomically
from facewright.restore.judge import IDENTITY_WARNING, is_warning, likeness
from facewright.restore.previews import as_jpeg, in_srgb, reduced
from facewright.restore.result import FaceResult, Restoration

Pixels = NDArray[Any]

PREVIEW_SIDES = ((40, 1600), (200, 1100), (1000, 720))
"""(up to this many photos, longest side of their previews in pixels)."""
LEAST_PREVIEW = 480
CROP_SIDE = 192

_CLASSES = {"restored": "done", "coloured": "done", "filled": "done", "blended": "part", "left alone": "left"}


class Report:
    """Collects a batch's outcome, photo by photo, and writes it as one HTML page. Threads may share it.

    Raises OutputError at once where the page could not be written in the end: a batch may take hours.
    """

    def __init__(self, path: str | Path, title: str = "Restored photos") -> None:
        self.path, self.title = Path(path), title
        _prepare(self.path)
        with self._explained():
            self._spool = cast(BinaryIO, tempfile.TemporaryFile(prefix="facewright-report-"))  # noqa: SIM115
        weakref.finalize(self, self._spool.close)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._models: list[str] = []

    def add(self, name: str, restoration: Restoration) -> None:
        """A photo that went through. name: as a person knows it (any text). Raises OutputError where there is no room to keep it."""
        with self._lock:
            number = self._next()
        section = _photo_section(number, name, restoration)
        with self._lock:
            for face in restoration.faces:
                self._counts[face.action] += 1
                self._counts["warnings"] += is_warning(face)
            if restoration.model not in self._models:
                self._models.append(restoration.model)
            self._keep(section)

    def add_failure(self, name: str, what: str, why: str = "", what_to_do: str = "") -> None:
        """A photo that did not; the words are those of a FacewrightError."""
        with self._lock:
            number = self._next()
            self._counts["failures"] += 1
            self._keep(_failure_section(number, name, what, why, what_to_do))

    def add_done_before(self, name: str, target: str) -> None:
        """A photo that an earlier run of the same journal restored: named, without its faces."""
        with self._lock:
            number = self._next()
            self._keep(
                f'<article id="photo{number}"><header><h2>{escape(name)}</h2></header>'
                f"<p>Done by an earlier run: {escape(target)}</p></article>\n"
            )

    def write(self) -> None:
        """Write the page, whole or not at all; more may be added and written again. Raises OutputError."""
        head, tail = self._page().split("<!--photos-->")
        with self._lock, self._explained(), tempfile.TemporaryFile(prefix="facewright-report-") as page:
            page.write(head.encode(errors="replace"))
            self._spool.seek(0)
            shutil.copyfileobj(self._spool, page, 1 << 20)
            self._spool.seek(0, os.SEEK_END)
            page.write(tail.encode())
            page.flush()
            # the page may be larger than memory: it is handed on as a view of the file
            with mmap.mmap(page.fileno(), 0, access=mmap.ACCESS_READ) as view:
                write_atomically(self.path, cast(bytes, view))

    def _next(self) -> int:
        self._counts["photos"] += 1
        return self._counts["photos"]

    def _keep(self, section: str) -> None:
        with self._explained():
            self._spool.write(section.encode(errors="replace"))  # a file name may be no text at all

    def _page(self) -> str:
        page = (files("facewright") / "restore" / "report.html").read_text(encoding="utf-8")
        script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
        assert script is not None
        allowed = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
        # nothing but this very script may run, and nothing may be fetched, whatever a file name contains
        policy = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; "
        policy += f"script-src 'sha256-{allowed}'"
        slots = {"policy": policy, "title": escape(self.title), "summary": self._summary(), "footer": self._footer()}
        return re.sub(r"<!--(policy|title|summary|footer)-->", lambda slot: slots[slot[1]], page)

    def _summary(self) -> str:
        counts = self._counts
        found = sum(counts[action] for action in _CLASSES)
        deeds = ", ".join(f"<b>{counts[action]}</b> {action}" for action in _CLASSES if counts[action])
        parts = [f"<b>{_many(counts['photos'], 'photo')}</b>", f"<b>{_many(found, 'face')}</b>{': ' if deeds else ''}{deeds}"]
        if counts["warnings"]:
            parts.append(f'<span class="warned">{_many(counts["warnings"], "warning")}</span>')
        if counts["failures"]:
            parts.append(f'<span class="failed">{_many(counts["failures"], "photo")} failed</span>')
        return " · ".join(parts)

    def _footer(self) -> str:
        models = f", model {', '.join(self._models)}" if self._models else ""
        made = f"facewright {facewright.__version__}{models}, {datetime.now():%Y-%m-%d %H:%M}"
        return (
            "<p>Identity is the distance between the face before and after, in dlib’s embedding: 0 is the same picture, two photographs of "
            f"one person lie under {SAME_PERSON:g}; from {IDENTITY_WARNING:g} on this page warns. Sharpness is measured inside the face, "
            "noise taken off. The numbers of the faces are those that <code>--faces</code> takes.</p>"
            f"<p>Previews are reduced; the restored files are not. {escape(made)}.</p>"
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as fault:
            why = "the disk is full" if fault.errno == errno.ENOSPC else fault.strerror or str(fault)
            raise OutputError(
                f"cannot write the report {self.path}", f"{why}, in the folder for temporary files", "free some space, or set TMPDIR"
            ) from fault


def _prepare(path: Path) -> None:
    """Make the folder, and see that the page can be written."""
    what, elsewhere = f"cannot write the report {path}", "name another file with --report"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OutputError(what, f"no folder {path.parent} can be made ({fault.strerror or fault})", elsewhere) from fault
    if path.is_dir():
        raise OutputError(what, "there is a folder of that name", elsewhere)
    if not os.access(path.parent, os.W_OK):
        raise OutputError(what, f"the folder {path.parent} may not be written to", elsewhere)


def _photo_section(number: int, name: str, restoration: Restoration) -> str:
    photo, shown = restoration.photo, escape(name)
    warned = [face for face in restoration.faces if is_warning(face)]
    facts = [f"{photo.width} × {photo.height} px", _many(len(restoration.faces), "face"), f"{restoration.seconds:.1f} s"]
    notes = "".join(f"<li>{escape(note)}</li>" for note in [*photo.origin.notes, *restoration.notes])
    alert = ""
    if warned:
        which = " and ".join(filter(None, [", ".join(str(face.index) for face in warned[:-1]), str(warned[-1].index)]))
        has = f"Face {which} has" if len(warned) == 1 else f"Faces {which} have"
        alert = f'<div class="alert"><p>{has} drifted from the original and may no longer look like the same person.</p></div>'
    return (
        f'<article id="photo{number}" class="{"warns" if warned else ""}"><header><h2>{shown}</h2>'
        f'<p class="facts">{" · ".join(facts)}</p>{f"<ul class=notes>{notes}</ul>" if notes else ""}{alert}</header>'
        f'<div class="mat">{_figure(number, shown, restoration)}</div>{_faces_table(number, restoration)}</article>\n'
    )


def _figure(number: int, shown: str, restoration: Restoration) -> str:
    """Before and after under a slider; one still picture where nothing was changed. shown: the name, escaped."""
    photo, original = restoration.photo, restoration.original
    side = next((side for until, side in PREVIEW_SIDES if number <= until), LEAST_PREVIEW)
    size = f'style="--w: {photo.width}; --h: {photo.height}"'
    boxes = "".join(_box(number, face, restoration) for face in restoration.faces)
    after = reduced(photo, side)
    if photo.pixels.shape == original.pixels.shape and all(face.action == "left alone" for face in restoration.faces):
        return f'<div class="still" {size}>{_image(after, shown)}{boxes}</div>'
    return (
        f'<div class="slider" {size}>{_image(reduced(original, side), f"{shown} before")}{_image(after, f"{shown} after", "after")}{boxes}'
        f'<span class="word b">before</span><span class="word a">after</span>'
        f'<input type="range" min="0" max="100" step="0.5" value="50" aria-label="Before and after of {shown}">'
        f'<div class="handle"></div></div>'
    )


def _failure_section(number: int, name: str, what: str, why: str, what_to_do: str) -> str:
    sentence = escape(f"{what}: {why}" if why else what)
    advice = f"<p>{escape(what_to_do)}</p>" if what_to_do else ""
    return (
        f'<article id="photo{number}" class="fails"><header><h2>{escape(name)}</h2>'
        f'<div class="alert"><p>{sentence}</p>{advice}</div></header></article>\n'
    )


def _faces_table(number: int, restoration: Restoration) -> str:
    if not restoration.faces:
        return '<p class="none">No face was found; the picture is as it was.</p>'
    heads = ("Face", "Before", "After", "What was done", "Why", "Identity", "Sharpness", "Score")
    row = "".join(f'<th scope="col">{head}</th>' for head in heads)
    rows = "".join(_face_row(number, face, restoration) for face in restoration.faces)
    return f'<table class="faces"><thead><tr>{row}</tr></thead><tbody>{rows}</tbody></table>'


def _face_row(number: int, face: FaceResult, restoration: Restoration) -> str:
    crops = "".join(
        f'<td class="crops">{_image(crop, f"face {face.index} {when}")}</td>'
        for crop, when in zip(_crops(face, restoration), ("before", "after"), strict=True)
    )
    deed = face.action + (f" at {100 * face.strength:.0f} %" if face.action == "blended" else "")
    knob = f", w {face.fidelity:.2g}" if face.fidelity is not None and face.action != "left alone" else ""
    why = "".join(f"<p>{_with_options(reason)}</p>" for reason in face.reasons)
    identity = f" <small>{face.identity:.2f}</small>" if face.identity is not None and face.action != "left alone" else ""
    return (
        f'<tr data-box="box{number}-{face.index}" class="{"warn" if is_warning(face) else ""}"><th scope="row">{face.index}</th>{crops}'
        f'<td class="deed {_CLASSES[face.action]}"><b>{deed}</b> <small>{face.pixels:.0f} px across{knob}</small></td>'
        f'<td class="why">{why}</td>'
        f'<td class="number drift" data-label="Identity"><b>{likeness(face)}</b>{identity}</td>'
        f'<td class="number" data-label="Sharpness">{_sharpness(face)}</td>'
        f'<td class="number" data-label="Score">{face.face.score:.3f}</td></tr>'
    )


def _sharpness(face: FaceResult) -> str:
    if face.sharpness is None:
        return "<small>not measured</small>"
    before, after = face.sharpness
    gain = after / max(before, 1e-7)
    if face.action == "left alone":
        word = "unchanged"
    elif gain > 20:
        word = "over 20 times"
    else:
        word = f"{gain:.1f} times"
    return f"<b>{word}</b> <small>{1e4 * before:.1f} → {1e4 * after:.1f}</small>"


def _box(number: int, face: FaceResult, restoration: Restoration) -> str:
    """The face's frame over the picture, in parts of its size, within its edges."""
    across = np.array([restoration.original.width, restoration.original.height] * 2, np.float64)
    left, top, right, bottom = 100 * np.clip((face.face.box + np.array([0, 0, 1, 1])) / across, 0, 1)
    kind = "warn" if is_warning(face) else _CLASSES[face.action]
    return (
        f'<div class="box {kind}" id="box{number}-{face.index}" style="left: {left:.2f}%; top: {top:.2f}%; '
        f'width: {right - left:.2f}%; height: {bottom - top:.2f}%"><span>{face.index}</span></div>'
    )


def _crops(face: FaceResult, restoration: Restoration) -> tuple[Pixels, Pixels]:
    """The face in the photo before and after, as it stands in the files: CROP_SIDE x CROP_SIDE x 3, uint8."""
    before, after = restoration.original, restoration.photo
    if face.face.affine is None:  # the photo is the crop
        return _squared(before), _squared(after)
    affine = finer(face.face.affine, CROP_SIDE / TEMPLATE_SIZE)
    enlarged = resized(affine, (after.width / before.width, after.height / before.height))
    return _cut(before, affine), _cut(after, enlarged)


def _cut(photo: Photo, affine: NDArray[np.float64]) -> Pixels:
    crop = align(photo.pixels, affine, CROP_SIDE)
    return in_srgb(np.rint(np.clip(crop, 0, 1) * 255).astype(np.uint8), photo.origin.icc if not photo.is_grey else None)


def _squared(photo: Photo) -> Pixels:
    return np.asarray(cv2.resize(reduced(photo, 2 * CROP_SIDE), (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA))


def _image(pixels: Pixels, words: str, kind: str = "") -> str:
    """An <img> that carries its picture. words: escaped already."""
    data = base64.b64encode(as_jpeg(pixels)).decode()
    return f'<img class="{kind}" decoding="async" loading="lazy" src="data:image/jpeg;base64,{data}" alt="{words}">'


def _with_options(text: str) -> str:
    """Escaped, with the options of the command line kept in one piece."""
    return re.sub(r"--[a-z][a-z-]+( [0-9.]+)?", r"<code>\g<0></code>", escape(text))


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
