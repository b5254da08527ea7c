"""A learned codebook: each feature vector becomes its nearest code, or one that is drawn.

van den Oord, Vinyals, Kavukcuoglu, "Neural Discrete Representation Learning", NeurIPS 2017, arXiv:1711.00937.
Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017, arXiv:1611.01144.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
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


class GumbelCode(nn.Module):
    """K codes of C numbers, chosen at random: the more likely, the higher z's score for them.

    inputs: channels of z. straight_through: while training, too, each place gets one code and not a mixture; otherwise it always does.
    kl_weight: of the loss that keeps all codes in use. temperature: of the mixture; the lower, the nearer it is to one code.
    """

    def __init__(
        self, codes: int, inputs: int, channels: int, *, straight_through: bool = False, kl_weight: float = 5e-4, temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.straight_through, self.kl_weight, self.temperature = straight_through, kl_weight, temperature
        self.proj = nn.Conv2d(inputs, codes, 1)
        self.embed = nn.Embedding(codes, channels)

    def forward(self, z: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """z: N x inputs x H x W. noise: of the Gumbel distribution, N x K x H x W; drawn where there is none, also outside of training, as
        published; zeros take the likeliest codes. Returns the codes N x C x H x W, the divergence of the scores from all codes being
        equally likely, weighted, and the codes' numbers, N x H x W."""
        scores: Tensor = self.proj(z)
        noise = -torch.empty_like(scores).exponential_().log() if noise is None else noise
        share = ((scores + noise) / self.temperature).softmax(dim=1)
        numbers = share.argmax(dim=1)
        if self.straight_through or not self.training:
            one = F.one_hot(numbers, share.shape[1]).movedim(-1, 1).to(share)
            share = one + (share - share.detach())
        likely = scores.softmax(dim=1)
        divergence = (likely * (likely * share.shape[1] + 1e-10).log()).sum(dim=1).mean()
        return torch.einsum("nkhw,kc->nchw", share, self.embed.weight), self.kl_weight * divergence, numbers
