"""Codes that are used: ours, for short trainings. Published codebooks start at random and have half a million steps to settle."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facewright.nets.blocks.codebook import NearestCode

ROUNDS = 10


class CodeUse(nn.Module):
    """How often each code was the nearest since the last count, kept with the networks so that a run goes on exactly."""

    count: Tensor

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(codes))

    def add(self, numbers: Tensor) -> None:
        self.count += torch.bincount(numbers.flatten(), minlength=len(self.count)).to(self.count)


@torch.no_grad()
def settle(codebook: NearestCode, features: Tensor) -> None:
    """Set the codes to centres of these features (Lloyd's algorithm from random ones). features: N x C x h x w, with more places than codes
    where that can be had."""
    book, places = codebook.embedding.weight, features.float().transpose(0, 1).flatten(1).T
    chosen = torch.randperm(len(places), device=places.device)
    # fewer places than codes: some codes begin equal and are told apart by what is revived
    book.copy_(places[chosen.repeat(-(-len(book) // len(places)))[: len(book)]])
    for _ in range(ROUNDS):
        nearest = codebook.nearest(features.float()).flatten()
        counts = torch.bincount(nearest, minlength=len(book)).to(book)
        sums = torch.zeros_like(book).index_add_(0, nearest, places.to(book))
        book.copy_(torch.where(counts[:, None] > 0, sums / counts[:, None].clamp(min=1), book))


@torch.no_grad()
def revive(codebook: NearestCode, use: Tensor, features: Tensor) -> None:
    """Set the codes that were never used to features drawn at random. use: K counts; features: N x C x h x w."""
    dead = (use == 0).nonzero().flatten()
    places = features.float().transpose(0, 1).flatten(1).T
    drawn = torch.randint(len(places), (len(dead),), device=places.device)
    codebook.embedding.weight[dead] = places[drawn].to(codebook.embedding.weight)
