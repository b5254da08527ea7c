"""Is it still the same person? The distance of two aligned crops in dlib's embedding (`identity[dlib]`)."""

from __future__ import annotations

import torch
from torch import Tensor

from facewright.nets.identity import DlibEmbedding
from facewright.weights import load_model

SAME_PERSON = 0.6
"""dlib's own threshold: two photographs of one person lie closer than this (99.38 % on LFW)."""


class Identity:
    """Embeds aligned crops. One instance serves all photos of a run."""

    def __init__(self, network: DlibEmbedding) -> None:
        self.network = network.eval()

    @classmethod
    def load(cls, device: str = "cpu") -> Identity:
        """With the embedding that ships in the package; ModelError where it is missing."""
        network = load_model("identity-dlib", device=device).net
        assert isinstance(network, DlibEmbedding)
        return cls(network)

    @torch.inference_mode()
    def embed(self, crops: Tensor) -> Tensor:
        """crops: N x 3 x S x S RGB in [-1, 1], FFHQ-aligned, any S from 64. Returns N x 128 on the crops' device."""
        embedding: Tensor = self.network(self.network.chip(crops.float()))
        return embedding

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Euclidean distances of crops a and b, N x 3 x S x S each: N values, 0 = the same; under 0.6 the same person."""
        distances: Tensor = (self.embed(a) - self.embed(b)).norm(dim=1)
        return distances
