"""Everything facewright raises on purpose: one sentence of what and why, one of what to do, and an exit code."""

from __future__ import annotations


class FacewrightError(Exception):
    """Something a person can do something about.

    what: what failed, without a full stop ("cannot read grandma.jpg").
    why: the reason ("it ends after 48,211 bytes of picture data"), or "".
    what_to_do: the next step ("copy it again from the source"), or "".
    """

    exit_code = 1

    def __init__(self, what: str, why: str = "", what_to_do: str = "") -> None:
        self.what, self.why, self.what_to_do = what, why, what_to_do
        super().__init__(f"{what}: {why}" if why else what)


class UsageError(FacewrightError):
    """The command or call itself is wrong: an unknown option, a value out of range, a missing extra."""

    exit_code = 2


class InputError(FacewrightError):
    """A photo, folder or data set cannot be used."""

    exit_code = 3


class ModelError(FacewrightError):
    """A model is unknown, missing, damaged, unsafe or not what was asked for."""

    exit_code = 4


class OutputError(FacewrightError):
    """A result cannot be written."""

    exit_code = 5


class PartialFailure(FacewrightError):
    """Some items of a batch failed; the others are done."""

    exit_code = 6


INTERRUPTED = 130


def missing_extra(feature: str, extra: str) -> UsageError:
    """The error for a feature whose optional dependency is not installed."""
    return UsageError(f"{feature} needs an optional part that is not installed", what_to_do=f'pip install "facewright[{extra}]"')
