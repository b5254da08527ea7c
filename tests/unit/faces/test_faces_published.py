"""The published procedure: where it differs from ours, and where the two are the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from facewright.faces import published
from facewright.faces.align import TEMPLATE, _drawn_pairs, similarity
from facewright.faces.arcface import ARCFACE_TEMPLATE, arcface_affine, arcface_crop
from facewright.faces.paste import paste_plain, published_affine
from facewright.faces.warp import invert, transform


def waves(height: int, width: int, shift: float = 0) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width] / 20
    return np.rint(127.5 + 90 * np.stack([np.sin(x + shift), np.sin(y), np.sin(x + y + shift)], axis=2)).astype(np.uint8)


def face_at(x: float, y: float, eyes: float, angle: float = 0.0) -> np.ndarray:
    """5 x 2 of a face in the photo."""
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    centred = (TEMPLATE - TEMPLATE.mean(axis=0)) * eyes / np.linalg.norm(TEMPLATE[1] - TEMPLATE[0])
    return centred @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def row(points: np.ndarray, score: float = 0.99) -> np.ndarray:
    return np.concatenate([points.min(axis=0), points.max(axis=0), [score], points.ravel()]).astype(np.float32)


@settings(max_examples=12, deadline=None)
@given(
    x=st.floats(-40, 440), y=st.floats(-40, 340), eyes=st.floats(20, 110), angle=st.floats(-180, 180), upscale=st.sampled_from([1, 1.5, 2])
)
def test_the_rectangle_of_the_face_is_all_that_the_full_frame_changes(
    x: float, y: float, eyes: float, angle: float, upscale: float
) -> None:
    """`paste_plain` looks at the rectangle only, the published way at the whole frame: the same picture but for rounding."""
    restored, affine = waves(128, 128, 1.0), similarity(face_at(x, y, eyes, angle), TEMPLATE / 4)
    canvas = published.background(waves(300, 400), upscale)
    whole = published.paste(canvas, [restored], [affine], upscale=upscale)
    bounded = canvas.copy()
    paste_plain(bounded, restored, published_affine(affine, upscale), upscale=upscale)
    off = np.abs(whole.astype(int) - bounded)
    assert off.max() <= 2 and (off > 0).mean() < 0.03
    assert off[(canvas == whole).all(axis=2)].max(initial=0) <= 1


def test_it_darkens_by_truncation_and_leaves_the_canvas_as_it_was() -> None:
    canvas = np.full((300, 400, 3), 101, np.uint8)
    affine = similarity(face_at(200, 150, 60), TEMPLATE / 4)
    result = published.paste(canvas, [np.full((128, 128, 3), 102, np.uint8)], [affine])
    assert (canvas == 101).all()
    assert result.max() == 102 and (result == 101).any()
    assert (result == 100).any()  # 0.4 * 102 + 0.6 * 101, in floats a little under 101: never with rounding


@pytest.mark.parametrize("program", ["facexlib", "codeformer"])
def test_nothing_is_pasted_where_the_parser_sees_no_face(program: published.Program) -> None:
    canvas, labels = waves(300, 400), np.zeros((512, 512), np.uint8)
    affine = similarity(face_at(200, 150, 60), TEMPLATE / 4)
    crop = np.full((128, 128, 3), 255, np.uint8)
    assert_array_equal(published.paste(canvas, [crop], [affine], program=program, labels=[labels]), canvas)
    labels[200:400, 200:400] = 1
    result = published.paste(canvas, [crop], [affine], program=program, labels=[labels])
    changed = transform(affine, np.argwhere((result != canvas).any(axis=2))[:, ::-1].astype(float))
    assert changed.min() > 200 / 4 - 12 and changed.max() < 400 / 4 + 12


def test_a_later_face_lies_on_top_and_alpha_is_carried_over() -> None:
    canvas = np.concatenate([waves(300, 400), np.full((300, 400, 1), 7, np.uint8)], axis=2)
    affine = similarity(face_at(200, 150, 60), TEMPLATE / 4)
    crops = [np.full((128, 128, 3), level, np.uint8) for level in (10, 240)]
    result = published.paste(canvas, crops, [affine, affine])
    assert result.shape == (300, 400, 4) and (result[..., 3] == 7).all()
    assert (result[150, 200, :3] == 240).all()


def test_boxes_are_drawn_round_the_faces() -> None:
    canvas = np.full((300, 400, 3), 50, np.uint8)
    affine = similarity(face_at(200, 150, 60), TEMPLATE / 4)
    result = published.paste(canvas, [np.full((128, 128, 3), 50, np.uint8)], [affine], program="codeformer", boxes=True)
    x, y = np.rint(transform(invert(affine), np.array([[3.0, 64.0]]))[0]).astype(int)
    assert_array_equal(result[y, x], [0, 255, 0])
    assert_array_equal(result[150, 200], [50, 50, 50])


def test_16_bit_grey_and_alpha_become_8_bit_levels_of_three_colours() -> None:
    deep = waves(20, 30).astype(np.uint16) * 257
    assert_allclose(published.read(deep), waves(20, 30), atol=1e-9)
    assert_array_equal(published.read(waves(20, 30)[..., 0]), waves(20, 30)[..., [0, 0, 0]])
    assert_array_equal(published.read(np.dstack([waves(20, 30), np.zeros((20, 30), np.uint8)])), waves(20, 30))
    dark = np.full((4, 4, 3), 200, np.uint16)  # of 65535: not recognised as deep, so far too bright
    assert published.read(dark).max() == 200
    assert published.read(waves(20, 30), "codeformer").shape == (512, 768, 3)
    assert published.read(waves(600, 700), "codeformer").shape == (600, 700, 3)


@pytest.mark.parametrize(("program", "seen"), [("facexlib", (60, 80)), ("codeformer", (60, 80))])
def test_points_come_back_from_the_size_that_the_detector_sees(program: published.Program, seen: tuple[int, int]) -> None:
    points, shown = face_at(200, 150, 40), []

    def detect(picture: np.ndarray) -> np.ndarray:
        shown.append(picture.shape[:2])
        return row(points / 5)[None]

    (found,) = published.find(waves(300, 400), detect, program=program, resize=60)
    assert shown == [seen]
    assert_allclose(published.points(found), points, rtol=1e-5)
    assert found[4] == pytest.approx(0.99 * 5)


def test_small_faces_are_dropped_by_the_distance_of_their_eyes_or_of_what_codeformer_takes_for_it() -> None:
    small, large = face_at(50, 60, 4.9), face_at(200, 150, 40)
    rows = np.stack([row(small), row(large)])
    picture = waves(300, 400)
    assert len(published.find(picture, lambda _: rows)) == 2
    (kept,) = published.find(picture, lambda _: rows, eye_distance=5)
    assert_allclose(published.points(kept), large, rtol=1e-5)
    turned = row(face_at(50, 60, 4.9, 90))
    assert published.eyes_apart(turned) == pytest.approx(4.9, rel=1e-4)
    eyes_and_nose = turned[6] - turned[8], turned[7] - turned[9]
    assert published.eyes_apart(turned, "codeformer") == pytest.approx(float(np.hypot(*eyes_and_nose)))
    assert published.find(picture, lambda _: np.zeros((0, 15))).shape == (0, 15)
    assert published.find(picture, lambda _: rows[:1], eye_distance=5, keep="largest").shape == (0, 15)


def test_one_face_can_be_kept() -> None:
    beside, middle = face_at(330, 60, 70), face_at(205, 150, 30)
    rows = np.stack([row(beside), row(middle)])
    for keep, points in (("largest", beside), ("center", middle)):
        (kept,) = published.find(waves(300, 400), lambda _: rows, keep=keep)  # type: ignore[arg-type]
        assert_allclose(published.points(kept), points, rtol=1e-5)


def test_a_crop_keeps_the_pictures_type_and_ends_in_the_published_grey() -> None:
    crop, affine = published.cut(waves(300, 400), face_at(5, 150, 60), 128)
    assert crop.dtype == np.uint8 and crop.shape == (128, 128, 3)
    assert_array_equal(crop[64, 0], [132, 133, 135])
    assert_allclose(transform(affine, face_at(5, 150, 60)), TEMPLATE / 4, atol=0.01)
    assert published.cut(waves(300, 400) / 3, face_at(200, 150, 60), 128)[0].dtype == np.float64


def test_the_background_overshoots_nowhere() -> None:
    edge = np.zeros((40, 40, 3))
    edge[:, 20:] = 255
    large = published.background(edge, 3)
    assert large.shape == (120, 120, 3) and large.min() == 0 and large.max() == 255
    up = np.full((80, 80, 3), 9, np.uint8)
    assert (published.background(edge, 1.5, upsampled=up) == 9).all()


def test_the_pairs_are_those_that_opencv_draws() -> None:
    assert _drawn_pairs(5) == ((0, 4), (0, 3), (1, 2), (1, 0), (1, 4), (3, 1))


@given(angle=st.floats(-180, 180), scale=st.floats(0.1, 5), x=st.floats(-500, 500), y=st.floats(-500, 500), mirrored=st.booleans())
def test_arcface_crops_undo_any_similarity_and_any_mirror(angle: float, scale: float, x: float, y: float, mirrored: bool) -> None:
    cos, sin = scale * np.cos(np.radians(angle)), scale * np.sin(np.radians(angle))
    placed = transform(np.array([[cos, -sin, x], [sin, cos, y]]), ARCFACE_TEMPLATE * ([-1, 1] if mirrored else [1, 1]))
    assert_allclose(transform(arcface_affine(placed), placed), ARCFACE_TEMPLATE, atol=1e-6)


def test_an_arcface_crop_is_black_beyond_the_photo() -> None:
    crop = arcface_crop(np.full((60, 60, 3), 200, np.uint8), ARCFACE_TEMPLATE)
    assert crop.shape == (112, 112, 3) and crop[30, 30].tolist() == [200] * 3 and not crop[80:, 80:].any()
