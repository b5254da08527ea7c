"""Workers that take photos through a `Restorer`, step by step, several at a time.

A photo's way is cut into units: prepare (read, find, align), treat (faces through the network, of one photo or of several), finish
(put back, encode). Whoever is free takes the next unit, what is nearest to its end first. On a processor each worker computes with its own
few cores, so that small steps, which do not scale over cores, run side by side, and a photo's many faces are shared out; the arithmetic is
the same however busy the service is. On an accelerator faces of several photos go through the network together, after waiting for each
other a little.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from facewright.app.limits import Limits
from facewright.app.options import Options
from facewright.app.pace import Pace
from facewright.app.restorers import Restorers
from facewright.app.words import Cancelled, Refused, spoken
from facewright.errors import FacewrightError, InputError, OutputError
from facewright.media import default_suffix, encode, read
from facewright.media.formats import WRITABLE, format_named
from facewright.restore import FaceResult, Restoration, Restorer
from facewright.restore.judge import is_warning, likeness
from facewright.restore.memory import is_out_of_memory
from facewright.restore.plan import SUFFIX
from facewright.restore.restorer import Job

log = logging.getLogger(__name__)

PATIENCE = 0.02
"""Seconds that a face waits on an accelerator for others to share a pass with."""
OPEN_PIXELS = 150_000_000
"""While decoded photos hold more than this together, no further one is read."""
STOPPING = "the service is being stopped"


@dataclass(frozen=True)
class Finished:
    """A restored photo. name: of the file; faces: for `Order.earlier` of the next time; report: as the API gives it."""

    data: bytes
    name: str
    report: dict[str, Any]
    faces: list[FaceResult]


def _nothing(*_: Any) -> None:
    return None


@dataclass(eq=False)
class Order:
    """One photo that is to be restored.

    source: the file, whose name says nothing; name: what its owner calls it. earlier: its faces, where it has been through before.
    on_size(width, height), on_step(word), on_done(outcome): called by workers, the last one once.
    """

    source: Path
    name: str
    options: Options
    earlier: list[FaceResult] | None = None
    on_size: Callable[[int, int], None] = _nothing
    on_step: Callable[[str], None] = _nothing
    on_done: Callable[[Finished | FacewrightError], None] = _nothing

    # the crew's
    cancelled: bool = field(default=False, init=False)
    began: float = field(default=0.0, init=False)
    ready: float = field(default=0.0, init=False)
    restorer: Restorer | None = field(default=None, init=False)
    job: Job | None = field(default=None, init=False)
    left: list[FaceResult] = field(default_factory=list, init=False)
    in_hand: int = field(default=0, init=False)
    computed: int = field(default=0, init=False)
    failure: FacewrightError | None = field(default=None, init=False)
    worked: float = field(default=0.0, init=False)
    settled: bool = field(default=False, init=False)

    @property
    def photo(self) -> Job:
        assert self.job is not None
        return self.job

    @property
    def by(self) -> Restorer:
        assert self.restorer is not None
        return self.restorer

    def end(self, outcome: Finished | FacewrightError) -> None:
        """Tell, for the last time."""
        tell = self.on_done
        # a callback that knows its order makes a ring, which would hold the faces' pictures until the next full collection
        self.on_done = self.on_step = self.on_size = _nothing
        tell(outcome)

    def shares_with(self, other: Order) -> bool:
        """Whether faces of both may go through the network and its judge together."""
        mine, theirs = self.by.settings, other.by.settings
        return self.by.network is other.by.network and all(
            getattr(mine, name) == getattr(theirs, name) for name in ("strength", "fidelity", "mask", "max_identity_drift")
        )


Unit = Callable[[], None]
Share = list[tuple[Order, list[FaceResult]]]


class Crew:
    """workers: threads; None: as many as there are cores, four at most. Threads begin with `start`, and end with `stop`."""

    def __init__(self, restorers: Restorers, limits: Limits, workers: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.restorers, self.limits = restorers, limits
        self.workers = workers or min(cores, 4)
        self.cores_each = max(1, cores // self.workers)
        self.pace = Pace(self.workers)
        self._changed = threading.Condition()
        self._waiting: deque[Order] = deque()
        self._treating: deque[Order] = deque()
        self._finishing: deque[Order] = deque()
        self._open: list[Order] = []
        self._preparing = 0
        self._closed = self._stopped = False
        self._background = threading.Lock()
        self._threads = [threading.Thread(target=self._work, name=f"facewright-{n}", daemon=True) for n in range(self.workers)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads; what they have in hand is finished, the rest refused."""
        self.close()
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def close(self) -> None:
        """Take nothing new, and refuse what waits; what is begun goes on."""
        with self._changed:
            self._closed = True
            refused, self._waiting = list(self._waiting), deque()
        for order in refused:
            order.end(Refused(503, f"{order.name} was not restored", STOPPING, "try again when it is back", retry=30))

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def at_work(self) -> int:
        """Photos that are begun and not done."""
        with self._changed:
            return len(self._open)

    @property
    def queued(self) -> int:
        """Photos that wait."""
        with self._changed:
            return len(self._waiting)

    def submit(self, order: Order) -> None:
        """Raises Refused where too many wait already, or the crew is closed."""
        with self._changed:
            if self._closed:
                raise Refused(503, f"cannot take {order.name}", STOPPING, "try again when it is back", retry=30)
            if len(self._waiting) >= self.limits.queue:
                why = f"{len(self._waiting)} photos are waiting already"
                retry = self.pace.of_photos(self.workers) or 5
                raise Refused(429, f"cannot take {order.name} now", why, "try again a little later", retry=retry)
            self._waiting.append(order)
            self._changed.notify()

    def cancel(self, order: Order) -> None:
        """Give up an order: at once where it waits, else before its next unit."""
        with self._changed:
            order.cancelled = True
            if order not in self._waiting:
                return
            self._waiting.remove(order)
        order.end(Cancelled(order.name))

    def places(self) -> dict[Order, tuple[int | None, float | None]]:
        """Of all orders that are not done: how many are before each, None once it is begun, and in how many seconds it may be done."""
        with self._changed:
            told: dict[Order, tuple[int | None, float | None]] = {}
            for order in self._open:
                faces = len(order.left) + order.in_hand if order.job is not None else None
                told[order] = (None, self.pace.of_one(faces, time.monotonic() - order.began))
            for ahead, order in enumerate(self._waiting):
                told[order] = (ahead, self.pace.of_photos(len(self._open) + ahead + 1))
            return told

    # What workers do

    def _work(self) -> None:
        torch.set_num_threads(self.cores_each)
        while True:
            with self._changed:
                while (unit := self._next()) is None:
                    if self._stopped and not self._open:
                        return
                    self._changed.wait(PATIENCE if self._treating else None)
            unit()
            del unit  # it holds a photo

    def _next(self) -> Unit | None:
        """What is nearest to its end; None where there is nothing to do yet."""
        if self._finishing:
            return partial(self._finish, self._finishing.popleft())
        if self._treating and (share := self._share()):
            return partial(self._treat, share)
        if self._waiting and self._has_room():
            order = self._waiting.popleft()
            order.began = time.monotonic()
            self._open.append(order)
            self._preparing += 1
            return partial(self._prepare, order)
        return None

    def _has_room(self) -> bool:
        read = sum(order.job.original.width * order.job.original.height for order in self._open if order.job is not None)
        return not self._open or (read < OPEN_PIXELS and len(self._open) < 2 * self.workers + self.restorers.batch)

    def _share(self) -> Share:
        """Faces for one pass; empty while it is worth waiting for more."""
        first = self._treating[0]
        group = [order for order in self._treating if order.shares_with(first)]
        faces = sum(len(order.left) for order in group)
        size = first.by.settings.batch
        if first.by.device.type == "cpu":
            size = min(size, math.ceil(faces / self.workers))
        elif faces < size and self._preparing and time.monotonic() - first.ready < PATIENCE:
            return []
        share: Share = []
        for order in group:
            taken, order.left = order.left[:size], order.left[size:]
            order.in_hand += len(taken)
            share.append((order, taken))
            if not order.left:
                self._treating.remove(order)
            size -= len(taken)
            if not size:
                break
        return share

    def _prepare(self, order: Order) -> None:
        with self._unit(order):
            self._check(order)
            order.on_step("reading")
            photo = read(order.source, pixel_limit=self.limits.pixels, salvage=order.options.salvage)
            photo.origin.path = Path(order.name)
            order.on_size(photo.width, photo.height)
            order.restorer = self.restorers.of(order.options)
            order.on_step("finding faces")
            if order.earlier is None:
                order.job = order.by.prepare(photo)
            else:
                order.job = order.by.again(photo, order.earlier)
            self._leave_the_smallest(order.job)
            order.left = order.job.waiting
        with self._changed:
            self._preparing -= 1
            order.worked += time.monotonic() - order.began
        self._go_on(order)

    def _leave_the_smallest(self, job: Job) -> None:
        most = self.limits.faces
        for face in sorted(job.waiting, key=lambda face: -face.face.area)[most:]:
            face.left_alone(f"this service restores {most} faces of a photo, the largest ones")

    def _treat(self, share: Share) -> None:
        """Together; where that fails, each photo alone, so that one does not spoil the others."""
        began = time.monotonic()
        for order, _ in share:
            with self._unit(order):
                self._check(order)
                order.on_step("restoring faces")
        wanted = [(order, faces) for order, faces in share if order.failure is None]
        before = {id(face): face.restored for _, faces in wanted for face in faces}
        seconds = 0.0
        if before:
            try:
                wanted[0][0].by.treat([face for _, faces in wanted for face in faces])
            except Exception:
                for order, faces in wanted:
                    with self._unit(order):
                        order.by.treat(faces)
            seconds = (time.monotonic() - began) / len(before)
            self.pace.face(seconds)
        for order, faces in share:
            with self._changed:
                order.in_hand -= len(faces)
                if order.failure is None:
                    order.worked += seconds * len(faces)
                    order.computed += sum(face.restored is not before[id(face)] for face in faces)
                ended = not (order.left or order.in_hand) or order.failure is not None
            if ended:
                self._go_on(order)

    def _finish(self, order: Order) -> None:
        began = time.monotonic()
        outcome: Finished | None = None
        with self._unit(order):
            self._check(order)
            order.on_step("writing")
            if order.by.served.upscaler is None:
                restoration = order.by.finish(order.photo)
            else:
                with self._background:
                    restoration = order.by.finish(order.photo)
            outcome = _finished(order, restoration)
        order.worked += time.monotonic() - began
        self._settle(order, outcome or order.failure)

    def _go_on(self, order: Order) -> None:
        """To the next queue, or to its end."""
        with self._changed:
            if order.failure is None:
                order.ready = time.monotonic()
                (self._treating if order.left else self._finishing).append(order)
                self._changed.notify_all()
                return
            if order in self._treating:
                self._treating.remove(order)
            if order.in_hand:  # somebody else has a part of it, and ends it
                order.left = []
                return
        self._settle(order, order.failure)

    def _check(self, order: Order) -> None:
        """Raises what ends an order before its time."""
        if order.cancelled:
            raise Cancelled(order.name)
        if time.monotonic() - order.began > self.limits.seconds:
            why = f"it took longer than {self.limits.seconds:g} seconds"
            raise Refused(503, f"{order.name} was not finished", why, "make it smaller, or choose fewer faces")

    @contextmanager
    def _unit(self, order: Order) -> Iterator[None]:
        """What goes wrong with a photo costs that photo only."""
        try:
            yield
        except Exception as problem:
            log.debug("%s", order.name, exc_info=problem)
            error = problem if isinstance(problem, FacewrightError) else _explained(order, problem)
            error.what = error.what.replace(str(order.source), order.name)
            # it is kept with the photo's entry, and its traceback would keep the decoded photo
            error.__cause__ = error.__context__ = None
            order.failure = error.with_traceback(None)

    def _settle(self, order: Order, outcome: Finished | FacewrightError | None) -> None:
        assert outcome is not None
        with self._changed:
            if order.settled:
                return  # two workers had the last parts of an order that failed
            order.settled = True
            order.job = order.restorer = order.earlier = None  # whoever holds the order does not hold the photo
        if isinstance(outcome, Finished):
            self.pace.photo(order.worked)
        try:
            order.end(outcome)
        except Exception:
            log.exception("what became of %s could not be told", order.name)
        with self._changed:
            self._open.remove(order)
            self._changed.notify_all()


