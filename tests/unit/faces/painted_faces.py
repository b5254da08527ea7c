"""Faces that a network without weights can find: five discs of pure colours, and a stand-in for RetinaFace that knows them."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from facewright.faces.align import TEMPLATE
from facewright.faces.turns import tilt
from facewright.losses.multibox import corners, encode_boxes, encode_landmarks, iou
from facewright.nets.retinaface import MEANS, RetinaFace, priors

COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]], np.uint8)
_EYES = float(np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]))


def points_at(x: float, y: float, eyes: float) -> np.ndarray:
    """5 x 2 of an upright face with its middle there and its eyes so far apart."""
    return (TEMPLATE - TEMPLATE.mean(axis=0)) * (eyes / _EYES) + [x, y]


def paint(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The photo, uint8 RGB, with a face drawn into it."""
    radius = 0.12 * np.linalg.norm(points[1] - points[0])
    for point, colour in zip(points, COLOURS.tolist(), strict=True):
        centre = tuple(np.rint(point * 16).astype(int).tolist())
        cv2.circle(photo, centre, round(radius * 16), colour, -1, cv2.LINE_AA, 4)
    return photo


class Recognises(RetinaFace):
    """Answers as a perfect RetinaFace would for one painted face that is upright and no larger than `largest`; keeps the sizes it saw."""

    def __init__(self, largest: float = np.inf) -> None:
        nn.Module.__init__(self)
        self.scale = nn.Parameter(torch.ones(()))
        self.largest = largest
        self.seen: list[tuple[int, int]] = []

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        height, width = x.shape[2:]
        self.seen.append((height, width))
        anchors = priors(height, width)
        boxes, probabilities, points = torch.zeros(1, len(anchors), 4), torch.zeros(1, len(anchors), 2), torch.zeros(1, len(anchors), 10)
        found = self._points((x[0].permute(1, 2, 0) + torch.tensor(MEANS)).flip(2).numpy())
        if found is not None:
            middle, side = found.mean(axis=0), 2.4 * np.linalg.norm(found[1] - found[0])
            if side <= self.largest and abs(tilt(found)) < 30:
                across = torch.tensor([width, height])
                box = torch.tensor(np.concatenate([middle - side / 2, middle + side / 2]), dtype=torch.float32).view(2, 2) / across
                best = int(iou(box.view(1, 4), corners(anchors))[0].argmax())
                boxes[0, best] = encode_boxes(box.view(1, 4), anchors[best : best + 1])[0]
                landmarks = torch.tensor(found, dtype=torch.float32) / across
                points[0, best] = encode_landmarks(landmarks.view(1, 10), anchors[best : best + 1])[0]
                probabilities[0, best, 1] = 0.999
        return boxes, probabilities, points

    @staticmethod
    def _points(picture: np.ndarray) -> np.ndarray | None:
        """The middle of each colour's disc, in the weights of how much of it each pixel has."""
        found = []
        for colour in COLOURS:
            weight = np.clip(1 - np.abs(picture - colour).max(axis=2) / 60, 0, 1)
            if weight.sum() < 1:
                return None
            y, x = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
            found.append([(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()])
        return np.array(found)
