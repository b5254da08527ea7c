"""What a batch has done so far, so that it can go on after a kill: nothing done twice, nothing missed.

JSON lines. Before a result is put in place a line tells its sha256 ("writing"), afterwards another that it is done. A batch killed
between the two finds the result by its checksum; a torn last line is ignored.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from facewright.errors import InputError, OutputError


class Journal:
    """settings: what makes a result another one; entries made with other settings do not count."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.fingerprint = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
        self.entries = self._read()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = path.open("a", encoding="utf-8")
            if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
                self.file.write("\n")  # close the torn line of a killed run
        except OSError as problem:
            raise OutputError(
                f"cannot write the journal {path}", problem.strerror or str(problem), "name another file with --journal"
            ) from problem

    def report_of(self, source: Path) -> dict[str, Any] | None:
        """The entry of a photo that is done and unchanged since, or None."""
        entry = self.entries.get(str(source.resolve()))
        if entry is None or entry["settings"] != self.fingerprint:
            return None
        target = Path(entry["target"])
        if entry["state"] == "writing":
            # killed between the two lines: the checksum tells whether the result is in place
            if not target.is_file() or hashlib.sha256(target.read_bytes()).hexdigest() != entry["sha256"]:
                return None
            self.done(source, target, entry["report"])
        elif not target.is_file() or not _same(source, entry):
            return None
        return entry

    def writing(self, source: Path, target: Path, data: bytes, report: dict[str, Any]) -> None:
        self._add(source, target, "writing", report, sha256=hashlib.sha256(data).hexdigest())

    def done(self, source: Path, target: Path, report: dict[str, Any]) -> None:
        self._add(source, target, "done", report)

    def close(self) -> None:
        self.file.close()

    def _add(self, source: Path, target: Path, state: str, report: dict[str, Any], **more: Any) -> None:
        status = source.stat()
        entry = {
            "source": str(source.resolve()),
            "bytes": status.st_size,
            "mtime_ns": status.st_mtime_ns,
            "target": str(target.resolve()),
            "state": state,
            "settings": self.fingerprint,
            **more,
            "report": report,
        }
        try:
            self.file.write(json.dumps(entry) + "\n")
            self.file.flush()
            os.fsync(self.file.fileno())
        except OSError as problem:
            raise OutputError(f"cannot write the journal {self.path}", problem.strerror or str(problem)) from problem
        self.entries[entry["source"]] = entry

    def _read(self) -> dict[str, dict[str, Any]]:
        if not self.path.exists():
            return {}
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as problem:
            raise InputError(f"cannot read the journal {self.path}", problem.strerror or str(problem)) from problem
        entries: dict[str, dict[str, Any]] = {}
        for line in lines:
            try:
                entry = json.loads(line)
                entries[entry["source"]] = entry
            except (ValueError, KeyError, TypeError):
                continue
        if lines and not entries:
            raise InputError(f"{self.path} is not a journal of a restore", "no line of it can be read", "name another file with --journal")
        return entries


def _same(source: Path, entry: dict[str, Any]) -> bool:
    try:
        status = source.stat()
    except OSError:
        return False
    return bool(status.st_size == entry["bytes"] and status.st_mtime_ns == entry["mtime_ns"])
