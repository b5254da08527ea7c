"""Ctrl-C and SIGTERM: the step that is under way is finished and kept, then the run ends; a second signal ends it at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from facewright.errors import INTERRUPTED, FacewrightError


class Stopped(FacewrightError):
    """Training ended before its last step because somebody asked; exit code 130 for Ctrl-C, 143 for SIGTERM."""

    def __init__(self, what: str, why: str = "", what_to_do: str = "", number: int = signal.SIGINT) -> None:
        super().__init__(what, why, what_to_do)
        self.exit_code = INTERRUPTED if number == signal.SIGINT else 128 + number


class StopRequest:
    """Listens while it is entered; `number` is the signal that came, or 0. Only Python's main thread can listen, elsewhere none comes."""

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                if before is not None and before != signal.SIG_IGN:  # what a shell or nohup had ignored stays so
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop_listening()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self._stop_listening()

    def _stop_listening(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
