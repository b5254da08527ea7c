"""What colouring and filling faces have in common beside restoring: CodeFormer's networks of these tasks, and no other choices.

The way of a photo is the Restorer's; a retoucher says how the network's picture is taken and put back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewright.errors import ModelError, UsageError
from facewright.faces import Detector
from facewright.faces.warp import resized
from facewright.restore.network import PUBLISHED
from facewright.restore.restorer import Restorer
from facewright.restore.result import FaceResult
from facewright.restore.settings import PLAIN_BACKGROUNDS, Settings
from facewright.weights.catalog import entries, split


class Retoucher(Restorer):
    """A Restorer for another task: of the w and AdaIN that the task was published with, at the photo's own size."""

    def __init__(self, settings: Settings | None = None, /, *, detector: Detector | str | None = None, **choices: Any) -> None:
        """choices: fields of `Settings`; model: the published one of the task where none is named. Raises UsageError for choices that a
        retoucher does not have, ModelError for a model that is missing or learned something else."""
        if isinstance(detector, str):
            choices["detector"], detector = detector, None
        super().__init__(settings or Settings(**{"model": PUBLISHED[self.task]} | choices), detector=detector)

    def _load(self, settings: Settings, like: Restorer | None) -> None:
        _check(settings)
        try:
            super()._load(settings, like)
        except ModelError as error:
            raise _with_licence(error, settings.model) from error

    def _knob(self, faces: Sequence[FaceResult]) -> float:
        return 0.0  # the network knows its w

    def _affine(self, face: FaceResult) -> NDArray[np.float64]:
        """Network crop <- photo, of an aligned photo too."""
        if face.face.affine is not None:
            return super()._affine(face)
        width, height = face.face.box[2:]
        return resized(np.eye(2, 3), (width / self.size, height / self.size))


def _check(settings: Settings) -> None:
    foreign = {
        "fidelity": settings.fidelity != "auto",
        "upscale": settings.upscale != 1,
        "background": settings.background not in PLAIN_BACKGROUNDS,
        "as_published": settings.as_published,
        "max_identity_drift": settings.max_identity_drift is not None,
    }
    if named := [name for name, given in foreign.items() if given]:
        raise UsageError(f"{named[0]} is a choice of restoring only", what_to_do="leave it out, and restore the result")


def _with_licence(error: ModelError, model: str) -> ModelError:
    """Where the model could be fetched: with the terms under which it may be used."""
    entry = entries().get(str(split(model)[0]))
    if entry is None or entry.where != "missing" or entry.commercial == "yes":
        return error
    return ModelError(error.what, error.why, f"{error.what_to_do} ({entry.terms})")
