"""Identity and perceptual loss from the layers of a face embedding, where ArcFace and VGG cannot be had.

The network is handed in; it is frozen by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class FaceEmbedding(Protocol):
    """What the loss asks of an embedding, see `facewright.nets.identity.DlibEmbedding`."""

    def chip(self, crops: Tensor) -> Tensor: ...
    def features(self, chips: Tensor, taps: Sequence[int]) -> tuple[Tensor, list[Tensor]]: ...
    def early(self, pictures: Tensor, taps: Sequence[int]) -> list[Tensor]: ...


class EmbeddingLoss:
    """Identity: squared distance of embeddings. Perceptual: L1 of the inner maps, over the mean magnitude of each sample's truth.

    network: a frozen `DlibEmbedding`; taps: numbers of the residual blocks whose maps are compared.
    whole_taps: the same on the whole crop at its own size (hair, ears, background), early blocks only.
    shift: both pictures are rolled by up to so many pixels, at random. The embedding subsamples; looked at from a fixed place it
    rewards patterns that a network aligns with its own grid (seen as dots over the eyes).
    """

    def __init__(
        self, network: FaceEmbedding, taps: Sequence[int] = (2, 6, 9), whole_taps: Sequence[int] = (0, 2), *, shift: int = 4
    ) -> None:
        self.network, self.taps, self.whole_taps, self.shift = network, tuple(taps), tuple(whole_taps), shift

    def __call__(self, restored: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """restored, truth: N x 3 x S x S in [-1, 1]. Returns {"identity": .., "perceptual": ..}, scalars."""
        if self.shift:
            # torch's own generator, which the engine seeds and restores
            down, right = torch.randint(-self.shift, self.shift + 1, (2,)).tolist()
            restored, truth = (torch.roll(picture, (down, right), dims=(2, 3)) for picture in (restored, truth))
        with torch.no_grad():
            person, maps = self.network.features(self.network.chip(truth), self.taps)
        person_restored, maps_restored = self.network.features(self.network.chip(restored), self.taps)
        losses = {"identity": (person_restored.float() - person.float()).pow(2).sum(1).mean()}
        perceptual = sum((_relative_l1(a, b) for a, b in zip(maps_restored, maps, strict=True)), truth.new_zeros(()))
        if self.whole_taps:
            with torch.no_grad():
                whole = self.network.early((truth + 1) * 127.5, self.whole_taps)
            whole_restored = self.network.early((restored + 1) * 127.5, self.whole_taps)
            perceptual = sum((_relative_l1(a, b) for a, b in zip(whole_restored, whole, strict=True)), perceptual)
        return losses | {"perceptual": perceptual}


def _relative_l1(restored: Tensor, truth: Tensor) -> Tensor:
    """Mean over the samples of each one's own ratio, so that parts of a batch make the gradient of the whole."""
    truth = truth.float()
    difference, magnitude = ((restored.float() - truth).abs(), truth.abs())
    return (difference.flatten(1).mean(1) / (magnitude.flatten(1).mean(1) + 1e-6)).mean()
