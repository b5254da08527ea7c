"""StyleGAN2: faces out of noise, and the prior that GFPGAN stands on.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, arXiv:1912.04958: the non-saturating logistic game
with R1 and path length regularisation, both lazy (section 3.1 and 3.2). The order is that of the training which made GFPGAN's
published prior: the discriminator's step, then the generator's, each one update for its loss and its penalty together.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from facewright.data import Batch
from facewright.errors import UsageError
from facewright.losses import discriminator_logistic, generator_nonsaturating, path_length_penalty, path_lengths, r1_penalty
from facewright.nets.blocks.modulated import Flavour
from facewright.nets.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from facewright.train.channels import by_resolution
from facewright.train.diffaugment import diff_augment
from facewright.train.ema import Ema
from facewright.train.engine import Engine
from facewright.train.recipes.stylegan2.data import learned_faces, pictures, unseen_faces
from facewright.train.recipes.stylegan2.draws import DrawnBatch, Draws, Styles, draw, measured_pictures, measures_path, share
from facewright.train.recipes.stylegan2.export import export
from facewright.train.recipes.stylegan2.settings import StyleGAN2Settings
from facewright.train.recipes.stylegan2.validation import Validation
from facewright.train.schedules import rate_at, set_rate

UNWEIGHED = {"real_score": 0.0, "fake_score": 0.0, "path_length": 0.0}
"""Told in the log, not learned from."""


class StyleGAN2Recipe:
    """generator: styles -> picture; discriminator: picture -> score; paths: the running mean of the path lengths."""

    def __init__(self, settings: StyleGAN2Settings, batch: int, seed: int) -> None:
        self.settings, self.batch_size, self.seed = settings, batch, seed
        s = settings
        generator = StyleGAN2Generator(s.size, s.style, s.mlp, flavour=cast(Flavour, s.flavour), channels=by_resolution(s.channels))
        discriminator = StyleGAN2Discriminator(s.size, channels=by_resolution(s.discriminator_channels))
        self.networks: dict[str, nn.Module] = {"generator": generator, "discriminator": discriminator, "paths": PathLengths()}
        # a lazy penalty is one of n + 1 losses in n steps: the moments of Adam are to reach equally far back
        lazy = {"generator": s.path_every / (s.path_every + 1), "discriminator": s.r1_every / (s.r1_every + 1)}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(self.networks[name].parameters(), s.rate, betas=(0.0, 0.99**part)) for name, part in lazy.items()
        }
        self.ema = {"generator": Ema(generator, s.ema_half_life, batch, rises=s.ema_rises)}

    def bind(self, engine: Engine) -> None:
        self.engine = engine
        parts, measured = engine.world * engine.run_settings.accumulate, measured_pictures(self.settings, self.batch_size)
        if self.settings.path_weight > 0 and measured % parts:
            raise UsageError(
                f"{parts} parts cannot share the pictures whose path length is measured",
                f"they are {measured} of a batch of {self.batch_size}",
                "change run.batch, run.accumulate or recipe.path_shrink",
            )

    def batches(self, start: int) -> Iterator[Batch]:
        s, rank, world = self.settings, self.engine.rank, self.engine.world
        learned = learned_faces(s)
        self.validation = Validation(s, learned, unseen_faces(s), self.engine)
        with closing(cast(Generator[Batch, None, None], pictures(s, learned, self.batch_size, self.seed, (rank, world))(start))) as stream:
            for step, batch in zip(count(start), stream, strict=False):
                draws = share(draw(s, self.batch_size, self.seed, step), rank, world)
                yield DrawnBatch(batch.clean, batch.clean, draws=draws)

    def step(self, batch: Batch) -> None:
        """One iteration: reals and draws are those of the batch."""
        assert isinstance(batch, DrawnBatch) and batch.draws is not None
        for name, rate in (("generator", self.settings.rate), ("discriminator", self.settings.rate_discriminator)):
            set_rate(self.optimizers[name], rate * rate_at(self.engine.step, milestones=self.settings.milestones))
        self._step_discriminator(batch.clean, batch.draws)
        self._step_generator(batch.draws)

    def _step_discriminator(self, real: Tensor, draws: Draws) -> None:
        s, engine, discriminator = self.settings, self.engine, self.networks["discriminator"].requires_grad_(True)
        with engine.autocast():
            with torch.no_grad():
                fake = self._generate(draws.discriminator)
            real_score = discriminator(diff_augment(real, draws.real_changes)).float()
            fake_score = discriminator(diff_augment(fake, draws.fake_changes)).float()
        losses = {"logistic": discriminator_logistic(real_score, fake_score)}
        losses |= {"real_score": real_score.detach().mean(), "fake_score": fake_score.detach().mean()}
        if s.r1_weight > 0 and (engine.step + 1) % s.r1_every == 0:
            real = real.detach().requires_grad_(True)
            losses["r1"] = r1_penalty(discriminator(diff_augment(real, draws.real_changes)), real)  # in fp32: a gradient of a gradient
        engine.update("discriminator", losses, {"logistic": 1.0, "r1": s.r1_weight / 2 * s.r1_every} | UNWEIGHED)

    def _step_generator(self, draws: Draws) -> None:
        s, engine, discriminator = self.settings, self.engine, self.networks["discriminator"].requires_grad_(False)
        with engine.autocast():
            score = discriminator(diff_augment(self._generate(draws.generator), draws.generator_changes)).float()
        losses = {"adversarial": generator_nonsaturating(score)}
        if not measures_path(s, engine.step):
            engine.update("generator", losses, {"adversarial": 1.0})
            return

        assert draws.path is not None and draws.path_noise is not None
        paths = cast(PathLengths, self.networks["paths"])
        network, styles = self.networks["generator"], draws.path  # in fp32: a gradient of a gradient
        picture, latents = network(styles.z, inject_index=styles.inject_index, return_latents=True)
        lengths = path_lengths(picture, latents, draws.path_noise)
        penalty, mean = path_length_penalty(lengths, paths.mean)
        change = mean - paths.mean
        losses |= {"path": penalty.mean(), "path_length": lengths.detach().mean()}
        engine.update("generator", losses, {"adversarial": 1.0, "path": s.path_weight * s.path_every} | UNWEIGHED)
        # only now: all parts of the batch have measured against the same mean
        paths.follow(engine.processes.mean(change) / engine.run_settings.accumulate)

    def _generate(self, styles: Styles) -> Tensor:
        picture, _ = self.networks["generator"](styles.z, inject_index=styles.inject_index)
        return cast(Tensor, picture).float()

    def validate(self) -> dict[str, float]:
        return self.validation.numbers(self._averaged(), self.networks["discriminator"])

    def sample(self, folder: Path) -> None:
        self.validation.sheet(self._averaged(), folder / f"{self.engine.step:08d}.jpg")

    def export(self, path: Path) -> None:
        """The averaged generator as fp16 safetensors, as `load_model` reads it."""
        export(self._averaged(), path, self.engine.step)

    def _averaged(self) -> StyleGAN2Generator:
        return cast(StyleGAN2Generator, self.ema["generator"].network)


class PathLengths(nn.Module):
    """Holds the running mean of the path lengths, so that it is kept with the networks; 0 at first, as published."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def follow(self, change: Tensor) -> None:
        """A change that is no number is left out, as the update is that it came with."""
        self.mean.add_(torch.where(change.isfinite(), change, 0))
