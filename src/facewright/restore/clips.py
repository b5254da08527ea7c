"""A clip's way: look for its faces, follow them, restore them in batches over frames and faces, put them back, write.

What reads and what writes have threads of their own. In memory are the frames that wait for one another, never more than a fixed number,
however long the clip is.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from facewright.errors import InputError, UsageError
from facewright.faces import Face, align, ellipse_mask, misfit, select, similarity
from facewright.faces.align import TEMPLATE_SIZE
from facewright.faces.select import parse
from facewright.faces.track import BRIDGED, Moment, Tracked, Tracker
from facewright.faces.warp import finer, resized, scale_of
from facewright.media import Origin, Photo, write_atomically
from facewright.media.clips import ClipInfo, ClipReader, ClipWriter, Frame
from facewright.restore import judge
from facewright.restore.easing import Easing, Following
from facewright.restore.fidelity import choose
from facewright.restore.looking import Seen, look
from facewright.restore.pipes import Ahead, Behind
from facewright.restore.restorer import Job, Restorer
from facewright.restore.result import FaceResult, Restoration
from facewright.restore.settings import Settings
from facewright.restore.steady import MEMORY, Steadier
from facewright.restore.tally import Numbers, Tally

Pixels = NDArray[Any]
Progress = Callable[[int, int | None], None]

CRF = 16
"""Constant quality of x264 where none is asked for: hardly to be told from the source."""
QUEUED = 3
"""Frames read ahead, and frames waiting to be written."""
BUDGET = 700_000_000
"""Bytes of frames that may wait for one another; large ones wait for a missed face less long."""
LED_IN = 2.0
"""Seconds, at least, before the first new frame at which a run that goes on looks, so that it knows what an uninterrupted one would."""
MEASURED = 0.4
"""Seconds between two measurements of a face's identity, where it limits nothing."""
FLICKER_SIDE = 128


@dataclass
class ClipOutcome:
    """What became of a clip. target: where it is. unchanged: the file was copied, byte for byte, since no face was restored.

    broken: why the clip could not be read to its end; what was read is in `target`. sample: a restored frame to show. report: for JSON.
    """

    target: Path
    tally: Tally
    info: ClipInfo
    seconds: float
    unchanged: bool = False
    broken: InputError | None = None
    sample: Restoration | None = None
    notes: list[str] = field(default_factory=list)
    model: str = ""
    served: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] = (0, 0)

    @property
    def report(self) -> dict[str, Any]:
        flicker = self.tally.flicker
        return {
            "width": self.size[0],
            "height": self.size[1],
            "frames": self.tally.frames,
            "frame_rate": round(float(self.info.rate), 3),
            "model": self.model,
            "served": self.served,
            "faces": self.tally.told(),
            "flicker[motion]": None if flicker.before is None else [round(flicker.before, 3), round(flicker.after or 0.0, 3)],
            "unchanged": self.unchanged,
            "seconds": round(self.seconds, 3),
            "notes": self.notes,
        }


