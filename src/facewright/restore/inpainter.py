"""Holes in faces painted in: scratches, tears, stains, whatever a mask or white strokes cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewright.errors import InputError
from facewright.faces import Detector, Face, ellipse_mask
from facewright.faces.colour import in_tone, tone_of
from facewright.faces.holes import Holes, bridged, cut, fill, owners, seamless
from facewright.media import Photo, replaced
from facewright.nets.codeformer import Task
from facewright.restore import masks
from facewright.restore.restorer import Image, Job
from facewright.restore.result import FaceResult, Restoration
from facewright.restore.retouch import Retoucher
from facewright.restore.settings import Settings

NO_HOLE = "no hole in it"
MUCH, TOO_MUCH = 0.65, 0.8
"""Of the face: of the strokes that the published network learned from 1 in 100 draws covers more than the first, and fewer than 1 in
1,000 more than the second (4,000 draws of `degrade`'s "codeformer-inpainting")."""
LEVEL = np.float32(1 / 32)  # of 255: what a level may miss by rounding before it is truncated


def inpaint(photo: str | Path | Photo | NDArray[Any], mask: str | Path | NDArray[Any] | None = None, **choices: Any) -> Restoration:
    """Fill the holes in the faces of one photo: a path, a `Photo`, or an array (H x W x 3 RGB or H x W, uint8 or uint16).

    mask: a file, or H x W, true or not 0 where there is a hole; None: the holes are what is pure white. choices: as for `Inpainter`.
    Raises InputError, ModelError, UsageError.
    """
    find: masks.Finder = masks.white
    if isinstance(mask, np.ndarray):
        find = partial(_given, mask)
    elif mask is not None:
        find = masks.Masks(mask)
    return next(iter(Inpainter(find=find, **choices).restore([photo])))


@dataclass
class InpaintJob(Job):
    """holes: of the photo, H x W. owners: see `faces.holes.owners`."""

    holes: Holes
    owners: NDArray[np.int16] | None = None


class Inpainter(Retoucher):
    """Fills holes where faces are; of an aligned photo all of them. What is no hole is returned to the bit.

    find: tells the holes of a photo, see `restore.masks`. Each face is shown to the network as it learned it: in 8 bits, white in the
    holes; its picture is brought smoothly to what lies round each hole.
    """

    task: Task = "inpainting"

    def __init__(
        self,
        settings: Settings | None = None,
        /,
        *,
        detector: Detector | str | None = None,
        find: masks.Finder = masks.white,
        **choices: Any,
    ) -> None:
        super().__init__(settings, detector=detector, **choices)
        self.find = find

    def prepare(self, photo: Photo, faces: Sequence[Face] | None = None) -> InpaintJob:
        """Raises InputError for holes that cannot be told, or that leave nothing of the photo."""
        holes = self.find(photo)
        if holes.all():
            name = "the photo" if photo.origin.path is None else photo.origin.path
            raise InputError(f"cannot fill the holes of {name}", "they cover all of it, so there is nothing to go by", masks.WHITE)
        shown = replaced(photo, bridged(photo.pixels, holes))
        job = super().prepare(shown, faces if holes.any() else [])  # without holes there is nobody to look for
        for face in job.waiting:
            self._show(face, holes)
        return InpaintJob(photo, job.faces, job.started, holes)

    def finish(self, job: Job) -> Restoration:
        assert isinstance(job, InpaintJob)
        note = None
        if not job.holes.any():
            note = self._nothing
        elif not job.waiting:
            note = "nothing was filled: the holes are as they were"
        else:
            job.owners = owners(job.holes, [self._affine(face) for face in job.waiting], self.size)
            left = float((job.owners[job.holes] < 0).mean())
            if left > 0:
                share = f"{min(max(left, 0.01), 0.99):.0%}"
                note = f"{share} of what is to be filled lies outside of the faces that were filled, and is as it was"
        done = super().finish(job)
        if not job.holes.any() and not job.faces:
            done.notes.remove("no face was found")  # nobody looked for one
        done.notes[:0] = [note] if note else []
        return done

    @property
    def _nothing(self) -> str:
        if self.find is masks.white:
            return "nothing in it is pure white, so there is nothing to fill; name a mask with --mask"
        return f"its mask is empty, so there is nothing to fill; {masks.WHITE}"

    def _show(self, face: FaceResult, holes: Holes) -> None:
        """What the network is to see of a face, or why it is left alone."""
        assert face.crop is not None
        inside = cut(holes, self._affine(face), self.size, "replicate" if self.settings.aligned else "reflect101")
        ellipse = ellipse_mask(self.size)
        covered = float((inside * ellipse).sum() / ellipse.sum())
        face.mask = inside.astype(np.float32)
        face.crop = np.floor(face.crop * np.float32(255) + LEVEL) / np.float32(255)
        face.crop[inside] = 1
        if not inside.any():
            face.left_alone(NO_HOLE)
        elif covered > TOO_MUCH:
            face.left_alone(f"{covered:.0%} of it is a hole: too little is left to know the person by")
        elif covered > MUCH:
            face.because(f"{covered:.0%} of it was a hole: most of what is there now is the model's invention")

    def _outline(self, faces: Sequence[FaceResult]) -> None:
        """The holes are the outline."""

    def _taken(self, face: FaceResult, picture: Image) -> Image:
        assert face.crop is not None and face.mask is not None
        holes = face.mask > 0
        known = bridged(np.rint(face.crop * 255).astype(np.uint8), holes).astype(np.float32) / np.float32(255)
        if (tone := tone_of(known, np.ones_like(face.mask))) is not None:
            picture = in_tone(picture, tone)
        return seamless(picture, face.crop, holes)

    def _judge(self, faces: Sequence[FaceResult]) -> None:
        """Before there were holes, so nothing can be said about identity or sharpness."""
        for face in faces:
            face.action = "filled"

    def _put(self, pixels: NDArray[Any], face: FaceResult, job: Job) -> None:
        assert isinstance(job, InpaintJob) and job.owners is not None and face.restored is not None
        number = next(number for number, each in enumerate(job.waiting) if each is face)
        fill(pixels, face.restored, self._affine(face), job.owners, number)

    def _whole(self, job: Job) -> NDArray[Any]:
        pixels = np.array(job.original.pixels)
        for face in job.waiting:
            self._put(pixels, face, job)
        return pixels


def _given(mask: NDArray[Any], photo: Photo) -> Holes:
    masks.check_size(mask, photo, "that is given")
    return np.asarray(mask != 0)
