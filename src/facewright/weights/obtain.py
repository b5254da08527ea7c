"""Fetch a model of the catalog, and tell whether the file that is here is the right one and whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facewright.errors import ModelError, UsageError
from facewright.weights.catalog import Entry
from facewright.weights.download import Progress, download, file_sha256


@dataclass(frozen=True)
class Verdict:
    """name; ok; said: one sentence; sha256 of the file that is here."""

    name: str
    ok: bool
    said: str
    sha256: str


def get(entry: Entry, *, force: bool = False, progress: Progress | None = None) -> Path:
    """The file of this entry, downloaded unless it is here. force: even if it is here; the old one stays until the new one is whole.

    A file whose sha256 nobody pinned is taken only if it loads. Raises ModelError, OutputError, and UsageError for a bundled one.
    """
    if entry.bundled:
        if entry.where == "bundled":
            return entry.path
        raise UsageError(f"{entry.name} cannot be downloaded", "it ships inside facewright", entry.how_to_get)

    def loads(part: Path) -> None:
        try:
            load(part, entry)
        except ModelError as error:
            raise ModelError(
                f"what {entry.url} sent is not {entry.name}", str(error), "try again later, or get the file elsewhere"
            ) from error

    check = loads if entry.sha256 is None and entry.runs else None
    return download(
        entry.url,
        entry.path,
        mirrors=entry.mirrors,
        sha256=entry.sha256,
        size=entry.bytes,
        check=check,
        again=force,
        progress=progress,
    )


def load(path: Path, entry: Entry) -> None:
    """Load what should be this entry. Raises ModelError."""
    from facewright.weights.models import load_model

    model = load_model(path, **entry.arguments)
    if model.architecture != entry.architecture:
        why = f"it is {model.info['title']}, where {entry.architecture} is due"
        raise ModelError(f"{path.name} is not {entry.name}", why, entry.how_to_get)


def verify(entry: Entry) -> Verdict:
    """Compare the file with the pinned size and sha256, and load it where this version can. Raises ModelError where it is not here."""
    if entry.where == "missing":
        raise ModelError(f"the model {entry.name} is not on this machine", f"{entry.path} is missing", entry.how_to_get)
    digest, size = file_sha256(entry.path), entry.path.stat().st_size
    if entry.bytes is not None and size != entry.bytes:
        return Verdict(entry.name, False, f"damaged: {size:,} bytes instead of {entry.bytes:,}", digest)
    published = entry.sha256 or ""
    if not digest.startswith(published):
        begins = "" if len(published) == len(digest) else "begins with "
        return Verdict(entry.name, False, f"damaged: its sha256 is {digest}, the published file's {begins or 'is '}{published}", digest)
    said = "sha256 as published" if published else "bundled" if entry.bundled else "no sha256 is published to compare with"
    if not entry.runs:
        return Verdict(entry.name, True, f"{said}; this version cannot run it yet", digest)
    try:
        load(entry.path, entry)
    except ModelError as error:
        return Verdict(entry.name, False, str(error), digest)
    return Verdict(entry.name, True, f"{said}; it loads", digest)
