"""When a face is better left alone, what is said of drift, and which choices are refused."""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewright.errors import UsageError
from facewright.faces import Face
from facewright.faces.align import TEMPLATE
from facewright.faces.identity import SAME_PERSON
from facewright.restore import Settings, judge
from facewright.restore.result import FaceResult


def found(eyes: float = 40.0, side: float = 80.0, misfit: float = 0.05, pixels: float = 200.0) -> FaceResult:
    points = (TEMPLATE - TEMPLATE[0]) * eyes / np.linalg.norm(TEMPLATE[1] - TEMPLATE[0])
    return FaceResult(0, Face(np.array([0.0, 0, side, side * 1.2]), points, 0.99), misfit=misfit, pixels=pixels)


@pytest.mark.parametrize(
    ("face", "reason"),
    [
        (found(), None),
        (found(side=23.9), "too small: 24 px, --min-face is 24"),
        (found(side=24.0), None),
        (found(eyes=5.9), "too small: 6 px between the eyes"),
        (found(eyes=6.1), None),
        (found(misfit=judge.MISFIT_LIMIT + 0.01), "turned too far"),
        (found(misfit=judge.MISFIT_LIMIT), None),
        (found(pixels=judge.LARGEST_SCALE * 256 + 1), "larger than the model can serve"),
        (found(pixels=judge.LARGEST_SCALE * 256), None),
    ],
)
def test_faces_left_alone_for_size_or_pose(face: FaceResult, reason: str | None) -> None:
    judge.before_network(face, 256, 24)
    assert (face.action == "left alone") == (reason is not None)
    assert reason is None or (reason in face.reasons[0] and face.strength == 0)


def crop(blur: float, noise: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(2)
    picture = cv2.GaussianBlur(random.uniform(0, 1, (128, 128, 3)).astype(np.float32), (0, 0), blur)
    return np.asarray(picture + noise * random.standard_normal(picture.shape), np.float32)


def judged(before: np.ndarray, after: np.ndarray, identity: float) -> FaceResult:
    face = found()
    face.crop, face.restored, face.identity = before, after, identity
    judge.after_network(face)
    return face


def test_a_face_sharper_than_its_restoration_is_left_alone() -> None:
    assert judged(crop(1.0), crop(2.0), 0.1).action == "left alone"
    assert judged(crop(2.0), crop(1.0), 0.1).action == "restored"
    assert judged(crop(1.5), crop(1.5), 0.0).action == "restored"
    # a face that the network changed much had more to restore than its sharpness tells
    assert judged(crop(1.0), crop(2.0), 0.3).action == "restored"
    # noise is no sharpness
    assert judged(crop(2.0, noise=0.1), crop(1.2), 0.1).action == "restored"
    face = judged(crop(1.0), crop(2.0), 0.1)
    assert face.sharpness is not None and face.sharpness[0] > face.sharpness[1]


def test_sharpness_is_the_face_s_not_the_background_s() -> None:
    plain, busy = crop(2.0), crop(2.0)
    busy[:30] = busy[-10:] = np.random.default_rng(0).uniform(0, 1, 3)
    busy[:, :28] = crop(0.5)[:, :28]
    assert judge.face_sharpness(busy) == judge.face_sharpness(plain)


@given(distance=st.floats(0, 2), strength=st.floats(0.05, 1))
def test_words_on_identity(distance: float, strength: float) -> None:
    words = judge.identity_words(distance, strength)
    if distance < judge.IDENTITY_WARNING:
        assert words is None
        return
    assert words is not None and ("may no longer be the same person" in words) == (distance >= SAME_PERSON)
    assert f"{distance:.2f}" in words
    advised = re.search(r"--strength ([\d.]+)", words)
    assert advised is None or 0 < float(advised[1]) < strength, "gentler is less"
    assert (advised is not None or strength <= 0.2) and "--max-identity-drift" in words


def test_the_warning_comes_before_the_judge_s_limit() -> None:
    assert 0 < judge.IDENTITY_WARNING < SAME_PERSON == 0.6


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"strength": 1.1}, "--strength cannot be 1.1"),
        ({"strength": float("nan")}, "--strength cannot be nan"),
        ({"strength": "strong"}, "a number from 0 to 1"),
        ({"strength": None}, "--strength cannot be None"),
        ({"fidelity": -0.1}, "--fidelity cannot be -0.1"),
        ({"fidelity": "low"}, "--fidelity cannot be low"),
        ({"upscale": 0.5}, "--upscale cannot be 0.5: it is a number from 1 to 8"),
        ({"upscale": 9}, "--upscale"),
        ({"batch": 0}, "--batch"),
        ({"max_identity_drift": -1}, "--max-identity-drift"),
        ({"background": "blue"}, "lanczos, none"),
        ({"mask": "round"}, "ellipse, hull"),
        ({"detector": "dlib"}, "mtcnn"),
        ({"precision": "fp8"}, "auto, fp32, bf16, fp16"),
        ({"faces": "biggest"}, "--faces 'biggest' is not understood"),
        ({"faces": "0;2"}, "all, largest, center"),
    ],
)
def test_choices_that_make_no_sense_are_refused_at_once(choice: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        Settings(**choice)
    assert told in f"{caught.value} {caught.value.what_to_do}"


def test_choices_at_the_edges_are_fine() -> None:
    edges = {"strength": 0, "fidelity": 1, "upscale": 8, "batch": 1024, "max_identity_drift": 0, "faces": "0,2,11"}
    assert Settings(**edges).asdict().items() >= edges.items()  # type: ignore[arg-type]
    assert Settings(fidelity="0.5").fidelity == "0.5"
