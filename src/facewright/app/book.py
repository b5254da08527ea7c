"""The book of jobs: which photos there are, what became of each, who is told, and when they are gone. All on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from facewright.app.crew import Crew, Finished, Order
from facewright.app.folder import PrivateFolder
from facewright.app.limits import Limits
from facewright.app.options import Options
from facewright.app.words import Cancelled, Refused, told
from facewright.errors import FacewrightError
from facewright.media.formats import media_type
from facewright.restore import FaceResult

State = Literal["waiting", "working", "done", "failed", "cancelled"]
Event = tuple[str, dict[str, Any]]

KEPT_BYTES = 256 * 2**20
"""Crops and networks' pictures that are kept in memory for photos that may be restored again; beyond it the oldest are made anew."""
HELD_EVENTS = 1000
"""A watcher that is further behind is told to come again."""


@dataclass(frozen=True)
class Result:
    """A restored photo's file: where it lies, what it is called, bytes."""

    path: Path
    name: str
    bytes: int

    @property
    def type(self) -> str:
        return media_type(self.name)

    @property
    def told(self) -> dict[str, Any]:
        return {"name": self.name, "bytes": self.bytes, "type": self.type}


@dataclass(eq=False)
class Item:
    """A photo of a job. upload: the file that came. version rises with each result; unfetched: the last one came while the
    service was being stopped, and nobody has asked for it yet. name: as its owner calls it, no path."""

    number: int
    name: str
    upload: Path
    bytes: int
    options: Options
    state: State = "waiting"
    step: str | None = None
    size: tuple[int, int] | None = None
    version: int = 0
    unfetched: bool = False
    report: dict[str, Any] | None = None
    result: Result | None = None
    error: FacewrightError | None = None
    faces: list[FaceResult] | None = None
    found_by: str = ""
    order: Order | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class Job:
    """Photos of one client. Who knows the id may see and remove them; nothing lists the ids."""

    options: Options
    while_watched: bool = False
    id: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    born: float = field(default_factory=time.monotonic)
    items: dict[int, Item] = field(default_factory=dict)
    numbered: int = 0
    watchers: set[asyncio.Queue[Event | None]] = field(default_factory=set)
    alone_since: float = field(default_factory=time.monotonic)


