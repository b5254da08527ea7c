"""Checkpoints: everything needed to go on bit for bit, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from facewright.errors import InputError, OutputError


def save(path: Path, state: dict[str, Any]) -> None:
    """Write beside the target, flush to disk, rename."""
    part = path.with_suffix(path.suffix + ".part")
    try:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as problem:
        part.unlink(missing_ok=True)
        raise OutputError(f"cannot write the checkpoint {path}", str(problem), "free some space or set another run folder") from problem


def load(path: Path) -> dict[str, Any]:
    """Tensors, numbers and names only: a checkpoint from elsewhere cannot run code."""
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as problem:
        raise InputError(
            f"cannot resume from {path}", str(problem).splitlines()[0], "name an older checkpoint, or start a new run folder"
        ) from problem


def newest(folder: Path) -> Path | None:
    """The checkpoint with the highest step in a run folder, or None."""
    return max(folder.glob("step-*.pt"), default=None)
