"""--faces and --min-face."""

from __future__ import annotations

import numpy as np
import pytest

from facewright.errors import UsageError
from facewright.faces.face import Face
from facewright.faces.select import parse, select

SHAPE = (400, 600, 3)


def face(x: float, y: float, side: float) -> Face:
    return Face(np.array([x, y, x + side, y + side]), np.zeros((5, 2)), 0.99)


FACES = [face(10, 10, 50), face(280, 170, 60), face(560, 300, 80), face(100, 200, 20)]


def test_all_largest_and_center() -> None:
    assert select(FACES, "all", SHAPE) == [0, 1, 2, 3]
    assert select(FACES, "largest", SHAPE) == [1]  # face 2 is larger, but most of it lies outside of the photo
    assert select(FACES, "CENTER ", SHAPE) == [1]
    assert select(FACES, "none", SHAPE) == []
    assert select([], "all", SHAPE) == select([], "largest", SHAPE) == []


def test_a_list_names_each_face_once_in_order() -> None:
    assert select(FACES, "2, 0,2", SHAPE) == [0, 2]


def test_small_faces_are_left_out_unless_named() -> None:
    assert select(FACES, "all", SHAPE, min_face=40) == [0, 1, 2]
    assert select(FACES[3:], "largest", SHAPE, min_face=40) == []
    assert select(FACES, "3", SHAPE, min_face=40) == [3]


@pytest.mark.parametrize("spec", ["", ",", "biggest", "0,,1", "-1", "1.5", "0;1", "all,1", "٣x"])
def test_a_list_that_makes_no_sense_is_refused_in_one_line(spec: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(spec)
    assert "all, largest, center" in refused.value.what_to_do and "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_face_that_is_not_there_says_which_are() -> None:
    with pytest.raises(UsageError, match="names face 7: faces 0 to 3 were found"):
        select(FACES, "0,7", SHAPE)
    with pytest.raises(UsageError, match="only face 0 was found"):
        select(FACES[:1], "1", SHAPE)
    with pytest.raises(UsageError, match="no face was found"):
        select([], "0", SHAPE)
