"""Pairs of damaged and clean faces, made ahead of the network by threads, each batch a function of the seed and the step alone.

That is what makes resuming exact: batch n is the same whether the run came to it or started there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewright.data.augment import Augmentation, is_mirrored
from facewright.data.components import EYE_ENLARGE_RATIO, Parts, boxes, moved
from facewright.data.faces import Faces
from facewright.data.picture import Pixels
from facewright.degrade import Degradation
from facewright.errors import InputError, UsageError


@dataclass
class Batch:
    """damaged, clean: N x 3 x S x S RGB in [-1, 1].

    boxes: N x 3 x 4, x1 y1 x2 y2 of left eye, right eye (as seen) and mouth in pixels of `clean`; None where nobody asked.
    faces, mirrored: N whole numbers and N truths, which face of its set each is and whether left is right; None where there is no set.
    These two stay where they were made, for looking things up.
    """

    damaged: Tensor
    clean: Tensor
    boxes: Tensor | None = None
    faces: Tensor | None = None
    mirrored: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        boxes = None if self.boxes is None else self.boxes.to(device, non_blocking=True)
        damaged, clean = self.damaged.to(device, non_blocking=True), self.clean.to(device, non_blocking=True)
        return Batch(damaged, clean, boxes, self.faces, self.mirrored)


class PairStream:
    """Endless batches from `start`; `mixture` holds (weight, degradation or None for an undamaged picture).

    batch: faces of the joint batch. share: (rank, world); this process makes the places rank, rank + world, ... of it, the same pictures
    as one process would. components: len(faces) x 3 x 3, the parts of each face at faces.size (see `components`); then batches have boxes,
    the eyes' enlarged by eye_enlarge_ratio. Raises UsageError where the processes cannot share the batch evenly.
    """

    def __init__(
        self,
        faces: Faces,
        mixture: list[tuple[float, Degradation | None]],
        augmentation: Augmentation,
        *,
        size: int,
        batch: int,
        seed: int,
        probabilities: NDArray[np.float64] | None = None,
        share: tuple[int, int] = (0, 1),
        components: Parts | None = None,
        eye_enlarge_ratio: float = EYE_ENLARGE_RATIO,
        threads: int = 2,
        ahead: int = 4,
    ) -> None:
        self.faces, self.augmentation = faces, augmentation
        self.size, self.batch, self.seed, self.threads, self.ahead = size, batch, seed, threads, ahead
        self.probabilities, self.components, self.eye_enlarge_ratio = probabilities, components, eye_enlarge_ratio
        rank, world = share
        if not 0 <= rank < world or batch % world:
            raise UsageError(
                f"a batch of {batch} cannot be shared by {world} processes", what_to_do="give a batch that is a multiple of them"
            )
        if components is not None and components.shape != (len(faces), 3, 3):
            raise ValueError(f"components must be {len(faces)} x 3 x 3, not {components.shape}")
        self.places = range(rank, batch, world)
        self.degradations = [None if degradation is None else degradation.scaled(size) for _, degradation in mixture]
        weights = np.array([weight for weight, _ in mixture], float)
        self.mixture = weights / weights.sum()

    def at(self, step: int) -> Batch:
        """The batch of that step."""
        pairs = [self._pair(np.random.default_rng([self.seed, step, place])) for place in self.places]
        damaged, clean, parts, indices, mirrored = zip(*pairs, strict=True)
        found = None if self.components is None else boxes(np.stack(parts), self.eye_enlarge_ratio).astype(np.float32)
        return Batch(
            pictures_tensor(np.stack(damaged)),
            pictures_tensor(np.stack(clean)),
            None if found is None else torch.from_numpy(found),
            torch.tensor(indices),
            torch.tensor(mirrored),
        )

    def __call__(self, start: int) -> Iterator[Batch]:
        return worked_ahead(self.at, start, threads=self.threads, ahead=self.ahead)

    def _pair(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32], Parts, int, bool]:
        """Damaged, clean, the parts' places, which face it is, and whether it is mirrored."""
        index = int(rng.choice(len(self.faces), p=self.probabilities))
        index, pixels = self._good(index)
        clean, matrix = self.augmentation(pixels, self.size, rng)
        parts = np.empty(0) if self.components is None else moved(self.components[index], matrix)
        degradation = self.degradations[int(rng.choice(len(self.mixture), p=self.mixture))]
        damaged, clean = (clean, clean) if degradation is None else degradation(clean, rng)
        return damaged, clean, parts, index, is_mirrored(matrix)

    def _good(self, index: int) -> tuple[int, Pixels]:
        """The face of that index; the next good one where it turns out broken, so that batches stay functions of seed and step."""
        for other in range(index, index + len(self.faces)):
            try:
                return other % len(self.faces), self.faces.pixels(other % len(self.faces))
            except InputError as error:
                problem = error
        raise problem


def worked_ahead(at: Callable[[int], Batch], start: int, *, threads: int = 2, ahead: int = 4) -> Iterator[Batch]:
    """at(start), at(start + 1), ..., made by `threads` threads up to `ahead` steps before they are asked for. Close it to end them."""
    cv2.setNumThreads(1)  # the pool is the parallelism
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Batch]] = deque(pool.submit(at, step) for step in range(start, start + ahead))
        for step in count(start + ahead):
            batch = waiting.popleft().result()
            waiting.append(pool.submit(at, step))
            yield batch


def pictures_tensor(images: NDArray[np.float32]) -> Tensor:
    """N x S x S x 3 in [0, 1] to N x 3 x S x S in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).mul(2).sub(1).contiguous(memory_format=torch.channels_last)
