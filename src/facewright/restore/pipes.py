"""Two threads beside the one that has the network: what comes in is fetched ahead, what goes out is put away behind, a few at a time."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_END = object()


class Ahead(Generic[T]):
    """Iterates over a source that a thread of its own reads, at most `depth` items ahead. What the source raises is raised here, in its
    place. Use it as a context, so that the thread ends with it."""

    def __init__(self, source: Iterable[T], depth: int) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fetch, args=(source,), daemon=True)

    def __enter__(self) -> Ahead[T]:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self._stopped.set()
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                self._queue.get_nowait()
            self._thread.join(0.01)

    def __iter__(self) -> Iterator[T]:
        while True:
            item, fault = self._queue.get()
            if fault is not None:
                raise fault
            if item is _END:
                return
            yield item
            del item  # it may be large, and the next one is waited for

    def _fetch(self, source: Iterable[T]) -> None:
        try:
            for item in source:
                self._put((item, None))
                del item
                if self._stopped.is_set():
                    return
            self._put((_END, None))
        except BaseException as fault:
            self._put((_END, fault))

    def _put(self, item: tuple[Any, BaseException | None]) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(queue.Full):
                return self._queue.put(item, timeout=0.1)


class Behind(Generic[T]):
    """Hands items to `work` in a thread of its own, in order, at most `depth` waiting. What `work` raises is raised by the next `put`, or
    on leaving the context, which waits until all is done; after an exception in the context what waits is dropped."""

    def __init__(self, work: Callable[[T], None], depth: int) -> None:
        self._work = work
        self._queue: queue.Queue[Any] = queue.Queue(depth)
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Behind[T]:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        if fault is not None:
            with contextlib.suppress(queue.Empty):
                while True:
                    self._queue.get_nowait()
        self._queue.put(_END)
        self._thread.join()
        if fault is None:
            self._raise()

    def put(self, item: T) -> None:
        self._raise()
        self._queue.put(item)

    def _raise(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is _END:
                return
            if self._fault is None:
                try:
                    self._work(item)
                except BaseException as fault:
                    self._fault = fault
            del item
