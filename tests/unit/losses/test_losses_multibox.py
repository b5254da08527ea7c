"""The detector's training loss: what it asks for, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from facewright.losses.multibox import corners, encode_boxes, encode_landmarks, match, multibox_loss
from facewright.nets.retinaface import priors

ANCHORS = priors(96, 128)
POINTS = torch.tensor([0.3, 0.35, 0.45, 0.35, 0.38, 0.45, 0.32, 0.55, 0.44, 0.55])


def face(x1: float, y1: float, x2: float, y2: float, label: float = 1.0) -> Tensor:
    return torch.cat([torch.tensor([x1, y1, x2, y2]), POINTS, torch.tensor([label])])


def perfect(targets: list[Tensor], sure: float = 30.0) -> tuple[Tensor, Tensor, Tensor]:
    """What a network that has learned the targets answers."""
    rows = []
    for each in targets:
        boxes, classes, points = match(each[:, :4], each[:, 14], each[:, 4:14], ANCHORS)
        logits = torch.stack([-sure * (classes != 0), sure * (classes != 0) - sure / 2], dim=1)
        rows.append((boxes, logits, points))
    boxes, logits, points = (torch.stack(part) for part in zip(*rows, strict=True))
    return boxes, logits, points


def test_the_right_answer_costs_nothing() -> None:
    targets = [torch.stack([face(0.2, 0.2, 0.55, 0.7), face(0.6, 0.1, 0.8, 0.35, -1)]), face(0.1, 0.1, 0.5, 0.6)[None]]
    losses = multibox_loss(perfect(targets), ANCHORS, targets)
    assert {name: round(float(loss), 5) for name, loss in losses.items()} == {"boxes": 0, "classes": 0, "landmarks": 0}


def test_points_of_a_face_without_points_do_not_count() -> None:
    unknown = [face(0.2, 0.2, 0.55, 0.7, -1)[None]]
    boxes, logits, points = perfect(unknown)
    losses = multibox_loss((boxes, logits, points + 5), ANCHORS, unknown)
    assert losses["landmarks"] == 0 and losses["boxes"] == 0
    assert multibox_loss((boxes + 5, logits, points), ANCHORS, unknown)["boxes"] > 1


def test_a_picture_whose_faces_are_too_small_asks_for_nothing() -> None:
    tiny = [face(0.5, 0.5, 0.51, 0.51)[None]]
    answers = tuple(torch.randn(1, len(ANCHORS), count, requires_grad=True) for count in (4, 2, 10))
    losses = multibox_loss(answers, ANCHORS, tiny)  # type: ignore[arg-type]
    assert all(loss.item() == 0 for loss in losses.values())
    total = losses["boxes"] + losses["classes"] + losses["landmarks"]
    assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(total, answers))


def test_negatives_are_the_hardest_seven_to_each_positive() -> None:
    target = [face(0.2, 0.2, 0.55, 0.7)[None]]
    boxes, logits, points = perfect(target)
    positives = int((match(target[0][:, :4], target[0][:, 14], target[0][:, 4:14], ANCHORS)[1] != 0).sum())
    wrong = torch.nonzero(logits[0, :, 0] == 0)[:, 0]
    worse = logits.clone()
    worse[0, wrong[: 7 * positives], 1] = 20.0
    full = multibox_loss((boxes, worse, points), ANCHORS, target)["classes"]
    assert float(full) == pytest.approx(7 * 20, rel=1e-4)
    worse[0, wrong, 1] = 20.0  # more of the same are not looked at
    assert float(multibox_loss((boxes, worse, points), ANCHORS, target)["classes"]) == pytest.approx(float(full), rel=1e-4)


def test_every_learnable_face_has_a_prior_and_boxes_of_priors_encode_to_nothing() -> None:
    truths = torch.stack([face(0.2, 0.2, 0.55, 0.7), face(0.7, 0.6, 0.83, 0.75)])
    boxes, classes, _ = match(truths[:, :4], truths[:, 14], truths[:, 4:14], ANCHORS, threshold=0.99)
    assert int((classes == 1).sum()) == 2  # only the forced ones
    assert torch.isfinite(boxes).all()
    assert encode_boxes(corners(ANCHORS), ANCHORS).abs().max() < 1e-4
    assert encode_landmarks(ANCHORS[:, :2].repeat(1, 5), ANCHORS).abs().max() == 0
