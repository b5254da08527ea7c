"""The first thing a person runs: the default model on the examples."""

from __future__ import annotations

import numpy as np
import pytest
from driving import EXAMPLES

from facewright.errors import ModelError
from facewright.faces.identity import SAME_PERSON
from facewright.restore import Restoration, Restorer
from facewright.restore.judge import IDENTITY_WARNING, face_sharpness
from facewright.weights import bundled

FACES = {"album-page.png": 3, "astronaut-faded.jpg": 1, "astronaut-sepia.jpg": 1, "thumbnail.webp": 1}


@pytest.fixture(scope="module")
def restored() -> dict[str, Restoration]:
    try:
        bundled("gfpgan-mini")
    except ModelError as missing:
        pytest.skip(f"the default model is not in this checkout: {missing}")
    restorer = Restorer()
    return {name: next(iter(restorer.restore([EXAMPLES / name]))) for name in FACES}


def test_every_face_is_found_and_most_are_restored(restored: dict[str, Restoration]) -> None:
    assert {name: len(result.faces) for name, result in restored.items()} == FACES
    actions = [face.action for result in restored.values() for face in result.faces]
    assert actions.count("restored") >= 5, actions


def test_they_are_clearer_and_the_same_person(restored: dict[str, Restoration]) -> None:
    faces = [face for result in restored.values() for face in result.faces if face.action == "restored"]
    gains = []
    for face in faces:
        assert face.crop is not None and face.restored is not None and face.identity is not None
        assert face.identity < SAME_PERSON
        gains.append(face_sharpness(face.restored) / face_sharpness(face.crop))
    assert np.median(gains) > 1.1, gains
    assert np.median([face.identity for face in faces]) < IDENTITY_WARNING


def test_a_toned_print_keeps_its_tone(restored: dict[str, Restoration]) -> None:
    (face,) = restored["astronaut-sepia.jpg"].faces
    assert face.crop is not None and face.restored is not None
    drift = np.abs(face.restored.mean(axis=(0, 1)) - face.crop.mean(axis=(0, 1)))
    assert drift.max() < 0.02
