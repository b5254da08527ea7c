"""RetinaFace around its network: what a photo's size, depth and turn do to what is found; priors, decoding, suppression."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from painted_faces import Recognises, paint, points_at

from facewright.errors import ModelError, UsageError
from facewright.faces.boxes import suppress
from facewright.faces.detect import load_detector
from facewright.faces.retinaface import RetinafaceDetector, find_published
from facewright.losses import multibox
from facewright.nets.retinaface import VARIANCES, RetinaFace, decode_boxes, decode_landmarks, prepare, priors


@pytest.fixture(scope="module")
def filled() -> RetinaFace:
    """A small network of random weights and of statistics that fit them, which sees faces here and there in noise."""
    torch.manual_seed(3)
    net = RetinaFace("mobilenet0.25")
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        net(prepare(torch.from_numpy(noise(96, 128)).permute(2, 0, 1)[None].float()))
        for head in net.ClassHead:
            head.conv1x1.weight.mul_(6)
    return net.eval()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(150, 700),
    width=st.integers(150, 700),
    size=st.integers(150, 400),
    where=st.tuples(st.floats(0.3, 0.7), st.floats(0.3, 0.7)),
)
def test_points_come_back_to_the_photo_from_a_copy_of_any_size(height: int, width: int, size: int, where: tuple[float, float]) -> None:
    points = points_at(where[0] * width, where[1] * height, 0.25 * min(height, width))
    photo = paint(np.full((height, width, 3), 120, np.uint8), points)
    (face,) = RetinafaceDetector(Recognises(), working_size=size, quarter_turns=False).detect(photo)
    assert_allclose(face.landmarks, points, atol=0.35 * max(1.0, (height * width) ** 0.5 / size))
    assert_allclose(face.centre, points.mean(axis=0), atol=0.35 * max(1.0, (height * width) ** 0.5 / size))


def test_depth_and_grey_change_nothing(filled: RetinaFace) -> None:
    detector = RetinafaceDetector(filled, score=0.6, quarter_turns=False)
    photo = noise(90, 120)
    for one, other in ((photo, photo.astype(np.uint16) * 257), (photo[..., 0], np.repeat(photo[..., :1], 3, axis=2))):
        faces, same = detector.detect(one), detector.detect(other)
        assert len(faces) == len(same) > 3
        assert_array_equal([face.landmarks for face in faces], [face.landmarks for face in same])


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turned_photo_gives_the_same_face_turned(turn: int) -> None:
    points = points_at(200, 130, 60)
    upright = paint(np.full((280, 420, 3), 120, np.uint8), points)
    (face,) = RetinafaceDetector(Recognises()).detect(np.rot90(upright, -turn))
    assert face.turn == turn
    height, width = upright.shape[:2]
    x, y = face.landmarks.T
    there = {1: (y, height - 1 - x), 2: (width - 1 - x, height - 1 - y), 3: (width - 1 - y, x)}[turn]
    assert_allclose(np.stack(there, axis=1), points, atol=0.5)
    assert RetinafaceDetector(Recognises(), quarter_turns=False).detect(np.rot90(upright, -turn)) == []


def test_what_the_network_sees_is_bounded_and_an_upright_face_is_looked_for_once() -> None:
    net = Recognises()
    photo = paint(np.full((1500, 2400, 3), 120, np.uint8), points_at(1200, 700, 300))
    assert len(RetinafaceDetector(net, working_size=400).detect(photo)) == 1
    assert len(net.seen) == 1 and net.seen[0][0] * net.seen[0][1] <= 400**2 * 1.01


def test_a_face_larger_than_any_prior_is_found_in_the_coarser_copy() -> None:
    points = points_at(700, 650, 450)
    photo = paint(np.full((1300, 1400, 3), 120, np.uint8), points)
    net = Recognises(largest=512)
    (face,) = RetinafaceDetector(net, quarter_turns=False, working_size=900).detect(photo)
    assert net.seen == [(867, 934), (216, 233)]
    assert face.size > 600
    assert_allclose(face.landmarks, points, atol=2)


def test_a_small_face_is_not_taken_from_the_coarser_copy() -> None:
    """There its points would be four times as rough; what only the coarse look sees of a small face is left out."""

    class OnlyCoarse(Recognises):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            boxes, probabilities, points = super().forward(x)
            return boxes, probabilities * float(max(x.shape[2:]) < 400), points

    photo = paint(np.full((800, 700, 3), 120, np.uint8), points_at(350, 400, 120))
    assert RetinafaceDetector(OnlyCoarse(), quarter_turns=False).detect(photo) == []


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 900), (33, 7, 3), (900, 3, 3)])
def test_any_shape_is_looked_at(filled: RetinaFace, shape: tuple[int, ...]) -> None:
    for face in RetinafaceDetector(filled, min_face=0, score=0.5).detect(np.full(shape, 90, np.uint8)):
        assert np.isfinite(face.box).all() and np.isfinite(face.landmarks).all()


def test_the_detector_finds_what_the_published_procedure_finds(filled: RetinaFace) -> None:
    photo = noise(96, 128)
    rows, factor = find_published(filled, photo, 0.6)
    faces = RetinafaceDetector(filled, score=0.6, quarter_turns=False, min_face=0).detect(photo)
    assert factor == 1 and len(rows) >= len(faces) > 3  # the detector also drops the inner of two nested boxes
    scores = [face.score for face in faces]
    assert scores == sorted(scores, reverse=True)
    for face in faces:
        row = rows[np.abs(rows[:, 4] - face.score).argmin()]
        assert_allclose(face.box, row[:4], atol=1e-3)
        assert_allclose(face.landmarks.ravel(), row[5:], atol=1e-3)


def test_the_published_resize_keeps_to_both_of_its_limits(filled: RetinaFace) -> None:
    assert find_published(filled, noise(40, 50), resize=(80, 2150))[1] == 2
    assert find_published(filled, noise(40, 160), resize=(80, 240))[1] == 1.5
    rows, factor = find_published(filled, noise(60, 64), 0.6, resize=(120, 2150))
    assert factor == 2 and rows[:, 5:].mean() < 64


def test_a_missing_file_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        load_detector("retinaface")
    assert caught.value.what_to_do == "facewright models get retinaface-resnet50"


def test_the_smaller_network_serves_where_only_its_file_is_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, filled: RetinaFace
) -> None:
    """The published file has "module." before each key."""
    from facewright.weights.catalog import lookup

    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    path = lookup("retinaface-mobilenet").path
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({f"module.{name}": value for name, value in filled.state_dict().items()}, path)
    detector = load_detector("retinaface")
    assert isinstance(detector, RetinafaceDetector) and detector.name == "retinaface"
    photo = noise(64, 64)
    assert_array_equal(find_published(detector.net, photo, 0.6)[0], find_published(filled, photo, 0.6)[0])


def test_an_unknown_backbone_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="vgg16"):
        RetinaFace("vgg16")  # type: ignore[arg-type]


@settings(max_examples=20, deadline=None)
@given(height=st.integers(1, 90), width=st.integers(1, 90))
def test_there_is_an_answer_for_every_prior(height: int, width: int) -> None:
    net = RetinaFace("mobilenet0.25").eval()
    with torch.inference_mode():
        boxes, probabilities, points = net(prepare(torch.zeros(1, 3, height, width)))
    anchors = priors(height, width)
    assert boxes.shape == (1, len(anchors), 4) and points.shape == (1, len(anchors), 10)
    assert_allclose(probabilities.sum(dim=2), 1, atol=1e-5)
    assert anchors[0].tolist() == pytest.approx([4 / width, 4 / height, 16 / width, 16 / height])


def test_training_mode_gives_logits() -> None:
    torch.manual_seed(0)
    net = RetinaFace("mobilenet0.25")
    logits = net(torch.randn(2, 3, 32, 32))[1]
    assert (logits.sum(dim=2) - 1).abs().max() > 0.01
    assert logits.requires_grad


@given(arrays(np.float64, (6, 4), elements=st.floats(0.02, 0.9)), arrays(np.float64, (6, 10), elements=st.floats(-1, 2)))
def test_decoding_undoes_the_targets_of_the_loss(boxes: np.ndarray, points: np.ndarray) -> None:
    assert multibox.VARIANCES == VARIANCES
    anchors = priors(20, 30)[:6]
    truths = torch.from_numpy(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)).float()
    landmarks = torch.from_numpy(points).float()
    assert_allclose(decode_boxes(multibox.encode_boxes(truths, anchors), anchors), truths, atol=1e-4)
    assert_allclose(decode_landmarks(multibox.encode_landmarks(landmarks, anchors), anchors).flatten(1), landmarks, atol=1e-4)


@settings(deadline=None)
@given(
    corners=arrays(np.float32, st.tuples(st.integers(0, 40), st.just(4)), elements=st.floats(0, 50, width=32)),
    threshold=st.sampled_from([0.2, 0.4, 0.7]),
    seed=st.integers(0, 1000),
)
def test_suppression_keeps_the_best_of_what_overlaps(corners: np.ndarray, threshold: float, seed: int) -> None:
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:] + 1], axis=1)
    random = np.random.default_rng(seed)
    scores = random.permutation(len(boxes)).astype(np.float32)
    keep = suppress(boxes, scores, threshold)
    assert (np.diff(scores[keep]) < 0).all()
    overlaps = multibox.iou(torch.from_numpy(boxes), torch.from_numpy(boxes)).numpy()
    among = overlaps[np.ix_(keep, keep)]
    assert (among - np.eye(len(keep)) <= threshold + 1e-5).all()
    for gone in set(range(len(boxes))) - set(keep.tolist()):
        assert any(scores[kept] > scores[gone] and overlaps[kept, gone] > threshold - 1e-5 for kept in keep)
    assert_array_equal(keep[suppress(boxes[keep], scores[keep], threshold)], keep)
    order = random.permutation(len(boxes))
    assert_array_equal(np.sort(order[suppress(boxes[order], scores[order], threshold)]), np.sort(keep))
