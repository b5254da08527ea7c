"""The faces of the recipe `identity`: the people it learns to tell apart, and those it is judged on, whom it never learns from."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from facewright.data import FaceSet, PairStream, open_faces
from facewright.data.augment import Augmentation
from facewright.degrade import preset
from facewright.errors import InputError
from facewright.train.recipes.identity.settings import IdentitySettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class People:
    """faces: those that are learned from. shown: N numbers, whom each shows. count: of the people."""

    faces: FaceSet
    shown: Tensor
    count: int


def learned_people(settings: IdentitySettings) -> People:
    """Everybody of the training split who may be learned from. Raises InputError where there are not two."""
    faces = open_faces(settings.data, settings.size, keep=lambda row: row.split == "train" and row.use == "train-ok")
    names = [row.person for row in faces.rows]
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    if len(numbers) < 2:
        raise InputError(f"cannot learn from {settings.data}", "all its faces are of one person", "people are told apart: name more")
    return People(faces, torch.tensor([numbers[name] for name in names]), len(numbers))


def damaged_faces(settings: IdentitySettings, people: People, batch: int, seed: int, share: tuple[int, int]) -> PairStream:
    """Each person is drawn as often as any other, however many photographs there are of them."""
    s, photographs = settings, Counter(people.shown.tolist())
    weights = np.array([1 / photographs[person] for person in people.shown.tolist()])
    return PairStream(
        people.faces,
        [(weight, None if name == "none" else preset(name)) for name, weight in s.damage.items()],
        Augmentation(
            mirror_p=s.mirror,
            angle=s.angle,
            zoom=s.zoom,
            shift=s.shift,
            light=s.light,
            tone_p=s.tone,
            grey_p=s.grey,
            toned_p=s.toned,
        ),
        size=s.size,
        batch=batch,
        seed=seed,
        probabilities=weights / weights.sum(),
        share=share,
    )


def judged_faces(settings: IdentitySettings) -> FaceSet | None:
    """All faces of the validation split, or about `judged` of them; None where none is held out."""
    try:
        return open_faces(settings.data, settings.size, keep=lambda row: row.split == "val", limit=settings.judged)
    except InputError as problem:
        log.warning("there will be no validation: %s", problem)
        return None
