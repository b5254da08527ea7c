"""Detection, with the weights that ship: a portrait of NASA's (public domain) and what is made from it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose
from skimage.data import astronaut

from facewright.errors import UsageError
from facewright.faces.boxes import pyramid, suppress
from facewright.faces.cascade import Cascade
from facewright.faces.copies import without_duplicates, working_copy
from facewright.faces.detect import load_detector
from facewright.faces.face import Face
from facewright.faces.mtcnn import MtcnnDetector
from facewright.faces.summed import Summed
from facewright.faces.turns import turned_back

EYES = np.array([[204.0, 100.5], [246.0, 103.0]])
PORTRAIT = astronaut()


@pytest.fixture(scope="module")
def detector() -> MtcnnDetector:
    found = load_detector()
    assert isinstance(found, MtcnnDetector)
    return found


def test_the_face_is_found_and_nothing_else(detector: MtcnnDetector) -> None:
    (face,) = detector.detect(PORTRAIT)
    assert face.score > 0.99 and face.turn == 0
    assert_allclose(face.landmarks[:2], EYES, atol=3)


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turned_photo_gives_the_same_face_turned(detector: MtcnnDetector, turn: int) -> None:
    (upright,) = detector.detect(PORTRAIT)
    (face,) = detector.detect(np.rot90(PORTRAIT, turn))
    assert face.turn == 4 - turn
    side = PORTRAIT.shape[0] - 1
    back = face.landmarks
    for _ in range(turn):
        back = np.stack([side - back[:, 1], back[:, 0]], axis=1)
    assert_allclose(back, upright.landmarks, atol=1e-3)


def test_grey_and_16_bit_photos_give_the_same_face(detector: MtcnnDetector) -> None:
    (colour,) = detector.detect(PORTRAIT)
    deep = PORTRAIT.astype(np.uint16) * 257
    (same,) = detector.detect(deep)
    assert_allclose(same.landmarks, colour.landmarks, atol=0.05)
    grey = cv2.cvtColor(PORTRAIT, cv2.COLOR_RGB2GRAY)
    for photo in (grey, grey.astype(np.uint16) * 257):
        (face,) = detector.detect(photo)
        assert_allclose(face.landmarks, colour.landmarks, atol=4)


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_face_is_where_it_was_in_a_larger_or_smaller_photo(detector: MtcnnDetector, scale: float) -> None:
    photo = cv2.resize(PORTRAIT, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    (upright,) = detector.detect(PORTRAIT)
    (face,) = detector.detect(photo)
    assert_allclose((face.landmarks + 0.5) / scale - 0.5, upright.landmarks, atol=2)


def test_a_small_face_in_a_large_photo_is_found_and_placed_in_its_own_pixels(detector: MtcnnDetector) -> None:
    (alone,) = detector.detect(PORTRAIT)
    wall = np.full((2700, 4000, 3), 120, np.uint8)
    wall[2000:2512, 3300:3812] = PORTRAIT
    faces = detector.detect(wall)
    assert len(faces) == 1
    assert_allclose(faces[0].landmarks - [3300, 2000], alone.landmarks, atol=2.5)


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 900), (19, 19, 3), (12, 3000, 3)])
def test_a_photo_smaller_than_a_face_has_none(detector: MtcnnDetector, shape: tuple[int, ...]) -> None:
    assert detector.detect(np.full(shape, 90, np.uint8)) == []


def test_noise_has_no_face(detector: MtcnnDetector) -> None:
    assert detector.detect(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)) == []


def test_the_copy_that_is_searched_is_bounded() -> None:
    for shape in ((4000, 6000), (300, 90000, 3), (100, 120)):
        copy = working_copy(np.zeros(shape, np.uint16), 1600)
        assert copy.dtype == np.uint8 and copy.shape[2] == 3 and copy.shape[0] * copy.shape[1] <= 1600**2 * 1.01


def test_another_detector_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="retina"):
        load_detector("retina")


def test_nested_finds_of_one_face_become_one() -> None:
    def face(x1: float, y1: float, side: float, score: float) -> Face:
        points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]) * side + [x1, y1]
        return Face(np.array([x1, y1, x1 + side, y1 + side]), points, score)

    outer, inner, beside = face(0, 0, 100, 0.95), face(30, 30, 40, 0.99), face(95, 0, 100, 0.9)
    assert without_duplicates([outer, inner, beside]) == [inner, beside]


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turning_back_undoes_a_quarter_turn(turn: int) -> None:
    photo = np.zeros((50, 80))
    photo[11, 23] = 1
    row, column = np.argwhere(np.rot90(photo, turn))[0]
    face = turned_back(Face(np.array([column, row, column, row], float), np.full((5, 2), [column, row], float), 1), photo.shape, turn)
    assert_allclose(face.landmarks[0], [23, 11])
    assert_allclose(face.box, [23, 11, 23, 11])


def test_both_ways_to_shrink_a_level_find_the_same_face(detector: MtcnnDetector) -> None:
    nets = detector.cascade
    exact, fast = (Cascade(nets.pnet, nets.rnet, nets.onet, published=published).find(PORTRAIT) for published in (True, False))
    assert abs(len(exact) - len(fast)) <= 1
    assert_allclose(exact.boxes[0], fast.boxes[0], atol=6)


def test_area_averages_are_those_of_the_pixels_under_each_cell() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    cut = Summed(picture).cut(np.array([[4, 6, 27, 29]], np.float32), 8)[0]
    wanted = picture[5:29, 3:27].reshape(8, 3, 8, 3, 3).mean(axis=(1, 3))
    assert_allclose(cut, wanted, atol=1e-9)


def test_the_pyramid_ends_where_the_photo_no_longer_holds_a_window() -> None:
    levels = pyramid(100, 400, 20)
    assert levels[0] == (0.6, (61, 241))
    assert all(min(size) >= 12 for _, size in levels) and 100 * levels[-1][0] * 0.709 < 12
    assert pyramid(19, 500, 20) == []


def test_suppression_keeps_the_best_and_what_it_does_not_cover() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60], [2, 2, 6, 6]], np.float32)
    scores = np.array([0.8, 0.9, 0.7, 0.95], np.float32)
    assert suppress(boxes, scores, 0.5).tolist() == [3, 1, 2]
    assert suppress(boxes, scores, 0.5, measure="min").tolist() == [3, 2]
