"""The private folder: what clients sent and what was made of it, for as long as they need it, and never longer than the service runs."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from facewright.app.words import Refused
from facewright.errors import OutputError

PREFIX = "facewright-serve-"
RESERVE = 200 * 2**20
"""Bytes that are left free on the disk."""


class PrivateFolder:
    """A folder that only this user can look into, from `open` to `close`. stored: most bytes that all files together may have."""

    def __init__(self, stored: int) -> None:
        self.stored = stored

    def open(self) -> None:
        """Also removes what a killed service left behind. Raises OutputError."""
        _sweep()
        try:
            self.path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        except OSError as problem:
            where = f"cannot make a folder in {tempfile.gettempdir()}"
            raise OutputError(where, problem.strerror or str(problem), "set TMPDIR to another folder") from problem

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def new(self) -> Path:
        """The path of a file that is not there yet."""
        return self.path / secrets.token_hex(16)

    def make_room(self, size: int) -> None:
        """Raises Refused where `size` bytes more would be too many."""
        try:
            with os.scandir(self.path) as entries:
                used = sum(_size(entry) for entry in entries)
            free = shutil.disk_usage(self.path).free
        except OSError as problem:
            raise Refused(507, "cannot keep more files", problem.strerror or str(problem), "start the service again") from problem
        if used + size > self.stored or free < size + RESERVE:
            raise Refused(507, "cannot keep more files", "the service's disk space is used up", "try again later", retry=60)

    def put(self, data: bytes) -> Path:
        """A new file that holds the data, whole or not at all. Raises Refused."""
        self.make_room(len(data))
        path = self.new()
        try:
            path.write_bytes(data)
        except OSError as problem:
            path.unlink(missing_ok=True)
            raise Refused(507, "cannot keep the result", problem.strerror or str(problem), "try again later") from problem
        return path


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:  # somebody removed it
        return 0


def _sweep() -> None:
    """Remove folders whose service is no more."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if left.stat().st_uid == os.getuid() and not _lives(int(left.name.removeprefix(PREFIX).split("-")[0])):
                shutil.rmtree(left, ignore_errors=True)


def _lives(process: int) -> bool:
    if process == os.getpid():  # a container's only process has the number of the one before it
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
