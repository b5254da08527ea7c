"""A learned codebook: each feature vector becomes its nearest code.

van den Oord, Vinyals, Kavukcuoglu, "Neural Discrete Representation Learning", NeurIPS 2017, arXiv:1711.00937.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NearestCode(nn.Module):
    """K codes of C numbers. beta: weight of the codebook's own term; the published programs give the commitment term weight 1, the paper
    has it the other way round."""

    def __init__(self, codes: int, channels: int, beta: float = 0.25) -> None:
        super().__init__()
        self.beta = beta
        self.embedding = nn.Embedding(codes, channels)
        nn.init.uniform_(self.embedding.weight, -1 / codes, 1 / codes)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """z: N x C x H x W. Returns the codes in its place, with z's gradient (straight through); the loss
        mean((z - sg[code])^2) + beta mean((sg[z] - code)^2); and their numbers, N x H x W."""
        numbers = self.nearest(z)
        codes = self.look_up(numbers)
        loss = (codes.detach() - z).square().mean() + self.beta * (codes - z.detach()).square().mean()
        return z + (codes - z).detach(), loss, numbers

    @torch.no_grad()
    def nearest(self, z: Tensor) -> Tensor:
        """z: N x C x H x W. The number of the nearest code at each place, N x H x W; the first of equals."""
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        book = self.embedding.weight
        # |z|^2 is the same for all codes
        distance = torch.addmm(book.square().sum(dim=1), flat, book.T, alpha=-2)
        return distance.argmin(dim=1).view(z.shape[0], *z.shape[2:])

    def look_up(self, numbers: Tensor) -> Tensor:
        """numbers: N x H x W. Their codes, N x C x H x W."""
        codes: Tensor = self.embedding(numbers)
        return codes.permute(0, 3, 1, 2).contiguous()
