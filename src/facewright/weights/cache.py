"""Where downloaded models lie: the user's cache folder, or the one that FACEWRIGHT_CACHE names."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "FACEWRIGHT_CACHE"


def cache_folder() -> Path:
    """The folder, whether it is there or not. Nothing is created."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser().absolute()
    try:
        from platformdirs import user_cache_path
    except ImportError:  # bare training machines do not have it
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "facewright"
    return user_cache_path("facewright", appauthor=False)


def cached(file: str) -> Path:
    """Where the model file of this name lies, or would."""
    return cache_folder() / "models" / file
