"""The one progress display: a bar with an estimate on a terminal, silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any


class Progress:
    """A bar over `total` items on stderr; does nothing where stderr is no terminal, or `silent`."""

    def __init__(self, total: int, verb: str, *, silent: bool = False) -> None:
        self.bar: Any = None
        if silent or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Bar(*columns, console=Console(stderr=True), transient=True)
        self.verb, self.item = verb, self.bar.add_task(verb, total=total)
        self.part: Any = None

    def __enter__(self) -> Progress:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.stop()

    def advance(self, count: int = 1) -> None:
        if self.bar is not None:
            self.bar.advance(self.item, count)
            if self.part is not None:
                self.bar.remove_task(self.part)
                self.part = None

    def within(self, what: str, done: int, total: int | None) -> None:
        """How far the item at hand is, in a bar of its own, which goes when it is done."""
        if self.bar is None:
            return
        if self.part is None:
            self.part = self.bar.add_task(what, total=total)
        self.bar.update(self.part, description=what, completed=done, total=total)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Shows `what` instead of the verb."""
        if self.bar is not None:
            self.bar.update(self.item, description=what)
        yield
        if self.bar is not None:
            self.bar.update(self.item, description=self.verb)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The bar out of the way while lines are printed."""
        if self.bar is not None:
            self.bar.stop()
        yield
        if self.bar is not None:
            self.bar.start()
