"""The cascade of P-, R- and O-Net: from a picture to boxes, scores and five points.

Zhang et al. 2016, arXiv:1604.02878, with the arithmetic of facenet-pytorch's `detect_face` (its boxes count pixels from one, its areas
sometimes include the last pixel and sometimes not): with its thresholds the numbers are its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from facewright.faces.boxes import Floats, generate_boxes, place, pyramid, regress, square, suppress
from facewright.faces.summed import Pixels, Summed
from facewright.nets.mtcnn import ONet, PNet, RNet


@dataclass(frozen=True)
class Candidates:
    """What a stage hands on: boxes N x 4 (x1, y1, x2, y2, counted from one), scores N, points N x 5 x 2 (empty before O-Net)."""

    boxes: Floats
    scores: Floats
    points: Floats = field(default_factory=lambda: np.zeros((0, 5, 2), np.float32))

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True)
class Cascade:
    """The three networks and how sure each has to be; defaults are the published ones.

    published: levels of the pyramid by adaptive average pooling as published, else by OpenCV's area, which is faster.
    """

    pnet: PNet
    rnet: RNet
    onet: ONet
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    factor: float = 0.709
    published: bool = True
    batch: int = 512

    def find(self, image: Pixels, min_face: float = 20) -> Candidates:
        """Faces of a picture, in the order of falling score.

        image: H x W x 3 RGB, levels 0..255 (any dtype). min_face: smallest side of a face, in pixels; a smaller picture has none.
        """
        table = Summed(image, published=self.published)
        proposals = self.propose(table, min_face)
        refined = self.refine(proposals, table)
        return self.judge(refined, table)

    @torch.inference_mode()
    def propose(self, table: Summed, min_face: float) -> Candidates:
        """P-Net over the pyramid: square boxes."""
        found = []
        for scale, size in pyramid(table.height, table.width, min_face, self.factor):
            offsets, prob = self.pnet(self._tensor(table.whole(size)[None]))
            boxes, scores, offsets = generate_boxes(
                prob[0, 1].float().cpu().numpy(), offsets[0].float().cpu().numpy(), scale, self.thresholds[0]
            )
            keep = suppress(boxes, scores, 0.5)
            found.append((boxes[keep], scores[keep], offsets[keep]))
        if not found:
            return Candidates(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
        boxes, scores, offsets = (np.concatenate(parts) for parts in zip(*found, strict=True))
        keep = suppress(boxes, scores, 0.7)
        return Candidates(square(regress(boxes[keep], offsets[keep], last_pixel=0)), scores[keep])

    def refine(self, proposals: Candidates, table: Summed) -> Candidates:
        """R-Net on 24 x 24 windows: fewer, better square boxes."""
        boxes, (offsets, prob) = self._answers(self.rnet, proposals.boxes, table)
        scores = prob[:, 1]
        sure = scores > self.thresholds[1]
        boxes, scores, offsets = boxes[sure], scores[sure], offsets[sure]
        keep = suppress(boxes, scores, 0.7)
        return Candidates(square(regress(boxes[keep], offsets[keep])), scores[keep])

    def judge(self, refined: Candidates, table: Summed) -> Candidates:
        """O-Net on 48 x 48 windows: the final boxes (no longer square) and points."""
        boxes, (offsets, points, prob) = self._answers(self.onet, refined.boxes, table)
        scores = prob[:, 1]
        sure = scores > self.thresholds[2]
        boxes, scores, offsets = boxes[sure], scores[sure], offsets[sure]
        placed = place(points[sure], boxes)
        boxes = regress(boxes, offsets)
        keep = suppress(boxes, scores, 0.7, measure="min", last_pixel=1)
        return Candidates(boxes[keep], scores[keep], placed[keep])

    @torch.inference_mode()
    def look(self, windows: Pixels) -> tuple[Floats, Floats]:
        """O-Net alone. windows: N x 48 x 48 x 3, levels 0..255. Returns points N x 5 x 2 as fractions of the window, and scores N."""
        _, points, prob = (answer.float().cpu().numpy() for answer in self.onet(self._tensor(windows)))
        return points.reshape(-1, 2, 5).transpose(0, 2, 1), prob[:, 1]

    @torch.inference_mode()
    def _answers(self, net: RNet | ONet, boxes: Floats, table: Summed) -> tuple[Floats, list[Floats]]:
        boxes = boxes[table.holds(boxes)]
        parts = []
        for start in range(0, len(boxes), self.batch):
            answers = net(self._tensor(table.cut(boxes[start : start + self.batch], net.window)))
            parts.append([answer.float().cpu().numpy() for answer in answers])
        if not parts:
            sizes = (4, 10, 2) if isinstance(net, ONet) else (4, 2)
            return boxes, [np.zeros((0, size), np.float32) for size in sizes]
        return boxes, [np.concatenate(part) for part in zip(*parts, strict=True)]

    def _tensor(self, levels: Pixels) -> Tensor:
        """N x h x w x 3 levels 0..255 to the networks' N x 3 x h x w."""
        weight = self.pnet.conv1.weight
        x = torch.from_numpy(np.ascontiguousarray(levels, np.float32)).to(weight.device, weight.dtype)
        return ((x - 127.5) * 0.0078125).permute(0, 3, 1, 2)  # channels last in memory: twice as fast on a processor