def restore_clip(
    source: Path | str,
    target: Path | str,
    restorer: Restorer,
    *,
    quality: int | None = None,
    steady: bool = True,
    pixel_limit: int | None = 200_000_000,
    resume: bool = True,
    segment_frames: int | None = None,
    on_progress: Progress = lambda done, total: None,
) -> ClipOutcome:
    """Restore the faces of a clip; everything else in it, sound and times included, stays (`media.clips.ClipWriter` says what holds).

    quality: 1 to 100, None for CRF. steady: calm each face from frame to frame (`restore.steady`). on_progress: called with the frames that
    are done and how many there are, None where the clip does not say. resume, segment_frames: as `ClipWriter`.
    A run that was stopped is gone on with, and gives the frames that an uninterrupted one would. A clip in which no face is restored is
    copied, byte for byte, where it keeps its size and container. Raises InputError, OutputError, UsageError.
    """
    refuse(restorer.settings)
    started = time.monotonic()
    source, target = Path(source), Path(target)
    with ClipReader(source, pixel_limit=pixel_limit) as reader:
        info, upscale = reader.info, restorer.settings.upscale
        size = (info.width, info.height) if upscale == 1 else (int(info.width * upscale), int(info.height * upscale))
        job = json.dumps({**restorer.settings.asdict(), "file": str(restorer.model.info.get("path")), "steady": steady}, sort_keys=True)
        crf = CRF if quality is None else round(0.51 * (100 - quality))
        writer = ClipWriter(target, info, size, crf=crf, job=job, resume=resume, segment_frames=segment_frames)
        run = _Run(restorer, reader, writer, steady, on_progress)
        try:
            with writer:
                run.all()
                if (broken := run.broken) is not None and not writer.written:
                    raise broken
                if unchanged := _is_unchanged(run.tally, restorer, source, target, broken):
                    raise _Unchanged
        except _Unchanged:
            _copy(source, target)
            shutil.rmtree(writer.folder, ignore_errors=True)
        except BaseException:
            run.save()
            raise
        notes = [*writer.notes, *reader.complaints, *restorer.served.notes]
    if broken is not None:
        where = f"the {run.tally.frames:,} frames before are restored, in {target}"
        broken = InputError(broken.what, broken.why, f"{where}; {broken.what_to_do}" if broken.what_to_do else where)
    asked = parse(restorer.settings.faces)
    if missing := [number for number in asked or () if number not in run.tally.people]:
        notes.append(f"face {missing[0]}, named by --faces, is not in the clip")
    if not run.tally.people:
        notes.append("no face was found")
    outcome = ClipOutcome(target, run.tally, info, time.monotonic() - started, unchanged, broken, run.sample, notes)
    outcome.model, outcome.served, outcome.size = restorer.settings.model, dict(restorer.served.by), size
    return outcome


def refuse(settings: Settings) -> None:
    """Raises UsageError for choices that have no meaning for a clip."""
    for name, given in (("--aligned", settings.aligned), ("--as-published", settings.as_published)):
        if given:
            raise UsageError(f"{name} is not for clips", "it is about single photos", "leave it out, or restore the photos by themselves")


class _Unchanged(Exception):
    """Leaves the writer without joining what it has."""


@dataclass
class _Followed:
    """A frame whose faces are known. wanted: which of `tracked` are to be restored; parts: how much of each is shown."""

    frame: Frame
    tracked: list[Tracked]
    numbers: list[int]
    wanted: list[int] = field(default_factory=list)
    passed_over: list[tuple[int, FaceResult]] = field(default_factory=list)
    parts: dict[int, float] = field(default_factory=dict)
    job: Job | None = None


