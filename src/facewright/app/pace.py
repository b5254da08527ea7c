"""How long photos take here: means that follow what was seen last."""

from __future__ import annotations

import threading

_WEIGHT = 0.2
"""Of what was seen last."""


class Pace:
    """Seconds of one worker for a face and for a photo as a whole. workers: how many work side by side."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._face: float | None = None
        self._photo: float | None = None
        self._lock = threading.Lock()

    def face(self, seconds: float) -> None:
        with self._lock:
            self._face = _followed(self._face, seconds)

    def photo(self, seconds: float) -> None:
        with self._lock:
            self._photo = _followed(self._photo, seconds)

    def of_photos(self, count: int) -> float | None:
        """Seconds for so many photos, the faces of which nobody has counted; None where none was seen yet."""
        return None if self._photo is None else self._photo * max(1.0, count / self.workers)

    def of_one(self, faces: int | None, elapsed: float) -> float | None:
        """Seconds for a photo that was begun. faces: that are still to do, None where nobody has counted them."""
        if self._photo is None or self._face is None:
            return None
        if faces is None:
            return max(0.0, self._photo - elapsed)
        return self._face * faces / self.workers + 0.2 * self._photo


def _followed(mean: float | None, value: float) -> float:
    return value if mean is None else mean + _WEIGHT * (value - mean)
