"""What a service lets one client, and all of them, have."""

from __future__ import annotations

import math
from dataclasses import dataclass

from facewright.errors import UsageError


@dataclass(frozen=True)
class Limits:
    """bytes, pixels: of one photo. faces: of one photo that are restored, the largest ones. seconds: of work on one photo. photos: in one
    job. jobs: alive at once. queue: photos that wait for their turn. stored: bytes of all files together. keep: seconds after which a
    job's files are gone, whatever is done with it. unwatched: seconds after which a job is gone that was to be kept while it is watched.
    silence: seconds that a client may pause in the middle of what it sends. Raises UsageError for limits that let nothing through.
    """

    bytes: int = 100 * 2**20
    pixels: int = 100_000_000
    faces: int = 100
    seconds: float = 300.0
    photos: int = 200
    jobs: int = 100
    queue: int = 64
    stored: int = 8 * 2**30
    keep: float = 3600.0
    unwatched: float = 60.0
    silence: float = 30.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < math.inf:
                raise UsageError(f"the limit of {name} cannot be {value:g}", "", "give a number above 0")
