"""Colour for the faces of grey, toned and faded photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewright.faces import Detector, Face, paste
from facewright.faces.colour import tone_of
from facewright.faces.tint import coloured, tint
from facewright.media import Photo
from facewright.media.coloured import in_colour
from facewright.nets.codeformer import Task
from facewright.restore import judge
from facewright.restore.restorer import Image, Job
from facewright.restore.result import FaceResult, Restoration
from facewright.restore.retouch import Retoucher
from facewright.restore.settings import Settings

ONLY_FACES = "only faces are coloured; the rest of the photo is as it was"


def colorize(photo: str | Path | Photo | NDArray[Any], **choices: Any) -> Restoration:
    """Colour the faces of one photo: a path, a `Photo`, or an array (H x W x 3 RGB or H x W, uint8 or uint16).

    choices: as for `Colorizer`. Raises InputError, ModelError, UsageError.
    """
    return next(iter(Colorizer(**choices).restore([photo])))


class Colorizer(Retoucher):
    """Colours faces; of an aligned photo all of it. The network sees the crop as it is, grey, toned or faded, as in the published program.

    keep_light: take the network's colours only and leave brightness, and so all detail, to the photo. Else its whole picture is taken,
    which is what the published program gives: smoother, and nearly another face (the network paints from its codes alone, w = 0).
    """

    task: Task = "colorization"

    def __init__(
        self,
        settings: Settings | None = None,
        /,
        *,
        detector: Detector | str | None = None,
        keep_light: bool = True,
        **choices: Any,
    ) -> None:
        super().__init__(settings, detector=detector, **choices)
        self.keep_light = keep_light

    def prepare(self, photo: Photo, faces: Sequence[Face] | None = None) -> Job:
        job = super().prepare(in_colour(photo), faces)
        if not job.waiting:
            job.original = photo  # nothing will be coloured: grey stays grey
        return job

    def finish(self, job: Job) -> Restoration:
        done = super().finish(job)
        if job.waiting and not self.settings.aligned:
            done.notes.insert(0, ONLY_FACES)
        return done

    def _taken(self, face: FaceResult, picture: Image) -> Image:
        assert face.crop is not None
        return coloured(face.crop, picture) if self.keep_light else picture

    def _judge(self, faces: Sequence[FaceResult]) -> None:
        for face in faces:
            assert face.crop is not None
            face.action, face.strength = "coloured", self.settings.strength
            if face.strength < 1:
                face.because(f"strength {face.strength:.2f} as asked")
            if tone_of(face.crop, np.ones(face.crop.shape[:2], np.float32)) is None:
                face.because("was in colour before: its colours are replaced")
            face.identity = self._drift(face, face.strength)
            if words := judge.identity_words(face.identity, face.strength):
                # the options that these words end with are not this verb's
                face.because(words.partition("; ")[0])

    def _put(self, pixels: NDArray[Any], face: FaceResult, job: Job) -> None:
        assert face.restored is not None and face.mask is not None
        if self.keep_light:
            tint(pixels, face.restored, self._affine(face), face.mask, face.strength)
            return
        paste(pixels, face.restored, self._affine(face), face.mask * np.float32(face.strength), replacing=face.crop)

    def _whole(self, job: Job) -> NDArray[Any]:
        face = job.faces[0]
        if face.action == "left alone" or not self.keep_light:
            return super()._whole(job)
        assert face.restored is not None
        pixels = np.array(job.original.pixels)
        tint(pixels, face.restored, self._affine(face), None, face.strength)
        return pixels
