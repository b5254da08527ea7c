"""Checkpoints: everything needed to go on bit for bit, written whole or not at all."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from facewright.errors import InputError, OutputError

log = logging.getLogger(__name__)


def save(path: Path, state: dict[str, Any]) -> None:
    """Raises OutputError, and leaves what was there before, where it cannot be written."""
    with appears_whole(path) as part:
        torch.save(state, part)


def load(path: Path) -> dict[str, Any]:
    """Tensors, numbers and names only: a checkpoint from elsewhere cannot run code. Raises InputError where it cannot be read."""
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as problem:
        raise InputError(
            f"cannot resume from {path}", (str(problem).splitlines() or ["it is empty"])[0], "name an older checkpoint, or a new run folder"
        ) from problem


def newest(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The readable checkpoint with the highest step in a run folder and what it holds; None where there is no checkpoint at all.

    A damaged one is named in a warning and passed over. Raises InputError where none can be read: starting afresh over the remains of
    a long run must be a person's choice.
    """
    found = sorted(folder.glob("step-*.pt"), reverse=True)
    for path in found:
        try:
            return path, load(path)
        except InputError as error:
            log.warning("%s; trying an older one", error)
    if found:
        raise InputError(
            f"cannot go on with the run in {folder}",
            "none of its checkpoints can be read",
            "move them away to start afresh, or use a new folder",
        )
    return None


@contextmanager
def appears_whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to: what was written there is flushed to the disk and renamed, or removed where anything went wrong."""
    part = path.with_name(path.name + ".part")
    try:
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    except BaseException as problem:
        full = _is_full(path.parent)  # as long as the half file is there
        with suppress(OSError):
            part.unlink(missing_ok=True)
        # what torch and safetensors make of a full disk
        if isinstance(problem, (OSError, RuntimeError, SafetensorError)):
            why = getattr(problem, "strerror", None) or str(problem).splitlines()[0]
            if full and not isinstance(problem, OSError):
                why = os.strerror(errno.ENOSPC)  # theirs tells of positions in a file
            raise OutputError(f"cannot write {path}", why, "free some space, or choose another run folder with --run") from problem
        raise


def sweep(folder: Path) -> None:
    """Remove what a killed process left half written."""
    for part in folder.glob("*.part"):
        with suppress(OSError):
            part.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last through a power cut; where a file system cannot, the file is whole all the same."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < 4096
    except OSError:
        return False
