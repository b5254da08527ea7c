"""Text that a benchmark writes into a document, between two marks that say by whom."""

from __future__ import annotations

from pathlib import Path

from facewright.errors import UsageError
from facewright.media import write_atomically


def write_between(path: Path, name: str, text: str) -> None:
    """name: of the benchmark. Raises UsageError where the file has no marks of it."""
    beginning, end = f"<!-- {name}: made by benchmarks/{name}.py -->", f"<!-- {name}: end -->"
    old = path.read_text(encoding="utf-8")
    before, found, rest = old.partition(beginning)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise UsageError(f"cannot put the table into {path}", f"it has no lines {beginning} and {end}", "add both where it shall stand")
    write_atomically(path, f"{before}{beginning}\n{text}{end}{after}".encode())
