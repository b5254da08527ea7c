"""Many photos: decoding and writing in threads beside the network, bounded queues, one failure costs one photo. Clips come after them."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from facewright.errors import FacewrightError, OutputError, PartialFailure
from facewright.media import Origin, Photo, default_suffix, encode, read, write_atomically
from facewright.restore.compare import compare
from facewright.restore.journal import Journal
from facewright.restore.plan import COMPARE, FACES, Task, overwrites
from facewright.restore.report import Report
from facewright.restore.restorer import Job, Restorer
from facewright.restore.result import FaceResult, Restoration

log = logging.getLogger(__name__)

GROUP_PIXELS = 16_000_000
"""Photos share a network batch while they are smaller than this together: what is gained is for small photos, what it costs is memory."""


@dataclass(frozen=True)
class Writing:
    """How results are written. quality, metadata: as `media.encode`. pixel_limit: refuse larger photos (None: any). steady: of clips, see
    `restore_clip`."""

    quality: int | None = None
    metadata: str = "keep"
    save_faces: bool = False
    compare: bool = False
    pixel_limit: int | None = 200_000_000
    salvage: bool = False
    steady: bool = False


@dataclass
class Outcome:
    """What became of one photo: a report, or an error; `skipped` where the journal had it."""

    task: Task
    target: Path | None = None
    report: dict[str, Any] | None = None
    error: FacewrightError | None = None
    skipped: bool = False

    def asdict(self) -> dict[str, Any]:
        told: dict[str, Any] = {"photo": self.task.name, "output": None if self.target is None else str(self.target)}
        if self.error is not None:
            return told | {
                "error": {"what": self.error.what, "why": self.error.why, "what_to_do": self.error.what_to_do, "code": self.error.exit_code}
            }
        return told | ({"skipped": True} if self.skipped else {}) | (self.report or {})


def restore_all(
    tasks: Sequence[Task],
    restorer: Callable[[], Restorer],
    writing: Writing,
    *,
    jobs: int = 2,
    journal: Journal | None = None,
    report: Report | None = None,
    on_done: Callable[[Outcome], None] = lambda outcome: None,
    on_frame: Callable[[Task, int, int | None], None] = lambda task, done, total: None,
) -> FacewrightError | None:
    """Restore every task, photos first; `on_done` is called once for each, in the main thread, in order of completion.

    on_frame: called as a clip goes on, with its frames that are done and how many there are, if that is known.
    restorer: makes the Restorer when the first photo needs it, so that a finished journal loads no network.
    Returns None, or the error that stands for the batch: the photo's own where there is one kind, PartialFailure where others succeeded.
    Whatever goes wrong with one photo costs that photo only. In memory at once are as many photos as `jobs` being read, one group at the
    network (`GROUP_PIXELS`), and `jobs` + 1 being written.
    KeyboardInterrupt: what is being written is finished, the rest is left for the journal; then it is raised again.
    """
    errors: list[FacewrightError] = []
    successes = 0

    def settle(outcome: Outcome) -> None:
        nonlocal successes
        if outcome.error is not None:
            errors.append(outcome.error)
            if report is not None:
                report.add_failure(outcome.task.name, outcome.error.what, outcome.error.why, outcome.error.what_to_do)
        else:
            successes += 1
            if report is not None and outcome.skipped:
                report.add_done_before(outcome.task.name, str(outcome.target))
        on_done(outcome)

    todo = []
    claims = _Claims(tasks)
    for task in tasks:
        known = (
            journal.report_of(task.source, task.may_become)
            if journal is not None and task.source is not None and task.problem is None and task.source.is_file()
            else None
        )
        if task.problem is not None:
            settle(Outcome(task, error=task.problem))
        elif known is not None:
            claims.claim(Path(known["target"]), task)
            settle(Outcome(task, Path(known["target"]), known["report"], skipped=True))
        else:
            todo.append(task)

    if todo:
        ready = restorer()
        pipeline = _Pipeline(ready, writing, jobs, journal, report, claims)
        # closed at once even where `on_done` raises: the threads end before the journal is closed
        with closing(pipeline.run([task for task in todo if not task.clip])) as outcomes:
            for outcome in outcomes:
                settle(outcome)
        for task in todo:
            if task.clip:
                settle(_clip(task, ready, writing, journal, report, claims, partial(on_frame, task)))
    if not errors:
        return None
    if not successes and len({error.exit_code for error in errors}) == 1:
        return errors[0]
    things = "photos and clips" if any(task.clip for task in tasks) else "photos"
    deed = tasks[0].suffix.removeprefix("-")  # restored, colorized, inpainted
    return PartialFailure(f"{len(errors)} of {len(tasks)} {things} could not be {deed}", what_to_do="the lines above say why")


def _clip(
    task: Task,
    restorer: Restorer,
    writing: Writing,
    journal: Journal | None,
    report: Report | None,
    claims: _Claims,
    on_frame: Callable[[int, int | None], None],
) -> Outcome:
    from facewright.restore.clip_tasks import restore_task

    try:
        claims.claim(target := task.target_for(Origin()), task)
        _make_folder(target.parent)
        return Outcome(task, target, restore_task(task, target, restorer, writing, journal, report, on_frame))
    except Exception as problem:
        return Outcome(task, error=_explained(task, problem))


class _Claims:
    """Who writes which path: no original is overwritten, and no result by another one. Threads share it."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.sources = {task.source.resolve() for task in tasks if task.source is not None}
        self.owners: dict[Path, Task] = {}
        self._lock = threading.Lock()

    def claim(self, path: Path, task: Task) -> None:
        """Raises UsageError, OutputError."""
        place = path.resolve()
        if place in self.sources and not task.in_place:
            raise overwrites(path)
        with self._lock:
            owner = self.owners.setdefault(place, task)
        if owner is not task:
            raise OutputError(f"cannot write {path}", f"it is the result of {owner.name}", "name another place with --output")


