"""The faces of a recipe that restores: pairs to learn from, and those to judge on, which are never learned from."""

from __future__ import annotations

import logging
from typing import Protocol

from facewright.data import FaceRow, FaceSet, PairStream, open_faces
from facewright.data.augment import Augmentation
from facewright.data.landmarks import component_table
from facewright.degrade import preset
from facewright.errors import InputError

log = logging.getLogger(__name__)

STILL = Augmentation(mirror_p=0, angle=0, zoom=0, shift=0, light_p=0, tone_p=0, grey_p=0, toned_p=0)
MIRROR = Augmentation(mirror_p=0.5, angle=0, zoom=0, shift=0, light_p=0, tone_p=0, grey_p=0, toned_p=0)  # as published
AUGMENTATIONS = {"wide": Augmentation(), "mirror": MIRROR, "none": STILL}


class PairSettings(Protocol):
    """What a recipe's settings say of its data.

    data: see `open_faces`. size: pixels of a pair, of faces kept at `stored`. damage: {preset of `degrade`, or "none": weight}.
    augmentation: of AUGMENTATIONS. least_width, least_sharpness: of a face that is learned from. shares: {source: its part of all draws}.
    validation_faces: about so many are judged on.
    """

    @property
    def data(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def stored(self) -> int: ...
    @property
    def damage(self) -> dict[str, float]: ...
    @property
    def augmentation(self) -> str: ...
    @property
    def least_width(self) -> int: ...
    @property
    def least_sharpness(self) -> float: ...
    @property
    def shares(self) -> dict[str, float]: ...
    @property
    def validation_faces(self) -> int: ...


def learned_faces(settings: PairSettings) -> FaceSet:
    """Those that may be learned from, at `stored` pixels. Raises InputError."""
    return open_faces(settings.data, settings.stored, keep=lambda row: _trains_on(row, settings))


def training_pairs(
    settings: PairSettings,
    batch: int,
    seed: int,
    share: tuple[int, int],
    *,
    damage: dict[str, float] | None = None,
    components: str | None = None,
    faces: FaceSet | None = None,
) -> PairStream:
    """damage: instead of the settings' own. components: a file with the places of eyes and mouth, or "" (see `component_table`); then
    batches have their boxes. faces: `learned_faces`, where they are open already. Raises InputError.
    """
    faces = faces or learned_faces(settings)
    return PairStream(
        faces,
        [(weight, None if name == "none" else preset(name)) for name, weight in (damage or settings.damage).items()],
        AUGMENTATIONS[settings.augmentation],
        size=settings.size,
        batch=batch,
        seed=seed,
        probabilities=faces.weights(settings.shares),
        share=share,
        components=None if components is None else component_table(faces, components or None),
    )


def judged_faces(settings: PairSettings) -> FaceSet | None:
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


def _trains_on(row: FaceRow, settings: PairSettings) -> bool:
    return (
        row.use == "train-ok"
        and row.split == "train"
        and row.stored_width >= settings.least_width
        and float(row.columns.get("sharpness") or 0) >= settings.least_sharpness
    )
