"""MultiBox: the loss of a single-shot detector that also regresses five points, RetinaFace's without its mesh.

Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, arXiv:1512.02325, section 2.2; Deng et al. 2020, equation 1. The numbers are
those of Pytorch_Retinaface. Boxes, points and priors are in parts of the picture's width and height.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

VARIANCES = (0.1, 0.2)
"""Units of the regressed centres and points, and of the logarithms of the regressed sides."""
LEAST_OVERLAP = 0.2
"""A face that no prior covers by so much is too small, or too long, to be learned."""


def multibox_loss(
    predictions: tuple[Tensor, Tensor, Tensor],
    priors: Tensor,
    targets: Sequence[Tensor],
    *,
    threshold: float = 0.35,
    negatives: int = 7,
) -> dict[str, Tensor]:
    """{"boxes", "classes", "landmarks"}: scalars; the published total is 2 boxes + classes + landmarks.

    predictions: what the network returns in training mode: box offsets N x K x 4, logits N x K x 2, landmark offsets N x K x 10. priors:
    K x 4 (centre, sides). targets: for each picture F x 15: box (corners), five points, and 1, or -1 for a face whose points are not known.
    threshold: overlap from which a prior means a face. negatives: the hardest so many per positive count in "classes".
    """
    offsets, logits, landmark_offsets = predictions
    matched = [match(each[:, :4], each[:, 14], each[:, 4:14], priors, threshold) for each in targets]
    wanted, classes, wanted_landmarks = (torch.stack(parts) for parts in zip(*matched, strict=True))

    pointed = classes > 0
    landmarks = F.smooth_l1_loss(landmark_offsets[pointed], wanted_landmarks[pointed], reduction="sum")

    positive = classes != 0
    boxes = F.smooth_l1_loss(offsets[positive], wanted[positive], reduction="sum")

    each = F.cross_entropy(logits.flatten(0, 1), positive.flatten().long(), reduction="none").view_as(positive)
    with torch.no_grad():
        hardness = each.masked_fill(positive, 0)
        rank = hardness.argsort(dim=1, descending=True).argsort(dim=1)
        hard = rank < (negatives * positive.sum(dim=1, keepdim=True)).clamp(max=positive.shape[1] - 1)
    count = positive.sum().clamp(min=1)
    return {
        "boxes": boxes / count,
        "classes": each[positive | hard].sum() / count,
        "landmarks": landmarks / pointed.sum().clamp(min=1),
    }


@torch.no_grad()
def match(truths: Tensor, labels: Tensor, landmarks: Tensor, priors: Tensor, threshold: float = 0.35) -> tuple[Tensor, Tensor, Tensor]:
    """What each of the K priors should answer: box offsets K x 4, class K (0: no face, else the label), landmark offsets K x 10.

    truths: F x 4 corners; labels: F; landmarks: F x 10; priors: K x 4. A prior answers for the face that it overlaps most, by at least
    `threshold`; the best prior of a face answers in any case, unless it overlaps by less than LEAST_OVERLAP.
    """
    overlaps = iou(truths, corners(priors))
    best_overlap, best_prior = overlaps.max(dim=1)
    learned = best_overlap >= LEAST_OVERLAP
    if not learned.any():
        return priors.new_zeros(len(priors), 4), labels.new_zeros(len(priors), dtype=torch.long), priors.new_zeros(len(priors), 10)
    overlap, face = overlaps.max(dim=0)
    overlap[best_prior[learned]] = 2
    # published quirk: the best prior of a face that is too small to be learned is reassigned to it all the same
    for index, prior in enumerate(best_prior.tolist()):
        face[prior] = index
    classes = labels[face].long()
    classes[overlap < threshold] = 0
    return encode_boxes(truths[face], priors), classes, encode_landmarks(landmarks[face], priors)


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of A x 4 and B x 4 corners: A x B."""
    low, high = torch.maximum(a[:, None, :2], b[None, :, :2]), torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=2)
    areas_a, areas_b = ((boxes[:, 2:] - boxes[:, :2]).prod(dim=1) for boxes in (a, b))
    return shared / (areas_a[:, None] + areas_b[None] - shared)


def corners(priors: Tensor) -> Tensor:
    """K x 4 (centre, sides) to K x 4 (x1, y1, x2, y2)."""
    return torch.cat([priors[:, :2] - priors[:, 2:] / 2, priors[:, :2] + priors[:, 2:] / 2], dim=1)


def encode_boxes(boxes: Tensor, priors: Tensor) -> Tensor:
    """K x 4 corners to the offsets of K priors."""
    centres = ((boxes[:, :2] + boxes[:, 2:]) / 2 - priors[:, :2]) / (VARIANCES[0] * priors[:, 2:])
    sides = torch.log((boxes[:, 2:] - boxes[:, :2]) / priors[:, 2:]) / VARIANCES[1]
    return torch.cat([centres, sides], dim=1)


def encode_landmarks(landmarks: Tensor, priors: Tensor) -> Tensor:
    """K x 10 points to the offsets of K priors."""
    return ((landmarks.view(-1, 5, 2) - priors[:, None, :2]) / (VARIANCES[0] * priors[:, None, 2:])).flatten(1)
