"""Softmax over people with an additive angular margin.

Deng, Guo, Xue, Zafeiriou, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, arXiv:1801.07698.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def angular_margin_softmax(embeddings: Tensor, centres: Tensor, people: Tensor, *, scale: float = 64.0, margin: float = 0.5) -> Tensor:
    """Mean of -log(e^(s cos(theta_y + m)) / (e^(s cos(theta_y + m)) + sum over the others of e^(s cos theta_j))) (eq. 3).

    embeddings: N x D; centres: P x D, the columns of W, one a person; theta_j is the angle between the two, of any length. people: N
    numbers below P, whom each shows. scale, margin: s, m (radians). Where theta_y + m passes pi the cosine would rise again: from there
    on it goes straight down, as in the authors' code. Returns a scalar.
    """
    cosines = F.linear(F.normalize(embeddings.float()), F.normalize(centres.float()))
    own = cosines.gather(1, people[:, None])
    sine = (1 - own.square()).clamp(min=1e-12).sqrt()
    narrowed = own * math.cos(margin) - sine * math.sin(margin)
    narrowed = torch.where(own > math.cos(math.pi - margin), narrowed, own - margin * math.sin(margin))
    return F.cross_entropy(scale * cosines.scatter(1, people[:, None], narrowed), people)