class _Pipeline:
    def __init__(
        self, restorer: Restorer, writing: Writing, jobs: int, journal: Journal | None, report: Report | None, claims: _Claims
    ) -> None:
        self.restorer, self.writing, self.jobs, self.journal, self.report = restorer, writing, jobs, journal, report
        self.claims = claims

    def run(self, tasks: Sequence[Task]) -> Generator[Outcome, None, None]:
        coming = iter(tasks)
        reading: deque[tuple[Task, Future[Photo]]] = deque()
        with ThreadPoolExecutor(self.jobs) as readers, ThreadPoolExecutor(self.jobs) as writers:
            writes: deque[Future[Outcome]] = deque()

            def fetch() -> None:
                # a photo may be hundreds of megabytes: as many are read ahead as there are threads, and no more
                while len(reading) < self.jobs and (task := next(coming, None)) is not None:
                    reading.append((task, readers.submit(_read, task, self.writing)))

            try:
                fetch()
                while reading:
                    yield from self._restore(self._next(reading, fetch), writers, writes)
                while writes:
                    yield writes.popleft().result()
            except BaseException:
                for _, future in reading:
                    future.cancel()
                raise

    def _next(self, reading: deque[tuple[Task, Future[Photo]]], fetch: Callable[[], None]) -> deque[tuple[Task, Photo | FacewrightError]]:
        """The next photo, and those after it that are read already and not large: their faces share a batch."""
        group: deque[tuple[Task, Photo | FacewrightError]] = deque()
        pixels = 0
        while reading and (not group or (reading[0][1].done() and len(group) < self.restorer.settings.batch and pixels < GROUP_PIXELS)):
            task, future = reading.popleft()
            try:
                photo = future.result()
                pixels += photo.width * photo.height
                group.append((task, photo))
                del photo
            except Exception as problem:
                group.append((task, _explained(task, problem)))
            del future  # it holds the photo
            fetch()
        return group

    def _restore(
        self, group: deque[tuple[Task, Photo | FacewrightError]], writers: ThreadPoolExecutor, writes: deque[Future[Outcome]]
    ) -> Iterator[Outcome]:
        """Photos leave `group` and `prepared` as they go on, so that nothing holds them longer than it must."""
        prepared: deque[tuple[Task, Job]] = deque()
        while group:
            task, photo = group.popleft()
            if isinstance(photo, FacewrightError):
                yield Outcome(task, error=photo)
                continue
            try:
                prepared.append((task, self.restorer.prepare(photo)))
            except Exception as problem:
                yield Outcome(task, error=_explained(task, problem))
            del photo
        together = self._ran(prepared)
        while prepared:
            task, job = prepared.popleft()
            try:
                if not together:
                    self.restorer.run([job])
                restoration = self.restorer.finish(job)
            except Exception as problem:
                yield Outcome(task, error=_explained(task, problem))
                continue
            finally:
                del job
            writes.append(writers.submit(self._write, task, restoration))
            del restoration
            while len(writes) > self.jobs:
                yield writes.popleft().result()

    def _ran(self, prepared: Sequence[tuple[Task, Job]]) -> bool:
        """Whether the faces of all photos went through the network together; if not, each photo is tried alone."""
        try:
            self.restorer.run([job for _, job in prepared])
        except Exception as problem:
            log.debug("%d photos together failed", len(prepared), exc_info=problem)
            return False
        return True

    def _write(self, task: Task, restoration: Restoration) -> Outcome:
        try:
            return self._written(task, restoration)
        except BrokenPipeError:
            raise  # the reader of our output went away: nothing to tell, and nobody
        except Exception as problem:
            return Outcome(task, error=_explained(task, problem))

    def _written(self, task: Task, restoration: Restoration) -> Outcome:
        writing, origin = self.writing, restoration.photo.origin
        started = time.monotonic()
        target = None if task.to_stream else task.target_for(origin)
        form = default_suffix(origin) if target is None or not target.suffix else target.suffix
        data = encode(restoration.photo, format=form, quality=writing.quality, metadata=writing.metadata)  # type: ignore[arg-type]
        report = restoration.report | {"encode_seconds": round(time.monotonic() - started, 3)}
        if target is None:
            _write_to_stream(data)
        else:
            self.claims.claim(target, task)
            _make_folder(target.parent)
            if writing.compare:
                self.claims.claim(task.beside(COMPARE, origin), task)
                sheet = Photo(compare(restoration), None, replace(Origin(), icc=origin.icc))
                write_atomically(task.beside(COMPARE, origin), encode(sheet, format="jpeg", quality=90))
            if writing.save_faces:
                for face in restoration.faces:
                    if face.crop is not None:
                        self._save_face(task, face, origin)
            if self.journal is not None and task.source is not None:
                self.journal.writing(task.source, target, data, report)
            write_atomically(target, data)
            if self.journal is not None and task.source is not None:
                self.journal.done(task.source, target, report)
        if self.report is not None:
            self.report.add(task.name, restoration)
        return Outcome(task, target, report)

    def _save_face(self, task: Task, face: FaceResult, origin: Origin) -> None:
        folder = task.beside(FACES, origin)
        self.claims.claim(folder, task)
        _make_folder(folder)
        for name, picture in (("before", face.crop), ("after", face.restored)):
            if picture is not None:
                pixels = np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
                write_atomically(
                    folder / f"{face.index:02d}-{name}.png", encode(Photo(pixels, None, replace(Origin(), icc=origin.icc)), format="png")
                )