def _finished(order: Order, restoration: Restoration) -> Finished:
    options, origin = order.options, restoration.photo.origin
    form = options.format or default_suffix(origin)
    began = time.monotonic()
    data = encode(restoration.photo, format=form, quality=options.quality, metadata=options.metadata)
    report = restoration.report | {"encode_seconds": round(time.monotonic() - began, 3)}
    report["notes"] = [spoken(note) for note in report["notes"]]
    for told, face in zip(report["faces"], restoration.faces, strict=True):
        told |= {"likeness": likeness(face), "warning": is_warning(face), "reasons": [spoken(reason) for reason in face.reasons]}
    report["redone"] = {"read": True, "found": order.earlier is None, "computed": order.computed}
    suffix = WRITABLE[format_named(options.format)] if options.format else default_suffix(origin)
    return Finished(data, Path(order.name).stem + SUFFIX + suffix, report, restoration.faces)


def _explained(order: Order, problem: Exception) -> FacewrightError:
    what = f"cannot restore {order.name}"
    if is_out_of_memory(problem):
        return InputError(what, "there is not enough memory", "make it smaller, or choose a smaller upscale")
    if isinstance(problem, OSError):
        return OutputError(what, problem.strerror or str(problem), "try again later")
    said = " ".join(str(problem).split())[:160] or type(problem).__name__
    return FacewrightError(what, said, "this is a fault of facewright; please report it with the photo's format and size")
