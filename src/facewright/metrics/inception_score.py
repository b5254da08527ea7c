"""Inception Score (Salimans et al. 2016): sure about each picture, unsure about all of them together."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from facewright.errors import InputError


def inception_score(logits: Tensor, *, splits: int = 10, seed: int = 2020) -> tuple[float, float]:
    """`inception_score[torch-fidelity]`: mean and deviation over the splits of exp E KL(p(y|x) || p(y)).

    logits: N x classes, without the bias of the last layer. The pictures are shuffled first. Raises InputError for fewer than the splits.
    """
    if len(logits) < splits:
        raise InputError(f"too few pictures for the Inception Score: {len(logits)}", f"it needs at least {splits}")
    logits = logits.double()[torch.from_numpy(np.random.RandomState(seed).permutation(len(logits)))]
    chances, logs = logits.softmax(1), logits.log_softmax(1)
    scores = []
    for split in range(splits):
        part = slice(split * len(logits) // splits, (split + 1) * len(logits) // splits)
        p, log_p = chances[part], logs[part]
        scores.append(float((p * (log_p - p.mean(0).log())).sum(1).mean().exp()))
    return float(np.mean(scores)), float(np.std(scores))