def _read(task: Task, writing: Writing) -> Photo:
    if task.source is None:
        return read(sys.stdin.buffer.read(), pixel_limit=writing.pixel_limit, salvage=writing.salvage)
    return read(task.source, pixel_limit=writing.pixel_limit, salvage=writing.salvage)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OutputError(f"cannot make the folder {folder}", problem.strerror or str(problem), "choose another --output") from problem


def _write_to_stream(data: bytes) -> None:
    """Past the buffer of standard output, which would try again at the interpreter's end what a full disk refused."""
    stream = sys.stdout.buffer
    raw = getattr(stream, "raw", stream)
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[raw.write(rest) or 0 :]
        raw.flush()
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise OutputError("cannot write to standard output", problem.strerror or str(problem), "write to a file with --output") from problem


def _explained(task: Task, problem: BaseException) -> FacewrightError:
    """What a person reads: our own errors as they are, the rest as one photo's bad luck.

    A traceback holds the photo: it is logged and let go.
    """
    log.debug("%s", task.name, exc_info=problem)
    link: BaseException | None = problem
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    if isinstance(problem, FacewrightError):
        return problem
    what = f"cannot restore {task.name}"
    if isinstance(problem, (MemoryError, torch.cuda.OutOfMemoryError)):
        return FacewrightError(what, "there is not enough memory", "close other programs, or use --jobs 1 --batch 1")
    why = (str(problem).splitlines() or [""])[0] or "something unexpected happened"
    return FacewrightError(what, why, "that is a fault of facewright: please report what --debug shows")
