"""YOLOv5-face around its network: the letterbox, the way back to the photo, the published rows, and what its files are taken for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from painted_faces import Recognises, paint, points_at
from torch import Tensor, nn

from facewright.errors import ModelError, UsageError
from facewright.faces.detect import DETECTORS, load_detector
from facewright.faces.turns import tilt
from facewright.faces.yolo import NAMES, YoloDetector, find_published, letterbox, look
from facewright.nets.yolov5face import ANCHORS, STRIDES, Detect, YoloV5Face


class Sees(YoloV5Face):
    """Answers as a perfect network would for one upright painted face, with a second, less sure find beside it; keeps the sizes it saw."""

    def __init__(self, objectness: float = 0.95, face: float = 0.96) -> None:
        nn.Module.__init__(self)
        self.scale = nn.Parameter(torch.ones(()))
        self.objectness, self.face = objectness, face
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape[2:]))
        rows = torch.zeros(1, 5, 16)
        found = Recognises._points((x[0].permute(1, 2, 0) * 255).numpy())
        if found is not None and abs(tilt(found)) < 30:
            points = torch.tensor(found + 0.5, dtype=torch.float32)  # from the picture's edge, as the network counts
            middle, side = points.mean(dim=0), 2.4 * (points[1] - points[0]).norm()
            rows[0, 3] = torch.cat([middle, side.expand(2), torch.tensor([self.objectness]), points.flatten(), torch.tensor([self.face])])
            rows[0, 1] = rows[0, 3] * torch.tensor([1.01] * 4 + [0.99] + [1.01] * 10 + [0.99])
        return rows


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 114, np.uint8)


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(150, 700),
    width=st.integers(150, 700),
    size=st.integers(150, 400),
    where=st.tuples(st.floats(0.3, 0.7), st.floats(0.3, 0.7)),
)
def test_points_come_back_to_the_photo_from_a_copy_of_any_size(height: int, width: int, size: int, where: tuple[float, float]) -> None:
    points = points_at(where[0] * width, where[1] * height, 0.25 * min(height, width))
    photo = paint(grey(height, width), points)
    (face,) = YoloDetector(Sees(), working_size=size, quarter_turns=False).detect(photo)
    within = 0.4 * max(1.0, (height * width) ** 0.5 / size)
    assert_allclose(face.landmarks, points, atol=within)
    assert_allclose(face.centre, points.mean(axis=0), atol=within)
    assert face.score == pytest.approx(0.95 * 0.96)


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turned_photo_gives_the_same_face_turned(turn: int) -> None:
    points = points_at(200, 130, 60)
    upright = paint(grey(280, 420), points)
    (face,) = YoloDetector(Sees()).detect(np.rot90(upright, -turn))
    height, width = upright.shape[:2]
    x, y = face.landmarks.T
    there = {1: (y, height - 1 - x), 2: (width - 1 - x, height - 1 - y), 3: (width - 1 - y, x)}[turn]
    assert face.turn == turn
    assert_allclose(np.stack(there, axis=1), points, atol=0.6)
    assert YoloDetector(Sees(), quarter_turns=False).detect(np.rot90(upright, -turn)) == []


def test_what_the_network_sees_is_bounded_and_an_upright_face_is_looked_for_once() -> None:
    net = Sees()
    assert len(YoloDetector(net, working_size=300).detect(paint(grey(1500, 2400), points_at(1200, 700, 300)))) == 1
    ((height, width),) = net.seen
    assert height * width < 400**2 and height % 32 == width % 32 == 0


@pytest.mark.parametrize(("objectness", "face"), [(0.69, 1.0), (0.84, 0.83)])
def test_both_the_thing_and_the_face_have_to_be_sure(objectness: float, face: float) -> None:
    photo = paint(grey(200, 200), points_at(100, 100, 50))
    assert len(look(Sees(objectness, face), photo, 0.6)) > 0
    assert len(look(Sees(objectness, face), photo, 0.7)) == 0


def test_depth_and_grey_change_nothing() -> None:
    photo = paint(grey(200, 260), points_at(120, 100, 50))
    (face,), (same,) = (YoloDetector(Sees(), quarter_turns=False).detect(each) for each in (photo, photo.astype(np.uint16) * 257))
    assert_array_equal(face.landmarks, same.landmarks)
    assert YoloDetector(Sees(), quarter_turns=False).detect(photo[..., 0]) == []  # its stand-in needs the colours


# As published ----------------------------------------------------------------------------------------------------------------------------


@given(height=st.integers(1, 200), width=st.integers(1, 200), cells=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_the_letterbox_holds_the_whole_picture_in_whole_cells(height: int, width: int, cells: int) -> None:
    side = 32 * cells
    picture = np.full((height, width, 3), 200, np.uint8)
    boxed, ratio, (x, y) = letterbox(picture, side)
    assert max(boxed.shape[:2]) == side and boxed.shape[0] % 32 == boxed.shape[1] % 32 == 0
    assert ratio == side / max(height, width)
    inside = (boxed == 200).all(axis=2)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert (len(rows), len(columns)) == (max(1, round(height * ratio)), max(1, round(width * ratio)))
    assert abs(rows[0] - y) <= 0.5 and abs(columns[0] - x) <= 0.5 and max(x, y) < 32
    assert (boxed[~inside] == 114).all()


def test_the_published_rows_are_whole_pixels_of_the_better_of_two_finds() -> None:
    points = points_at(150.3, 120.8, 50)
    photo = paint(grey(240, 300), points)
    (row,) = find_published(Sees(), photo)
    assert row.shape == (15,) and row[4] == pytest.approx(0.95 * 0.96)
    assert_array_equal(row[[*range(4), *range(5, 15)]] % 1, 0)
    assert_allclose(row[5:].reshape(5, 2), np.floor(points + 0.5), atol=1)  # from the edge, and cut off
    assert find_published(Sees(), photo, least_height=int(row[3] - row[1]) + 1).shape == (0, 15)
    assert find_published(Sees(), grey(100, 80)).shape == (0, 15)


# The network -----------------------------------------------------------------------------------------------------------------------------


def test_a_head_that_says_nothing_gives_every_anchor_in_the_middle_of_its_cell() -> None:
    head = Detect((8, 8, 8))
    for level, (stride, anchors) in enumerate(zip(STRIDES, ANCHORS, strict=True)):
        rows = head.decode(level, torch.zeros(1, 3, 4, 5, 16))
        assert rows[0, 1, 3, 2, :5].tolist() == [2.5 * stride, 3.5 * stride, *anchors[1], 0.5]
        assert rows[0, 2, 3, 2, 5:15].tolist() == [2 * stride, 3 * stride] * 5
        points = head.decode(level, torch.ones(1, 3, 4, 5, 16))[0, 2, 3, 2, 5:15]
        assert points.tolist() == [2 * stride + anchors[2][0], 3 * stride + anchors[2][1]] * 5


def test_every_cell_of_every_map_answers() -> None:
    torch.manual_seed(0)
    net = YoloV5Face("n").eval()
    with torch.inference_mode():
        rows = net(torch.rand(2, 3, 64, 96))
    assert rows.shape == (2, 3 * sum((64 // stride) * (96 // stride) for stride in STRIDES), 16)
    assert ((rows[..., 4] > 0) & (rows[..., 4] < 1) & (rows[..., 15] > 0) & (rows[..., 15] < 1)).all()


def test_other_sizes_and_names_are_refused() -> None:
    with pytest.raises(UsageError, match="size 's'"):
        YoloV5Face("s")  # type: ignore[arg-type]
    with pytest.raises(UsageError) as caught:
        load_detector("yolov5s-face")
    assert all(name in (caught.value.what_to_do or "") for name in DETECTORS)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_says_how_to_get_it(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        load_detector(name)
    assert caught.value.what_to_do == f"facewright models get {name}"


def test_the_file_of_its_name_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from facewright.weights.catalog import lookup

    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    path = lookup("yolov5n-face").path
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    net = YoloV5Face("n").eval()
    torch.save(net.state_dict(), path)
    detector = load_detector("yolov5n-face")
    assert isinstance(detector, YoloDetector) and detector.name == "yolov5n-face"
    photo = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    assert_allclose(look(detector.net, photo, 0.0), look(net, photo, 0.0), rtol=1e-4, atol=1e-4)
