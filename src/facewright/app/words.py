"""Errors and reasons in the words of the service: what the command line calls --min-face is min_face here."""

from __future__ import annotations

import re
from typing import Any

from facewright.errors import FacewrightError, InputError, ModelError, OutputError, UsageError
from facewright.weights.cache import cache_folder

_ELSEWHERE = (
    (re.compile(r"raise --pixel-limit if you trust the file"), "make it smaller; whoever runs the service sets the limit"),
    (re.compile(r"see: facewright models list(; or give the path of a weight file)?"), "see the list of models"),
    (re.compile(r", or the path of a weight file"), ""),
    (re.compile(r"facewright models get ([\w.+-]+)"), r"fetch \1 first"),
    (re.compile(r"\badd --([a-z-]+)"), r"turn on --\1"),
    (re.compile(r" \(-w\)"), ""),
    (re.compile(r"(?<!\S)-w\b"), "fidelity"),
)
_OPTION = re.compile(r"(?<![^\s(])--([a-z][a-z-]*)(?![\w.])")  # as a word of its own: a photo may be called trip--beach.jpg


def spoken(text: str) -> str:
    """A sentence of the house as a client of the service reads it."""
    text = text.replace(str(cache_folder()), "the folder of models")
    for pattern, instead in _ELSEWHERE:
        text = pattern.sub(instead, text)
    return _OPTION.sub(lambda option: option[1].replace("-", "_"), text)


def told(error: FacewrightError) -> dict[str, Any]:
    """As JSON has it."""
    return {"what": spoken(error.what), "why": spoken(error.why), "what_to_do": spoken(error.what_to_do), "code": error.exit_code}


class Refused(FacewrightError):
    """What only a service says: status is HTTP's; retry: after how many seconds to ask again."""

    def __init__(self, status: int, what: str, why: str = "", what_to_do: str = "", *, retry: float | None = None) -> None:
        super().__init__(what, why, what_to_do)
        self.status, self.retry = status, retry


class Cancelled(Refused):
    """Nobody wants the photo any more."""

    def __init__(self, name: str) -> None:
        super().__init__(499, f"{name} was cancelled")


def status_of(error: FacewrightError) -> int:
    """HTTP's number for an error: the client's fault, but for results that cannot be written and what nobody foresaw."""
    if isinstance(error, Refused):
        return error.status
    statuses = {UsageError: 400, InputError: 422, ModelError: 409, OutputError: 507}
    return next((status for kind, status in statuses.items() if isinstance(error, kind)), 500)
