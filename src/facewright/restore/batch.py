"""Many photos: decoding and writing in threads beside the network, bounded queues, one failure costs one photo."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facewright.errors import FacewrightError, OutputError, PartialFailure
from facewright.media import Origin, Photo, default_suffix, encode, read, write_atomically
from facewright.restore.compare import compare
from facewright.restore.journal import Journal
from facewright.restore.plan import Task
from facewright.restore.report import Report
from facewright.restore.restorer import Job, Restorer
from facewright.restore.result import FaceResult, Restoration


@dataclass(frozen=True)
class Writing:
    """How results are written. quality, metadata: as `media.encode`. pixel_limit: refuse larger photos (None: any)."""

    quality: int | None = None
    metadata: str = "keep"
    save_faces: bool = False
    compare: bool = False
    pixel_limit: int | None = 200_000_000
    salvage: bool = False


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
) -> FacewrightError | None:
    """Restore every task; `on_done` is called once for each, in the main thread, in order of completion.

    restorer: makes the Restorer when the first photo needs it, so that a finished journal loads no network.
    Returns None, or the error that stands for the batch: the photo's own where there is one kind, PartialFailure where others succeeded.
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
        on_done(outcome)

    todo = []
    for task in tasks:
        known = (
            journal.report_of(task.source)
            if journal is not None and task.source is not None and task.problem is None and task.source.is_file()
            else None
        )
        if task.problem is not None:
            settle(Outcome(task, error=task.problem))
        elif known is not None:
            settle(Outcome(task, Path(known["target"]), known["report"], skipped=True))
        else:
            todo.append(task)

    if todo:
        pipeline = _Pipeline(restorer(), writing, jobs, journal, report)
        for outcome in pipeline.run(todo):
            settle(outcome)
    if not errors:
        return None
    if not successes and len({error.exit_code for error in errors}) == 1:
        return errors[0]
    return PartialFailure(f"{len(errors)} of {len(tasks)} photos could not be restored", what_to_do="the lines above say why")


class _Pipeline:
    def __init__(self, restorer: Restorer, writing: Writing, jobs: int, journal: Journal | None, report: Report | None) -> None:
        self.restorer, self.writing, self.jobs, self.journal, self.report = restorer, writing, jobs, journal, report

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        coming = iter(tasks)
        reading: deque[tuple[Task, Future[Photo]]] = deque()
        with ThreadPoolExecutor(self.jobs) as readers, ThreadPoolExecutor(self.jobs) as writers:
            writes: deque[Future[Outcome]] = deque()

            def fetch() -> None:
                # as many photos in memory as there are threads, and no more: a photo may be hundreds of megabytes
                while len(reading) < self.jobs and (task := next(coming, None)) is not None:
                    reading.append((task, readers.submit(_read, task, self.writing)))

            try:
                fetch()
                while reading:
                    yield from self._restore(self._next(reading, fetch), writers, writes)
                    while len(writes) > 2 * self.jobs:
                        yield writes.popleft().result()
                while writes:
                    yield writes.popleft().result()
            except BaseException:
                for _, future in reading:
                    future.cancel()
                raise

    def _next(self, reading: deque[tuple[Task, Future[Photo]]], fetch: Callable[[], None]) -> list[tuple[Task, Future[Photo]]]:
        """The next photo, and those after it that are read already: their faces share a batch."""
        group = [reading.popleft()]
        fetch()
        while reading and reading[0][1].done() and len(group) < self.restorer.settings.batch:
            group.append(reading.popleft())
            fetch()
        return group

    def _restore(
        self, group: list[tuple[Task, Future[Photo]]], writers: ThreadPoolExecutor, writes: deque[Future[Outcome]]
    ) -> Iterator[Outcome]:
        prepared: list[tuple[Task, Job]] = []
        for task, future in group:
            try:
                prepared.append((task, self.restorer.prepare(future.result())))
            except FacewrightError as error:
                yield Outcome(task, error=error)
        self.restorer.run([job for _, job in prepared])
        for task, job in prepared:
            restoration = self.restorer.finish(job)
            writes.append(writers.submit(self._write, task, restoration))

    def _write(self, task: Task, restoration: Restoration) -> Outcome:
        try:
            return self._written(task, restoration)
        except FacewrightError as error:
            return Outcome(task, error=error)

    def _written(self, task: Task, restoration: Restoration) -> Outcome:
        writing, origin = self.writing, restoration.photo.origin
        started = time.monotonic()
        target = None if task.to_stream else task.target_for(origin)
        form = default_suffix(origin) if target is None or not target.suffix else target.suffix
        data = encode(restoration.photo, format=form, quality=writing.quality, metadata=writing.metadata)  # type: ignore[arg-type]
        report = restoration.report | {"encode_seconds": round(time.monotonic() - started, 3)}
        if target is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        else:
            _make_folder(target.parent)
            if writing.compare:
                sheet = Photo(compare(restoration), None, replace(Origin(), icc=origin.icc))
                write_atomically(task.beside("-compare.jpg", origin), encode(sheet, format="jpeg", quality=90))
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
        folder = task.beside("-faces", origin)
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