class Book:
    """on_end: called with each photo's outcome, for the counters."""

    def __init__(self, crew: Crew, folder: PrivateFolder, limits: Limits, on_end: Callable[[Item], None] = lambda item: None) -> None:
        self.crew, self.folder, self.limits, self.on_end = crew, folder, limits, on_end
        self.jobs: dict[str, Job] = {}
        self._kept: OrderedDict[Item, int] = OrderedDict()

    # Jobs

    def open(self, options: Options, *, while_watched: bool = False) -> Job:
        """A new, empty job. Raises Refused where there are too many."""
        if self.crew.closed:
            raise Refused(503, "cannot open a job", "the service is being stopped", "try again when it is back", retry=30)
        if len(self.jobs) >= self.limits.jobs:
            raise Refused(429, "cannot open a job", f"{len(self.jobs)} are open already", "try again a little later", retry=30)
        job = Job(options, while_watched)
        self.jobs[job.id] = job
        return job

    def job(self, id: str) -> Job:
        """Raises Refused for one that is not there, or no more."""
        if (job := self.jobs.get(id)) is None:
            raise Refused(404, "there is no such job", "its time was over, or it was removed", "send the photos again")
        return job

    def close(self, job: Job, why: str = "it was removed") -> None:
        """Its files are gone, who waits for its photos gets them no more."""
        if self.jobs.pop(job.id, None) is None:
            return
        for item in list(job.items.values()):
            self._drop(job, item)
        self._tell(job, ("gone", {"why": why}))
        for watcher in job.watchers:
            watcher.put_nowait(None)

    def expires_in(self, job: Job) -> float:
        return max(0.0, job.born + self.limits.keep - time.monotonic())

    @property
    def unfetched(self) -> bool:
        """Whether there are results for which the service should not stop yet."""
        return any(item.unfetched for job in self.jobs.values() for item in job.items.values())

    async def keep_time(self) -> None:
        """Runs as long as the service: closes jobs whose time is over, and tells watchers how the queue goes on."""
        while True:
            await asyncio.sleep(min(1.0, self.limits.keep / 4))
            now = time.monotonic()
            for job in list(self.jobs.values()):
                if now - job.born > self.limits.keep:
                    self.close(job, f"files are kept for {self.limits.keep / 60:g} minutes")
                elif job.while_watched and not job.watchers and now - job.alone_since > self.limits.unwatched:
                    self.close(job, "nobody watched it any more")
                elif job.watchers:
                    for item in job.items.values():
                        if item.state in ("waiting", "working"):
                            self._tell(job, ("photo", self.photo_told(item)))

    # Photos

    def add(self, job: Job, name: str, upload: Path, size: int, options: Options) -> Item:
        """A photo that came in whole; its order is on its way. Raises Refused; the file is then removed."""
        try:
            if len(job.items) >= self.limits.photos:
                raise Refused(409, f"cannot take {name}", f"the job has {len(job.items)} photos", "open another job")
            item = Item(job.numbered, name, upload, size, options)
            self._order(job, item, None)
        except FacewrightError:
            upload.unlink(missing_ok=True)
            raise
        job.numbered += 1
        job.items[item.number] = item
        self._tell(job, ("photo", self.photo_told(item)))
        return item

    def item(self, job: Job, number: int) -> Item:
        if (item := job.items.get(number)) is None:
            raise Refused(404, "there is no such photo in the job", "", "see the job for what is there")
        return item

    def again(self, job: Job, item: Item, options: Options) -> None:
        """Restore it with other options; what is there stays until the new result is. Raises Refused."""
        if item.order is not None:
            raise Refused(409, f"{item.name} is being restored already", "", "cancel it first, or wait")
        earlier = item.faces if options.detector == item.found_by and options.salvage == item.options.salvage else None
        before, item.options = item.options, options
        try:
            self._order(job, item, earlier)
        except FacewrightError:
            item.options = before
            raise
        self._tell(job, ("photo", self.photo_told(item)))

    def cancel(self, item: Item) -> None:
        if item.order is not None:
            self.crew.cancel(item.order)

    def remove(self, job: Job, item: Item) -> None:
        self._drop(job, item)
        self._tell(job, ("removed", {"number": item.number}))

    # How it is told

    def job_told(self, job: Job) -> dict[str, Any]:
        return {
            "id": job.id,
            "options": asdict(job.options),
            "photos": [self.photo_told(item) for item in job.items.values()],
            "expires_in": round(self.expires_in(job)),
        }

    def photo_told(self, item: Item) -> dict[str, Any]:
        ahead, seconds = self.crew.places().get(item.order, (None, None)) if item.order is not None else (None, None)
        return {
            "number": item.number,
            "name": item.name,
            "state": item.state,
            "step": item.step,
            "ahead": ahead,
            "seconds_left": None if seconds is None else round(seconds, 1),
            "bytes": item.bytes,
            "version": item.version,
            "width": item.size[0] if item.size else None,
            "height": item.size[1] if item.size else None,
            "options": asdict(item.options),
            "report": item.report,
            "result": item.result.told if item.result is not None else None,
            "error": told(item.error) if item.error is not None else None,
        }

    async def watch(self, job: Job) -> AsyncIterator[Event]:
        """What happens to a job, from how it is now until it is gone."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(HELD_EVENTS)
        job.watchers.add(queue)
        try:
            yield "job", self.job_told(job)
            while (event := await queue.get()) is not None:
                yield event
        finally:
            job.watchers.discard(queue)
            job.alone_since = time.monotonic()

    def _tell(self, job: Job, event: Event) -> None:
        for watcher in list(job.watchers):
            if watcher.qsize() >= HELD_EVENTS - 1:  # its client reads no more: the stream ends, and a living one comes again
                job.watchers.discard(watcher)
                watcher.put_nowait(None)
            else:
                watcher.put_nowait(event)

    # Between the loop and the crew

    def _order(self, job: Job, item: Item, earlier: list[FaceResult] | None) -> None:
        loop = asyncio.get_running_loop()

        def later(call: Callable[..., None], *values: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to be told
                loop.call_soon_threadsafe(call, *values)

        def sized(width: int, height: int) -> None:
            item.size = width, height

        def stepped(step: str) -> None:
            if item.order is order:
                item.state, item.step = "working", step
                self._tell(job, ("photo", self.photo_told(item)))

        def done(outcome: Finished | FacewrightError) -> None:
            # still in the worker: the file is written there, beside the one that somebody may be reading
            path = None
            if isinstance(outcome, Finished) and job.id in self.jobs:
                try:
                    path = self.folder.put(outcome.data)
                except FacewrightError as error:
                    outcome = error
            later(self._end, job, item, order, outcome, path)

        order = Order(
            item.upload,
            item.name,
            item.options,
            earlier,
            on_size=lambda width, height: later(sized, width, height),
            on_step=lambda step: later(stepped, step),
            on_done=done,
        )
        self.crew.submit(order)
        item.order, item.state, item.step, item.error = order, "waiting", None, None
        item.ended.clear()

    def _end(self, job: Job, item: Item, order: Order, outcome: Finished | FacewrightError, path: Path | None) -> None:
        """path: of the file, where there is a result that somebody waits for."""
        if item.order is not order:  # removed meanwhile
            if path is not None:
                path.unlink(missing_ok=True)
            return
        item.order, item.step = None, None
        if isinstance(outcome, Finished) and path is not None:
            item.state, item.report, item.faces = "done", outcome.report, outcome.faces
            item.version, item.found_by, item.unfetched = item.version + 1, item.options.detector, self.crew.closed
            _discard(item.result)
            item.result = Result(path, outcome.name, len(outcome.data))
            self._keep(item)
        elif isinstance(outcome, Cancelled):
            item.state = "cancelled"
        elif isinstance(outcome, FacewrightError):
            item.state, item.error = "failed", outcome
        item.ended.set()
        self.on_end(item)
        self._tell(job, ("photo", self.photo_told(item)))

    def _drop(self, job: Job, item: Item) -> None:
        job.items.pop(item.number, None)
        self._kept.pop(item, None)
        order, item.order, item.faces = item.order, None, None
        if order is not None:
            self.crew.cancel(order)
            item.state = "cancelled"
        item.ended.set()
        item.upload.unlink(missing_ok=True)
        _discard(item.result)

    def _keep(self, item: Item) -> None:
        """Remember its crops and pictures, and forget those of the photos that were longest untouched."""
        pictures = [picture for face in item.faces or () for picture in (face.crop, face.restored, face.mask) if picture is not None]
        self._kept.pop(item, None)
        self._kept[item] = sum(picture.nbytes for picture in pictures)
        while sum(self._kept.values()) > KEPT_BYTES and len(self._kept) > 1:
            oldest, _ = self._kept.popitem(last=False)
            for face in oldest.faces or ():
                face.crop = face.restored = face.mask = None


def _discard(result: Result | None) -> None:
    if result is not None:
        result.path.unlink(missing_ok=True)
