"""What a batch has done so far, so that it can go on after a kill: nothing done twice, nothing missed.

JSON lines. Before a result is put in place a line tells its sha256 ("writing"), afterwards another that it is done. A batch killed
between the two finds the result by its checksum; a torn last line is ignored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from facewright.errors import InputError, OutputError

BEGINNING = '{"source": '
"""Of every line: tells torn lines from a file that is something else."""
PARTS = {"source", "bytes", "mtime_ns", "target", "state", "settings", "report"}


class Journal:
    """settings: what makes a result another one; entries made with other settings do not count. Threads may share a journal."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.fingerprint = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        self._lock = threading.Lock()
        text = self._text()
        self.entries = self._read(text)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = path.open("a", encoding="utf-8")
            if text and not text.endswith("\n"):
                self.file.write("\n")  # close the torn line of a killed run
        except OSError as problem:
            raise OutputError(
                f"cannot write the journal {path}", problem.strerror or str(problem), "name another file with --journal"
            ) from problem

    def report_of(self, source: Path, becomes: Callable[[Path], bool]) -> dict[str, Any] | None:
        """The entry of a photo that is done and unchanged since, or None. becomes: whether a path is where its result should go.

        A photo replaced in place is done whatever the settings: its original is gone, and restoring its result would be twice.
        """
        entry = self.entries.get(_name(source))
        if entry is None or not becomes(target := Path(entry["target"])):
            return None
        in_place = entry["target"] == entry["source"]
        if entry["settings"] != self.fingerprint and not in_place:
            return None
        if entry["state"] == "writing":
            # killed between the two lines: the checksum tells whether the result is in place
            if not _holds(target, entry["sha256"]) or not (in_place or _same(source, entry)):
                return None
            self.done(source, target, entry["report"])
        elif not target.is_file() or not _same(source, entry):
            return None
        return self.entries[_name(source)]

    def writing(self, source: Path, target: Path, data: bytes, report: dict[str, Any]) -> None:
        self._add(source, target, "writing", report, sha256=hashlib.sha256(data).hexdigest())

    def done(self, source: Path, target: Path, report: dict[str, Any]) -> None:
        self._add(source, target, "done", report)

    def close(self) -> None:
        # a line that could not be written has been an error of its photo already
        with self._lock, contextlib.suppress(OSError):
            self.file.close()

    def _add(self, source: Path, target: Path, state: str, report: dict[str, Any], **more: Any) -> None:
        with self._lock:
            try:
                status = source.stat()
                entry = {
                    "source": _name(source),
                    "bytes": status.st_size,
                    "mtime_ns": status.st_mtime_ns,
                    "target": _name(target),
                    "state": state,
                    "settings": self.fingerprint,
                    **more,
                    "report": report,
                }
                self.file.write(json.dumps(entry) + "\n")
                self.file.flush()
                os.fsync(self.file.fileno())
            except OSError as problem:
                raise OutputError(f"cannot note {source} in the journal {self.path}", problem.strerror or str(problem)) from problem
            self.entries[entry["source"]] = entry

    def _text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        except OSError as problem:
            raise InputError(f"cannot read the journal {self.path}", problem.strerror or str(problem)) from problem

    def _read(self, text: str) -> dict[str, dict[str, Any]]:
        entries: dict[str, dict[str, Any]] = {}
        lines = text.splitlines()
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.keys() >= PARTS and (entry["state"] == "done" or "sha256" in entry):
                entries[entry["source"]] = entry
        torn = all(BEGINNING.startswith(line[: len(BEGINNING)]) for line in lines)
        if not entries and not torn:
            raise InputError(f"{self.path} is not a journal of a restore", "no line of it can be read", "name another file with --journal")
        return entries


def _name(path: Path) -> str:
    return str(path.resolve())


def _holds(path: Path, sha256: str) -> bool:
    try:
        return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _same(source: Path, entry: dict[str, Any]) -> bool:
    try:
        status = source.stat()
    except OSError:
        return False
    return bool(status.st_size == entry["bytes"] and status.st_mtime_ns == entry["mtime_ns"])