class _Run:
    """One clip on its way. What is in `tally` and `sample` belongs to the writing thread while it runs."""

    def __init__(self, restorer: Restorer, reader: ClipReader, writer: ClipWriter, steady: bool, on_progress: Progress) -> None:
        self.restorer, self.reader, self.writer, self.on_progress = restorer, reader, writer, on_progress
        self.info, self.rate = reader.info, float(reader.info.rate)
        self.steadier = Steadier() if steady else None
        self.block = restorer.settings.batch
        drawn = MEMORY if steady else max(1, round(2 * MEASURED * self.rate))
        led_in = max(drawn, round(LED_IN * self.rate))
        self.tally = Tally(led_in + self.block + 1)
        self.first_new = writer.finished
        if self.first_new:
            self.tally.load(writer.folder, self.first_new)
            if not self.tally.frames:
                self.tally.frames = self.first_new
        self.numbers = Numbers(self.tally)
        # blocks of frames share a network batch, and begin at the same frames in every run
        self.start = self._block_start(self.first_new - led_in)
        self.first_drawn = self._block_start(self.first_new - drawn)
        self.easing: Easing[_Followed] = Easing(self.rate)
        self.following = Following(self.rate)
        self.measured = max(1, round(MEASURED * self.rate))
        self.identities: dict[int, float] = {}
        self.chosen: dict[int, deque[float]] = {}
        self.sample: Restoration | None = None
        self.broken: InputError | None = None
        self._saved = self.first_new
        self._flicker_mask = ellipse_mask(FLICKER_SIDE)

    def all(self) -> None:
        """Read, restore and write to the clip's end."""
        total = self.info.frames
        if total is not None and self.first_new >= total:
            return  # only joining is left
        done = self.first_new
        self.on_progress(done, total)
        with Ahead(self._readable(), QUEUED) as frames, Behind(self._write, QUEUED) as behind:
            for ready in self._restored(self._eased(self._tracked(look(frames, self.restorer.detector.detect, self.rate)))):
                if ready.frame.index >= self.first_new:
                    behind.put(ready)
                    done += 1
                    self.on_progress(done, total)
                del ready

    def _readable(self) -> Iterator[Frame]:
        """The frames as far as they can be read: those before a fault are restored and written."""
        try:
            yield from self.reader.frames(self.start)
        except InputError as fault:
            self.broken = fault

    def save(self) -> None:
        """After a fault: note what holds for the frames that are safe, if that is known."""
        if self.tally.frames == self.writer.finished > self._saved and self.writer.folder.is_dir():
            with contextlib.suppress(Exception):  # the fault itself is told
                self.tally.save(self.writer.folder)

    # --- who is where ---

    def _tracked(self, coming: Iterable[Seen]) -> Iterator[tuple[Frame, Moment]]:
        waiting: deque[Frame] = deque()
        bytes_each = self.info.width * self.info.height * 3
        others = 2 * QUEUED + self.block + round(0.5 * self.rate)
        tracker = Tracker(self.rate, bridged=min(BRIDGED, max(0.1, (BUDGET / bytes_each - others) / self.rate)))
        for seen in coming:
            waiting.append(seen.frame)
            for moment in tracker.add(seen.faces, cut=seen.cut, embed=partial(self._embedded, seen.frame.pixels)):
                yield waiting.popleft(), moment
            del seen
        for moment in tracker.finish():
            yield waiting.popleft(), moment

    def _embedded(self, pixels: Pixels, face: Face) -> NDArray[np.float64]:
        size = self.restorer.size
        crop = align(pixels, finer(similarity(face.landmarks), size / TEMPLATE_SIZE), size)
        tensor = torch.from_numpy(crop).permute(2, 0, 1)[None].to(self.restorer.device) * 2 - 1
        return np.asarray(self.restorer.identity.embed(tensor)[0].cpu().numpy(), np.float64)

    def _eased(self, coming: Iterable[tuple[Frame, Moment]]) -> Iterator[_Followed]:
        for frame, moment in coming:
            here = _Followed(frame, moment.faces, self.numbers.of(frame.index, moment.faces))
            self._choose(here)
            del frame
            for ready, parts in self.easing.add(here, here.wanted, moment.cut):
                ready.parts = parts
                yield ready
            del here
        for ready, parts in self.easing.finish():
            ready.parts = parts
            yield ready

    def _choose(self, here: _Followed) -> None:
        """Which faces are wanted, and why the others are not."""
        faces = [each.face for each in here.tracked]
        spec = self.restorer.settings.faces
        named = parse(spec)
        meant = set(select(faces, spec, here.frame.pixels.shape)) if faces and named is None else set(range(len(faces)))
        for place, (face, number) in enumerate(zip(faces, here.numbers, strict=True)):
            assert face.affine is not None
            result = FaceResult(number, face, misfit=misfit(face.landmarks), pixels=TEMPLATE_SIZE / scale_of(face.affine))
            if place not in meant or (named is not None and number not in named):
                result.left_alone(f"not chosen (--faces {spec})")
            else:
                judge.before_network(result, self.restorer.size, self.restorer.settings.min_face)
            if result.action == "left alone":
                here.passed_over.append((number, result))
            else:
                here.wanted.append(number)

    # --- what is made of them ---

    def _restored(self, coming: Iterable[_Followed]) -> Iterator[_Followed]:
        block: list[_Followed] = []
        for here in coming:
            if block and here.frame.index // self.block != block[0].frame.index // self.block:
                yield from self._drawn(block)
            block.append(here)
            del here
        yield from self._drawn(block)

    def _drawn(self, block: list[_Followed]) -> Iterator[_Followed]:
        """The frames of a block, with their faces restored; empties it."""
        if block and block[0].frame.index >= self.first_drawn:
            for here in block:
                if here.wanted:
                    self._prepare(here)
            self.restorer.run([here.job for here in block if here.job is not None])
            for here in block:
                self._settle(here)
        while block:
            yield block.pop(0)

    def _prepare(self, here: _Followed) -> None:
        of = dict(zip(here.numbers, here.tracked, strict=True))
        here.job = self.restorer.prepare(Photo(here.frame.pixels, None, Origin()), [of[number].face for number in here.wanted])
        rule, measures = self.restorer.rule, here.frame.index % self.measured == 0
        for number, face in zip(here.wanted, here.job.faces, strict=True):
            face.index = number
            if rule is not None and face.crop is not None:
                w, _, face.damage = choose(face.crop, rule)
                recent = self.chosen.setdefault(number, deque(maxlen=self.measured))
                recent.append(w)
                face.fidelity = sum(recent) / len(recent)
            if not measures:
                face.identity = self.identities.get(number)

    def _settle(self, here: _Followed) -> None:
        """Nothing about a face may change abruptly: how much of it is shown, and what it looks like where it stands still."""
        faces = [] if here.job is None else here.job.faces
        for face in faces:
            if face.action != "left alone" and face.identity is not None:
                self.identities[face.index] = face.identity
            else:
                self.identities.pop(face.index, None)  # to be measured at once when it is restored again
        limited = self.restorer.settings.max_identity_drift is not None
        wishes = {face.index: face.strength for face in faces if face.restored is not None}
        strengths = self.following.next(wishes, falls_at_once=limited)
        for face in faces:
            if face.restored is None or face.crop is None:
                continue
            face.strength = strengths[face.index] * here.parts[face.index]
            if face.strength > 0 and face.action == "left alone":
                face.action = "blended"  # on its way there
            if self.steadier is not None:
                face.restored = self.steadier.steadied(face.index, here.frame.index, face.crop, face.restored)
        if self.steadier is not None:
            self.steadier.forget_before(here.frame.index - 1)

    # --- in the writing thread ---

    def _write(self, here: _Followed) -> None:
        restorer, frame = self.restorer, here.frame
        job = here.job or Job(Photo(frame.pixels, None, Origin()), [], time.monotonic())
        if here.job is None and restorer.settings.upscale == 1 and restorer.served.upscaler is None:
            pixels: Pixels = frame.pixels
        else:
            restoration = restorer.finish(job)
            pixels = restoration.image
            self._show(restoration, frame.index)
        for face in job.waiting:
            self._measure(face, frame, pixels)
        self.tally.place(frame.index, ((number, each.face) for number, each in zip(here.numbers, here.tracked, strict=True)))
        self.tally.add(frame.index, [*here.passed_over, *((face.index, face) for face in job.faces)])
        self.writer.write(pixels, frame.pts)
        if self.writer.finished > self._saved and self.tally.frames == self.writer.finished:
            self._saved = self.writer.finished
            self.tally.save(self.writer.folder)

    def _measure(self, face: FaceResult, frame: Frame, pixels: Pixels) -> None:
        assert face.face.affine is not None
        affine = finer(face.face.affine, FLICKER_SIDE / TEMPLATE_SIZE)
        across = pixels.shape[1] / frame.pixels.shape[1], pixels.shape[0] / frame.pixels.shape[0]
        after = align(pixels, affine if across == (1, 1) else resized(affine, across), FLICKER_SIDE)
        self.tally.flicker.add(face.index, frame.index, align(frame.pixels, affine, FLICKER_SIDE), after, self._flicker_mask)

    def _show(self, restoration: Restoration, index: int) -> None:
        """Keep the frame with the most restored faces, the first of them."""
        shown = sum(face.strength >= 0.5 and face.action != "left alone" for face in restoration.faces)
        best = -1 if self.sample is None else sum(face.strength >= 0.5 and face.action != "left alone" for face in self.sample.faces)
        if shown > best:
            restoration.notes = [f"frame {index:,} of the clip"]
            self.sample = restoration

    def _block_start(self, frame: int) -> int:
        return max(0, frame) // self.block * self.block


def _is_unchanged(tally: Tally, restorer: Restorer, source: Path, target: Path, broken: InputError | None) -> bool:
    """Whether the clip would come out as it went in, but for its coding."""
    same = restorer.settings.upscale == 1 and restorer.served.upscaler is None and broken is None
    return same and not tally.restored and source.suffix.lower() == target.suffix.lower()


def _copy(source: Path, target: Path) -> None:
    """The file's bytes, whole or not at all."""
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        write_atomically(target, cast(bytes, view))
