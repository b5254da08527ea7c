"""A small face embedding, MobileFaceNet under ArcFace's loss, for judging and nothing else.

Chen et al., "MobileFaceNets", 2018, arXiv:1804.07573; Deng et al., "ArcFace", CVPR 2019, arXiv:1801.07698. Every person is a class. Most
have one photograph only, so a class is what can happen to it: framing, light, tone, and the damage of `degrade`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from facewright.data import Batch
from facewright.losses import angular_margin_softmax
from facewright.nets.mobilefacenet import MobileFaceNet
from facewright.train.ema import Ema
from facewright.train.engine import Engine
from facewright.train.exporting import save_half
from facewright.train.recipes.identity.data import damaged_faces, judged_faces, learned_people
from facewright.train.recipes.identity.settings import IdentitySettings
from facewright.train.recipes.identity.validation import Validation
from facewright.train.schedules import rate_at, set_rate

UNWEIGHED = {"right": 0.0}
"""Told in the log, not learned from."""


class IdentityRecipe:
    """embedding: chip -> 128 numbers, with the people's centres while it is trained."""

    harmless = ("recipe.judged", "recipe.judged_damage")  # settings that do not change the course of a run

    def __init__(self, settings: IdentitySettings, batch: int, seed: int) -> None:
        self.settings, self.batch_size, self.seed = settings, batch, seed
        self.people = learned_people(settings)
        self.validation: Validation | None = None
        learner = Learner(settings, self.people.count)
        self.networks: dict[str, nn.Module] = {"embedding": learner}
        self.optimizers: dict[str, torch.optim.Optimizer] = {"embedding": learner.optimizer(settings)}
        self.ema: dict[str, Ema] = {}

    def bind(self, engine: Engine) -> None:
        self.engine = engine
        judged = judged_faces(self.settings)
        self.validation = None if judged is None else Validation(judged, self.settings.judged_damage)

    def batches(self, start: int) -> Iterator[Batch]:
        share = (self.engine.rank, self.engine.world)
        stream = damaged_faces(self.settings, self.people, self.batch_size, self.seed, share)
        with closing(cast(Generator[Batch, None, None], stream(start))) as faces:
            yield from faces

    def step(self, batch: Batch) -> None:
        """One iteration: whom do the damaged pictures show?"""
        s, engine, learner = self.settings, self.engine, self._learner
        learner.train()
        set_rate(self.optimizers["embedding"], s.rate * rate_at(engine.step, warm_up=s.warm_up, period=s.period))
        assert batch.faces is not None
        people = self.people.shown[batch.faces].to(engine.device)

        with engine.autocast():
            embeddings = learner.network(learner.network.chip(torch.cat([batch.damaged, batch.clean.flip(3)])))
        damaged, clean = embeddings.float().chunk(2)
        margin = s.margin * min(1.0, engine.step / s.margin_rises if s.margin_rises else 1.0)
        losses = {
            "centres": angular_margin_softmax(embeddings, learner.centres, people.repeat(2), scale=s.scale, margin=margin),
            "pairs": pairs_softmax(damaged, clean, people, scale=s.scale, margin=margin),
            "right": learner.right(damaged.detach(), people),
        }
        engine.update("embedding", losses, s.weights | UNWEIGHED)

    def validate(self) -> dict[str, float]:
        return {} if self.validation is None else self.validation.numbers(self._learner.network.eval(), self.engine)

    def sample(self, folder: Path) -> None:
        """There is nothing to look at."""

    def export(self, path: Path) -> None:
        """The embedding without the people's centres, as fp16 safetensors that `load_model` recognises."""
        save_half(self._learner.network.state_dict(), path, "identity.mobilefacenet", {}, steps=self.engine.step)

    @property
    def _learner(self) -> Learner:
        return cast(Learner, self.networks["embedding"])


class Learner(nn.Module):
    """The embedding, and the centre of each person: P x D, the columns of ArcFace's W."""

    def __init__(self, settings: IdentitySettings, people: int) -> None:
        super().__init__()
        self.network = MobileFaceNet(settings.channels, settings.embedding)
        self.centres = nn.Parameter(torch.nn.init.xavier_uniform_(torch.empty(people, settings.embedding)))

    def optimizer(self, settings: IdentitySettings) -> torch.optim.Optimizer:
        weights = [parameter for parameter in self.parameters() if parameter.ndim > 1]
        scales = [parameter for parameter in self.parameters() if parameter.ndim == 1]
        groups = [{"params": weights, "weight_decay": settings.weight_decay}, {"params": scales, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups, settings.rate, betas=settings.betas)

    def right(self, embeddings: Tensor, people: Tensor) -> Tensor:
        """The part whose nearest centre is their own."""
        nearest = (embeddings.float() @ nn.functional.normalize(self.centres.detach()).T).argmax(1)
        return (nearest == people).float().mean()


def pairs_softmax(damaged: Tensor, clean: Tensor, people: Tensor, *, scale: float, margin: float) -> Tensor:
    """ArcFace's loss with each person's own clean picture as centre, among those of the batch: N x D each, people: N. A scalar.

    It asks what the judge will be asked, and needs no centre to have been learned; the clean picture is seen mirrored, since side light
    and background would tell it otherwise. Who is drawn twice has one centre, the first.
    """
    first = (people[:, None] == people).int().argmax(1)
    kept = first == torch.arange(len(people), device=people.device)
    return angular_margin_softmax(damaged, clean[kept], (kept.cumsum(0) - 1)[first], scale=scale, margin=margin)
