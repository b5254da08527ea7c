"""Boxes of eyes and mouth: from points, through every augmentation, into batches."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fake_faces import make_faces
from hypothesis import given
from hypothesis import strategies as st

from facewright.data import AlignedFaces, PairStream, read_manifest
from facewright.data.augment import Augmentation, follow
from facewright.data.components import boxes, mirrored, moved, parts_of, parts_of_68, parts_of_five
from facewright.degrade import preset
from facewright.errors import InputError, UsageError

TEMPLATE = np.array([[192.98, 239.95], [318.90, 240.19], [256.63, 314.02], [201.26, 371.41], [313.09, 371.15]])
FRAMING = Augmentation(light_p=0, tone_p=0, grey_p=0, toned_p=0)
seeds = st.integers(0, 2**32 - 1)


def test_the_published_example() -> None:
    """Entry and boxes worked out by hand from the published rule."""
    box = boxes(np.array([[190.0, 240, 30], [320, 241, 20], [256, 372, 44]]))
    np.testing.assert_allclose(box, [[149, 199, 232, 282], [293, 214, 348, 269], [213, 329, 300, 416]])
    points = np.zeros((68, 2))
    points[36:42] = [[300, 400], [320, 390], [340, 390], [360, 400], [340, 410], [320, 410]]
    points[42:48] = points[36:42] + 200
    points[48:68] = [400, 700]
    points[48], points[54] = [300, 700], [500, 700]
    np.testing.assert_allclose(parts_of_68(points, 0.5), [[165, 200, 16], [265, 300, 16], [200, 350, 50]])  # 30 wide is too small


@given(seed=seeds)
def test_mirroring_by_matrix_is_the_published_mirroring(seed: int) -> None:
    parts = np.random.default_rng(seed).uniform(20, 400, (3, 3))
    matrix = np.array([[-1.0, 0, 511], [0, 1, 0]])
    np.testing.assert_allclose(moved(parts, matrix), mirrored(parts, 512))
    np.testing.assert_allclose(mirrored(mirrored(parts)), parts)


@given(seed=seeds, size=st.integers(32, 600))
def test_parts_follow_every_augmentation_as_points_do(seed: int, size: int) -> None:
    """Five points moved and then turned into parts are the parts moved: centres and sides, whichever way round."""
    pixels = np.zeros((512, 512, 3), np.uint8)
    _, matrix = FRAMING(pixels, size, np.random.default_rng(seed))
    before, after = parts_of_five(TEMPLATE, 512), parts_of_five(follow(TEMPLATE, matrix), size)
    np.testing.assert_allclose(moved(before, matrix), after, rtol=1e-6)
    assert after[0, 0] < after[1, 0]


def test_boxes_hold_what_they_name() -> None:
    """A red left eye and a green right one (as seen before), a blue mouth: each is found in its box, the other way round when mirrored."""
    pixels = np.zeros((256, 256, 3), np.uint8)
    points = TEMPLATE / 2
    for colour, (x, y) in enumerate([points[0], points[1], points[3:].mean(axis=0)]):
        cv2.circle(pixels, (round(x), round(y)), 6, tuple(255 * (channel == colour) for channel in range(3)), -1)
    parts = parts_of_five(points, 256)
    ways = set()
    for seed in range(40):
        image, matrix = FRAMING(pixels, 192, np.random.default_rng(seed))
        turned = bool(np.linalg.det(matrix[:, :2]) < 0)
        ways.add(turned)
        for colour, (x1, y1, x2, y2) in zip([1, 0, 2] if turned else [0, 1, 2], boxes(moved(parts, matrix)), strict=True):
            inside = image[round(y1) : round(y2) + 1, round(x1) : round(x2) + 1, colour]
            assert inside.sum() == pytest.approx(image[..., colour].sum(), rel=1e-3) and inside.sum() > 20
    assert ways == {True, False}


def test_five_points_give_parts_of_a_face_seen_from_anywhere() -> None:
    frontal = parts_of_five(TEMPLATE, 512)
    np.testing.assert_allclose(frontal[:, 2], [29, 29, 56], atol=1)
    turned = TEMPLATE * [0.35, 1] + [180, 0]  # nearly a profile: eyes and corners of the mouth close together
    assert (parts_of_five(turned, 512)[:, 2] > [26, 26, 28]).all()
    np.testing.assert_allclose(parts_of_five(TEMPLATE / 2 - 0.25, 256) * 2, frontal, rtol=1e-9)  # pixel centres at half the size
    assert (parts_of_five(np.full((5, 2), 100.0), 512)[:, 2] == 16).all()
    np.testing.assert_allclose(parts_of(TEMPLATE, 512), frontal)
    with pytest.raises(InputError, match="21 x 2"):
        parts_of(np.zeros((21, 2)), 512)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> AlignedFaces:
    folder: Path = make_faces(tmp_path_factory.mktemp("faces"), 64)
    return AlignedFaces(read_manifest(folder, lambda row: row.split == "train" and row.use == "train-ok"), 48)


def stream(faces: AlignedFaces, **changes: object) -> PairStream:
    options = {"size": 32, "batch": 4, "seed": 5, "probabilities": faces.weights({"us": 0.34})} | changes
    mixture = options.pop("mixture", [(0.5, preset("medium")), (0.5, None)])
    return PairStream(faces, mixture, Augmentation(), **options)  # type: ignore[arg-type]


def test_boxes_change_nothing_else(faces: AlignedFaces) -> None:
    table = np.stack([parts_of_five(TEMPLATE * 48 / 512, 48)] * len(faces))
    for step in range(4):
        plain, boxed = stream(faces).at(step), stream(faces, components=table).at(step)
        assert torch.equal(plain.damaged, boxed.damaged) and torch.equal(plain.clean, boxed.clean)
        assert plain.boxes is None and boxed.boxes is not None
        assert boxed.boxes.shape == (4, 3, 4) and boxed.boxes.dtype == torch.float32
        assert boxed.to("cpu").boxes is not None and plain.to("cpu").boxes is None
        assert (boxed.boxes[:, 0, 0] < boxed.boxes[:, 1, 0]).all()
        assert (boxed.boxes > -1).all() and (boxed.boxes < 33).all()
    with pytest.raises(ValueError, match="components"):
        stream(faces, components=table[:-1])


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_share_the_joint_batch(faces: AlignedFaces, world: int) -> None:
    table = np.stack([parts_of_five(TEMPLATE * 48 / 512, 48)] * len(faces))
    for step in (0, 3):
        joint = stream(faces, components=table, batch=8).at(step)
        for rank in range(world):
            mine = stream(faces, components=table, batch=8, share=(rank, world)).at(step)
            for whole, part in zip(vars(joint).values(), vars(mine).values(), strict=True):
                assert torch.equal(whole[rank::world], part)


@pytest.mark.parametrize("share", [(0, 3), (2, 2), (-1, 2)])
def test_an_uneven_share_is_refused(faces: AlignedFaces, share: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="cannot be shared"):
        stream(faces, share=share)


def test_batches_stay_what_they_were(faces: AlignedFaces) -> None:
    """The pictures that the first version of this stream made: its draws (by their sum) and its pixels (by its own lines)."""
    drawn = hashlib.sha256()
    undamaged = stream(faces, mixture=[(1.0, None)], probabilities=None)
    for step in range(3):
        pictures = undamaged.at(step).clean
        for place in range(4):
            rng = np.random.default_rng([5, step, place])
            index = int(rng.choice(12, p=None))
            expected = first_version(faces.pixels(index), 32, rng)
            assert torch.equal(pictures[place], torch.from_numpy(expected).permute(2, 0, 1).mul(2).sub(1))
            drawn.update(f"{index} {rng.bit_generator.state['state']['state']}".encode())
    assert drawn.hexdigest() == "3fa002228a95b56763db3198069c1ee46dd509c9bb3e13d6d4456140bcbc4a95"


def first_version(pixels: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    stored = pixels.shape[0]
    scale = size / stored * np.exp(rng.uniform(-0.08, 0.08))
    middle = (stored - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), rng.uniform(-6.0, 6.0), scale)
    matrix[:, 2] += (size - 1) / 2 - middle + rng.uniform(-0.03, 0.03, 2) * size
    if rng.random() < 0.5:
        matrix[0] = -matrix[0]
        matrix[0, 2] += size - 1
    image = cv2.warpAffine(pixels, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    image = image.astype(np.float32) / np.float32(255)
    if rng.random() < 0.5:
        angle = rng.uniform(-np.pi, np.pi)
        axis = np.linspace(-1, 1, size, dtype=np.float32)
        ramp = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]
        image = image * np.asarray(np.clip(1 + rng.uniform(0, 0.3) * ramp, 0.4, 1.4)[..., None], np.float32)
    if rng.random() < 0.3:
        image = np.clip(image, 1e-4, 1) ** np.float32(np.exp(rng.uniform(-0.35, 0.35)))
        image = (image - 0.5) * np.float32(rng.uniform(0.75, 1.2)) + 0.5 + np.float32(rng.uniform(-0.06, 0.06))
    kind = rng.random()
    if kind < 0.12 + 0.08:
        image = np.repeat((image @ np.array([0.299, 0.587, 0.114], np.float32))[..., None], 3, axis=2)
        if kind < 0.08:
            tints = np.array([[1.07, 0.98, 0.82], [1.04, 1.0, 0.9], [1.1, 0.96, 0.74], [0.97, 1.0, 1.05]], np.float32)
            image = np.clip(image, 0, 1) ** (1 / tints[rng.integers(4)])
    return np.asarray(np.clip(image, 0, 1).astype(np.float32))
