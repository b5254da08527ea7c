"""The faces of the recipe `stylegan2`: what it learns from, and what it is judged on, which it never learns from."""

from __future__ import annotations

import logging

from facewright.data import FaceRow, FaceSet, PairStream, open_faces
from facewright.data.augment import Augmentation
from facewright.errors import InputError
from facewright.train.recipes.stylegan2.settings import StyleGAN2Settings

log = logging.getLogger(__name__)


def learned_faces(settings: StyleGAN2Settings) -> FaceSet:
    """Raises InputError where there are none."""
    return open_faces(settings.data, settings.size, keep=lambda row: row.split == "train" and _admitted(row, settings))


def unseen_faces(settings: StyleGAN2Settings) -> FaceSet | None:
    """Of the same kind as those that are learned from; None where none is held out."""
    try:
        return open_faces(
            settings.data, settings.size, keep=lambda row: row.split == "val" and _admitted(row, settings), limit=settings.judged
        )
    except InputError as problem:
        log.warning("nothing will be said of overfitting: %s", problem)
        return None


def pictures(settings: StyleGAN2Settings, learned: FaceSet, batch: int, seed: int, share: tuple[int, int]) -> PairStream:
    """Undamaged, mirrored at random and otherwise as they are: what is done to them would be learned too."""
    return PairStream(
        learned,
        [(1.0, None)],
        Augmentation(mirror_p=settings.mirror, angle=0, zoom=0, shift=0, light_p=0, tone_p=0, grey_p=0, toned_p=0),
        size=settings.size,
        batch=batch,
        seed=seed,
        probabilities=learned.weights(settings.shares),
        share=share,
    )


def _admitted(row: FaceRow, settings: StyleGAN2Settings) -> bool:
    return (
        row.use == "train-ok"
        and row.stored_width >= settings.least_width
        and row.inside >= settings.least_inside
        and (settings.grey or not row.grey)
    )
