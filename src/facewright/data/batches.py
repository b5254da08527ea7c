"""Pairs of damaged and clean faces, made ahead of the network by threads, each batch a function of the seed and the step alone.

That is what makes resuming exact: batch n is the same whether the run came to it or started there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewright.data.aligned import AlignedFaces
from facewright.data.augment import Augmentation
from facewright.degrade import Degradation


@dataclass
class Batch:
    """damaged, clean: N x 3 x S x S RGB in [-1, 1]."""

    damaged: Tensor
    clean: Tensor

    def to(self, device: torch.device | str) -> Batch:
        return Batch(self.damaged.to(device, non_blocking=True), self.clean.to(device, non_blocking=True))


class PairStream:
    """Endless batches from `start`; `mixture` holds (weight, degradation or None for an undamaged picture)."""

    def __init__(
        self,
        faces: AlignedFaces,
        mixture: list[tuple[float, Degradation | None]],
        augmentation: Augmentation,
        *,
        size: int,
        batch: int,
        seed: int,
        probabilities: NDArray[np.float64] | None = None,
        threads: int = 2,
        ahead: int = 4,
    ) -> None:
        self.faces, self.augmentation = faces, augmentation
        self.size, self.batch, self.seed, self.threads, self.ahead = size, batch, seed, threads, ahead
        self.probabilities = probabilities
        self.degradations = [None if degradation is None else degradation.scaled(size) for _, degradation in mixture]
        weights = np.array([weight for weight, _ in mixture], float)
        self.mixture = weights / weights.sum()

    def at(self, step: int) -> Batch:
        """The batch of that step."""
        pairs = [self._pair(np.random.default_rng([self.seed, step, place])) for place in range(self.batch)]
        damaged, clean = (_tensor(np.stack(side)) for side in zip(*pairs, strict=True))
        return Batch(damaged, clean)

    def __call__(self, start: int) -> Iterator[Batch]:
        cv2.setNumThreads(1)  # the pool is the parallelism
        with ThreadPoolExecutor(self.threads) as pool:
            waiting: deque[Future[Batch]] = deque()
            submit: Callable[[int], None] = lambda step: waiting.append(pool.submit(self.at, step))  # noqa: E731
            for step in range(start, start + self.ahead):
                submit(step)
            step = start + self.ahead
            while True:
                batch = waiting.popleft().result()
                submit(step)
                step += 1
                yield batch

    def _pair(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        index = int(rng.choice(len(self.faces), p=self.probabilities))
        clean = self.augmentation(self.faces.pixels[index], self.size, rng)
        degradation = self.degradations[int(rng.choice(len(self.mixture), p=self.mixture))]
        return (clean, clean) if degradation is None else degradation(clean, rng)


def _tensor(images: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).mul(2).sub(1).contiguous(memory_format=torch.channels_last)
