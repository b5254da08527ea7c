"""A batch in several parts: one after the other through the network, with the gradient, the random numbers and the updates of the whole.

The parts walk through a recipe's step side by side, each in a thread of its own, of which only one runs at any time: a part runs until
its next meeting (`Engine.update`), waits there for the others, and goes on when the meeting's business is done. So a step that
updates several networks in turn sees each update exactly where it would see it with the whole batch, and a recipe need not know.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from facewright.errors import FacewrightError, UsageError
from facewright.train.randomness import random_state, restore_random_state

B = TypeVar("B")
Business = Callable[[], None]


class Parts:
    """`count` parts a step; `index` is the one that walks at the moment."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.count, self.index, self.device = count, 0, device
        self._walking: list[_Part] = []
        self._pool: ThreadPoolExecutor | None = None

    def walk(self, work: Callable[[int], None]) -> None:
        """`work(index)` for every part. Raises what one of them raises, or a meeting; the others are then given up."""
        if self.count == 1:
            work(0)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.count, "part", self._enter)
        self._walking = [_Part(self._pool, work, index) for index in range(self.count)]
        try:
            while True:
                # each part draws what the whole batch would draw, from the same state
                before = random_state(self.device)
                meetings = []
                for self.index, part in enumerate(self._walking):  # noqa: B020
                    restore_random_state(self.device, before)
                    meetings.append(part.go())
                if None in meetings:
                    if any(meetings):
                        raise FacewrightError("the parts of a batch do not make the same updates", "a part has ended before the others")
                    return
                cast(Business, meetings[-1])()
        finally:
            for part in self._walking:
                part.give_up()
            self._walking, self.index = [], 0

    def meet(self, business: Business) -> None:
        """Wait until all parts are here and `business` of one of them is done; at once where there is one part."""
        if self.count == 1:
            business()
        else:
            self._walking[self.index].meet(business)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def _enter(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)  # each thread has a current device of its own


class _GivenUp(BaseException):
    """Unwinds a part whose step is not finished."""


class _Part:
    def __init__(self, pool: ThreadPoolExecutor, work: Callable[[int], None], index: int) -> None:
        self._may_go, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        self._meeting: Business | None = None
        self._error: BaseException | None = None
        self._given_up = False
        self._ended: Future[None] = pool.submit(self._run, work, index)

    def go(self) -> Business | None:
        """Run to the next meeting and say its business, or to the end: None."""
        self._may_go.release()
        self._paused.acquire()
        if self._error is not None:
            raise self._error
        return self._meeting

    def meet(self, business: Business) -> None:
        self._meeting = business
        self._paused.release()
        self._wait()

    def give_up(self) -> None:
        self._given_up = True
        self._may_go.release()
        self._ended.result()

    def _run(self, work: Callable[[int], None], index: int) -> None:
        try:
            self._wait()
            work(index)
        except _GivenUp:
            pass
        except BaseException as error:
            self._error = error
        self._meeting = None
        self._paused.release()

    def _wait(self) -> None:
        self._may_go.acquire()
        if self._given_up:
            raise _GivenUp


def part_of(batch: B, index: int, count: int) -> B:
    """Samples index, index + count, ... of every tensor in a batch: a tensor, a dataclass, a tuple, list or dict of these.

    The order in which the discriminator's groups (samples i, i + N / group, ...) stay together. Raises UsageError where `count` does not
    divide the samples.
    """
    found: Any = batch
    if count == 1:
        return batch
    if isinstance(found, Tensor):
        if found.ndim and found.shape[0] % count:
            raise UsageError(
                f"cannot split a batch of {found.shape[0]} in {count} equal parts", what_to_do="change run.batch or run.accumulate"
            )
        found = found[index::count] if found.ndim else found
    elif is_dataclass(found) and not isinstance(found, type):
        found = replace(found, **{field.name: part_of(getattr(found, field.name), index, count) for field in fields(found)})
    elif isinstance(found, dict):
        found = {name: part_of(value, index, count) for name, value in found.items()}
    elif isinstance(found, (tuple, list)):
        found = type(found)(part_of(value, index, count) for value in found)
    return cast(B, found)


def samples_in(batch: object) -> int | None:
    """How many samples a batch has, by its first tensor; None where it has none."""
    if isinstance(batch, Tensor):
        return batch.shape[0] if batch.ndim else None
    if is_dataclass(batch):
        batch = [getattr(batch, field.name) for field in fields(batch)]
    inner = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, (tuple, list)) else ()
    return next((count for value in inner if (count := samples_in(value)) is not None), None)
