"""A restorer that computes nothing, does what it is told to at each step, and remembers it; and orders for it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from facewright.app.crew import Crew, Finished, Order
from facewright.app.limits import Limits
from facewright.app.options import Options
from facewright.errors import FacewrightError
from facewright.faces import Face
from facewright.media import Photo
from facewright.restore import FaceResult, Restoration, Settings
from facewright.restore.restorer import Job

PATIENCE = 20.0


def nothing(*_: Any) -> None:
    return None


@dataclass
class Puppet:
    """A `Restorer`. A photo called "x3.png" has three faces, of falling size. at_prepare(name), at_treat(faces), at_finish(name): what
    happens at these steps; a face's photo is in its `damage`."""

    settings: Settings
    device: SimpleNamespace
    served: SimpleNamespace
    network: object
    seen: list[tuple[str, Any]]
    at_prepare: Callable[[str], None] = nothing
    at_treat: Callable[[list[FaceResult]], None] = nothing
    at_finish: Callable[[str], None] = nothing

    def prepare(self, photo: Photo) -> Job:
        name = str(photo.origin.path)
        self.seen.append(("prepare", name))
        self.at_prepare(name)
        count = int((re.search(r"(\d+)\.png$", name) or [0, 0])[1])
        return Job(photo, [face(name, number) for number in range(count)], time.monotonic())

    def again(self, photo: Photo, earlier: list[FaceResult]) -> Job:
        self.seen.append(("again", str(photo.origin.path)))
        return Job(photo, earlier, time.monotonic())

    def treat(self, faces: list[FaceResult]) -> None:
        self.seen.append(("treat", [each.damage for each in faces]))
        self.at_treat(faces)
        for each in faces:
            if each.restored is None:
                each.restored = np.zeros((1, 1, 3), np.float32)

    def finish(self, job: Job) -> Restoration:
        name = str(job.original.origin.path)
        self.seen.append(("finish", name))
        self.at_finish(name)
        return Restoration(job.original, job.original, job.faces, "puppet")


@dataclass
class Puppets:
    """`Restorers` of one puppet."""

    device: str = "cpu"
    batch: int = 8
    upscaler: object | None = None
    seen: list[tuple[str, Any]] = field(default_factory=list)
    does: dict[str, Callable[..., None]] = field(default_factory=dict)
    network: object = field(default_factory=object)
    loaded: int = 1

    def of(self, options: Options) -> Puppet:
        settings = Settings(**options.settings, batch=self.batch)
        device, served = SimpleNamespace(type=self.device), SimpleNamespace(upscaler=self.upscaler)
        return Puppet(settings, device, served, self.network, self.seen, **self.does)

    @property
    def steps(self) -> list[str]:
        return [step for step, _ in self.seen]

    def passes(self) -> list[list[str]]:
        """Whose faces went through the network together."""
        return [names for step, names in self.seen if step == "treat"]


def face(name: str, number: int) -> FaceResult:
    side = 100.0 - number
    return FaceResult(number, Face(np.array([0.0, 0.0, side, side]), np.zeros((5, 2)), 0.9), damage=name)


@dataclass
class Sent:
    """An order, and what became of it."""

    order: Order
    outcomes: list[Finished | FacewrightError]
    steps: list[str]
    sizes: list[tuple[int, int]]
    ended: threading.Event

    @property
    def outcome(self) -> Finished | FacewrightError:
        """Waits for it."""
        assert self.ended.wait(PATIENCE), f"{self.order.name} did not come to its end"
        (one,) = self.outcomes
        return one

    @property
    def finished(self) -> Finished:
        assert isinstance(self.outcome, Finished), self.outcome
        return self.outcome


def order(source: Path, name: str, *, earlier: list[FaceResult] | None = None, **options: Any) -> Sent:
    outcomes: list[Finished | FacewrightError] = []
    steps: list[str] = []
    sizes: list[tuple[int, int]] = []
    ended = threading.Event()

    def done(outcome: Finished | FacewrightError) -> None:
        outcomes.append(outcome)
        ended.set()

    sent = Order(source, name, Options(**options), earlier, lambda *size: sizes.append(size), steps.append, done)
    return Sent(sent, outcomes, steps, sizes, ended)


def crew_of(puppets: Puppets, workers: int, **limits: Any) -> Crew:
    return Crew(puppets, Limits(**limits), workers)  # type: ignore[arg-type]


def until(look: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < end
        time.sleep(0.002)
