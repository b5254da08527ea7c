"""The faces of the recipe `gfpgan`: pairs to learn from, and those to judge on, which are never learned from."""

from __future__ import annotations

import logging

from facewright.data import FaceRow, FaceSet, PairStream, open_faces
from facewright.data.augment import Augmentation
from facewright.data.landmarks import component_table
from facewright.degrade import preset
from facewright.errors import InputError
from facewright.train.recipes.gfpgan.settings import GfpganSettings

log = logging.getLogger(__name__)

STILL = Augmentation(mirror_p=0, angle=0, zoom=0, shift=0, light_p=0, tone_p=0, grey_p=0, toned_p=0)
MIRROR = Augmentation(mirror_p=0.5, angle=0, zoom=0, shift=0, light_p=0, tone_p=0, grey_p=0, toned_p=0)  # as published
AUGMENTATIONS = {"wide": Augmentation(), "mirror": MIRROR, "none": STILL}


def training_pairs(settings: GfpganSettings, batch: int, seed: int, share: tuple[int, int]) -> PairStream:
    """With boxes of eyes and mouth where the settings weigh the components. Raises InputError."""
    faces = open_faces(settings.data, settings.stored, keep=lambda row: _trains_on(row, settings))
    return PairStream(
        faces,
        [(weight, None if name == "none" else preset(name)) for name, weight in settings.damage.items()],
        AUGMENTATIONS[settings.augmentation],
        size=settings.size,
        batch=batch,
        seed=seed,
        probabilities=faces.weights(settings.shares),
        share=share,
        components=component_table(faces, settings.landmarks or None) if settings.components else None,
    )


def judged_faces(settings: GfpganSettings) -> FaceSet | None:
    """Those that are held out, evenly thinned to `validation_faces`; None where there are none, as in the album of one person."""
    wide = min(256, settings.least_width)
    try:
        return open_faces(
            settings.data,
            settings.size,
            keep=lambda row: row.split == "val" and row.stored_width >= wide,
            limit=settings.validation_faces,
        )
    except InputError as problem:
        log.warning("there will be no validation: %s", problem)
        return None


def _trains_on(row: FaceRow, settings: GfpganSettings) -> bool:
    return (
        row.use == "train-ok"
        and row.split == "train"
        and row.stored_width >= settings.least_width
        and float(row.columns.get("sharpness") or 0) >= settings.least_sharpness
    )
