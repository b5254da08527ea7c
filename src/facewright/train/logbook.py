"""What a run says of itself: log.jsonl, one line a time, and TensorBoard's curves. A disk that takes neither does not end the run."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class Logbook:
    """Appends to log.jsonl from `step` on; later lines of an earlier attempt, whose steps are done again, are cut off first.

    Lines that cannot be written wait in memory for the next attempt, so that a disk that was full for a while costs none of them.
    """

    def __init__(self, folder: Path, step: int, tensorboard: bool) -> None:
        self.path = folder / "log.jsonl"
        self._waiting = ""
        self._failing = False
        try:
            self._length = _cut(self.path, step)
        except OSError as problem:
            log.warning("cannot mend %s: %s", self.path, problem.strerror or problem)
            self._length = self.path.stat().st_size
        self._curves = _curves(folder, step) if tensorboard else None

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        # JSON knows no NaN
        self._waiting += json.dumps({"step": step, **{n: v if math.isfinite(v) else None for n, v in numbers.items()}}) + "\n"
        self._flush()
        if self._curves is not None:
            try:
                for name, value in numbers.items():
                    self._curves.add_scalar(name, value, step)
            except Exception as problem:  # its thread has died of what it met
                log.warning("no TensorBoard curves from step %d on: %s", step, problem)
                self._curves = None

    def close(self) -> None:
        self._flush()
        if self._curves is not None:
            try:
                self._curves.close()
            except Exception as problem:
                log.warning("TensorBoard's curves may lack their end: %s", problem)

    def _flush(self) -> None:
        if not self._waiting:
            return
        line = self._waiting.encode()
        try:
            _append(self.path, line, self._length)
        except OSError as problem:
            if not self._failing:
                log.warning("cannot write %s: %s; its lines are kept for later", self.path, problem.strerror or problem)
            self._failing = True
            return
        self._failing, self._waiting = False, ""
        self._length += len(line)


def _append(path: Path, data: bytes, length: int) -> None:
    """Write `data` after the first `length` bytes: over what a failed attempt left there."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        os.ftruncate(handle, length)
        os.lseek(handle, length, os.SEEK_SET)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
    finally:
        os.close(handle)


def _cut(path: Path, step: int) -> int:
    """Leave out what comes after the lines up to `step`, also a torn one; needs no space. Returns the length that is left."""
    if not path.exists():
        return 0
    length = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n") or _step_of(line) > step:
                break
            length += len(line)
    os.truncate(path, length)
    return length


def _step_of(line: bytes) -> float:
    """The step of a log line; a torn one belongs to no step."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _curves(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info('no TensorBoard curves: pip install "facewright[train]"; log.jsonl has the same numbers')
        return None
    try:
        return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
    except OSError as problem:
        log.warning("no TensorBoard curves: %s", problem.strerror or problem)
        return None
