"""GFPGAN: restoration under adversarial, pyramid, perceptual, component and identity guidance.

Wang, Li, Zhang, Shan, "Towards Real-World Blind Face Restoration with Generative Facial Prior", CVPR 2021, arXiv:2101.04061.
The generator's losses are those of section 3.4: reconstruction (pixel, perceptual, style), adversarial, facial components, identity;
and the pyramid of section 3.2. Beside this file stand its settings, its networks and its judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from facewright.data import Batch
from facewright.errors import InputError
from facewright.losses import (
    artifact_l1,
    component_style_loss,
    discriminator_logistic,
    generator_nonsaturating,
    grid_l1,
    pyramid_l1,
    r1_penalty,
    relativistic_logistic,
)
from facewright.nets.blocks.layout import channels_last
from facewright.nets.blocks.roi_align import roi_align
from facewright.nets.gfpgan import GFPGAN, clean_of
from facewright.nets.identity import DlibEmbedding
from facewright.train.crops import crops
from facewright.train.ema import Ema
from facewright.train.engine import Engine
from facewright.train.exporting import fingerprint, save_half
from facewright.train.pairs import judged_faces, training_pairs
from facewright.train.recipes.gfpgan.guidance import Guidance, check_guidance, load_guidance
from facewright.train.recipes.gfpgan.networks import Networks, build, parameter_groups
from facewright.train.recipes.gfpgan.settings import PARTS, GfpganSettings
from facewright.train.schedules import rate_at, set_rate
from facewright.train.validation import Validation
from facewright.weights import load_model

Pairs = Callable[[int], Iterator[Batch]]
Crops = dict[str, tuple[Tensor, Tensor]]
"""{part: (of the truth, of the restored picture)}, N x 3 x s x s."""

CROP_SIZES = {"left_eye": 80, "right_eye": 80, "mouth": 120}
"""Pixels of a component's crop where the face has 512. (Published crops are multiplied by size / 512 in value, too: not here.)"""
LEAST_CROP = 16
BETAS_COMPONENT = (0.9, 0.99)


class GfpganRecipe:
    """generator: damaged -> (restored, pyramid); discriminator: crop -> score; left_eye, right_eye, mouth: crop -> score map.

    networks, guidance, pairs: what the settings would have built, loaded and opened, where somebody has it already; without data of its
    own a recipe does not validate.
    """

    harmless = ("recipe.validation_faces",)  # settings that do not change the course of a run

    def __init__(
        self,
        settings: GfpganSettings,
        batch: int,
        seed: int,
        *,
        networks: Networks | None = None,
        guidance: Guidance | None = None,
        pairs: Pairs | None = None,
    ) -> None:
        if guidance is None:
            check_guidance(settings)
        built = networks or build(settings)
        self.settings, self.networks, self.from_clean = built.settings, built.by_name, built.from_clean
        self.batch_size, self.seed = batch, seed
        self.guidance, self.pairs = guidance, pairs
        self.validation: Validation | None = None
        s = self.settings
        self.optimizers = {name: self._optimizer(name) for name in self.networks}
        self.ema = {"generator": Ema(self.networks["generator"], s.ema_half_life, s.ema_pictures or batch, rises=s.ema_rises)}

    def bind(self, engine: Engine) -> None:
        self.engine = engine
        if self.guidance is not None and self.pairs is not None:
            return
        embedding = channels_last(load_model("identity-dlib", device=str(engine.device)).net)
        assert isinstance(embedding, DlibEmbedding)
        if self.guidance is None:
            self.guidance = load_guidance(self.settings, engine.device, embedding)
        if self.pairs is None:
            s = self.settings
            parts = s.landmarks if s.components else None
            self.pairs = training_pairs(s, self.batch_size, self.seed, (engine.rank, engine.world), components=parts)
            judged = judged_faces(s)
            self.validation = None if judged is None else Validation(judged, embedding)

    def batches(self, start: int) -> Iterator[Batch]:
        assert self.pairs is not None
        return self.pairs(start)

    def step(self, batch: Batch) -> None:
        """One iteration in the published order: the generator and its average, the discriminator, those of the components."""
        s, engine, weights = self.settings, self.engine, self._weights()
        self._set_rates()
        self._let_learn("generator")
        plays = engine.step >= s.adversarial_from

        noise = self._noise(len(batch.damaged))
        with engine.autocast():
            restored, pyramid = self.networks["generator"](batch.damaged, return_rgb=weights["pyramid"] > 0, noise=noise)
        restored = restored.float()
        losses = {"pixel": F.l1_loss(restored, batch.clean)}
        if weights["artifact"] > 0:
            losses["artifact"] = artifact_l1(restored, batch.clean)
        if weights["grid"] > 0:
            losses["grid"] = grid_l1(restored, batch.clean, s.fold)
        if weights["pyramid"] > 0:
            losses["pyramid"] = pyramid_l1([rgb.float() for rgb in pyramid], batch.clean)
        if engine.step % s.guidance_every == 0:
            losses |= self._guided(restored, batch.clean)  # perceptual, style, identity
        real, fake = crops(s.crop, batch.clean, restored)
        parts = self._parts(batch, restored) if plays else {}
        if plays:
            losses |= self._judged(real, fake) | self._judged_parts(parts)  # adversarial; left_eye, right_eye, mouth, component_style
        engine.update("generator", losses, weights)

        if plays and engine.step % s.discriminator_every == 0:
            self._let_learn("discriminator", *PARTS)
            self._step_discriminator(real, fake.detach())
            for part, (true, restored_part) in parts.items():
                self._step_component(part, true, restored_part.detach())

    def _weights(self) -> dict[str, float]:
        """Of the generator's losses at this step; each component's adversarial loss has its part's name."""
        s = self.settings
        weights = s.weights | dict.fromkeys(PARTS, s.weights["component"])
        if s.fold == 1:
            weights["grid"] = 0.0
        if self.engine.step >= s.pyramid_until and weights["pyramid"] > 0:
            weights["pyramid"] = s.pyramid_after
        return weights

    def _noise(self, count: int) -> list[Tensor]:
        """Fresh noise for the decoder's layers."""
        generator = self.networks["generator"]
        assert isinstance(generator, GFPGAN)
        return [self.engine.noise((count, *stored.shape[1:])) for stored in generator.stylegan_decoder.noises.buffers()]

    def _guided(self, restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        assert self.guidance is not None
        with self.engine.autocast():
            return dict(self.guidance(restored, clean))

    def _judged(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        if "discriminator" not in self.networks:
            return {}
        discriminator = self.networks["discriminator"]
        with self.engine.autocast():
            score = discriminator(fake).float()
            if not self.settings.relativistic:
                return {"adversarial": generator_nonsaturating(score)}
            with torch.no_grad():
                other = discriminator(real).float()
        return {"adversarial": relativistic_logistic(score, other)}

    def _judged_parts(self, parts: Crops) -> dict[str, Tensor]:
        """Section 3.4, facial component loss (eq. 7): how real each part looks, and how like the truth its style is."""
        losses: dict[str, Tensor] = {}
        styles: list[Tensor] = []
        compared = self.settings.weights["component_style"] > 0
        for part, (real, fake) in parts.items():
            with self.engine.autocast():
                score, maps = self.networks[part](fake, return_feats=compared)
                losses[part] = generator_nonsaturating(score.float())
                if compared:
                    with torch.no_grad():
                        _, wanted = self.networks[part](real, return_feats=True)
                    styles.append(component_style_loss(maps, wanted))
        return losses | ({"component_style": torch.stack(styles).sum()} if styles else {})

    def _step_discriminator(self, real: Tensor, fake: Tensor) -> None:
        if "discriminator" not in self.networks:
            return
        s, engine, discriminator = self.settings, self.engine, self.networks["discriminator"]
        with engine.autocast():
            real_score, fake_score = discriminator(real).float(), discriminator(fake).float()
        logistic = relativistic_logistic if s.relativistic else discriminator_logistic
        losses = {"logistic": logistic(real_score, fake_score)}
        since = engine.step - s.r1_first
        if since >= 0 and since % (s.r1_every * s.discriminator_every) == 0:
            real = real.detach().requires_grad_(True)
            losses["r1"] = r1_penalty(discriminator(real), real)  # in fp32: a gradient of a gradient
        # the scores are only told
        losses |= {"real_score": real_score.detach().mean(), "fake_score": fake_score.detach().mean()}
        weights = {"logistic": 1.0, "r1": s.r1_weight / 2 * s.r1_every, "real_score": 0.0, "fake_score": 0.0}
        engine.update("discriminator", losses, weights)

    def _step_component(self, part: str, real: Tensor, fake: Tensor) -> None:
        network = self.networks[part]
        with self.engine.autocast():
            loss = discriminator_logistic(network(real)[0].float(), network(fake)[0].float())
        self.engine.update(part, {"logistic": loss}, {"logistic": 1.0})

    def _parts(self, batch: Batch, restored: Tensor) -> Crops:
        """Eyes and mouth of the truth and of the restored picture, by the batch's boxes. Raises InputError where it has none."""
        if not self.settings.components:
            return {}
        if batch.boxes is None:
            raise InputError(
                "the component losses cannot be computed",
                "the faces come without the places of eyes and mouth",
                "give faces with landmarks, or set recipe.weights.component=0 and recipe.weights.component_style=0",
            )
        found: Crops = {}
        numbers = torch.arange(len(batch.boxes), device=batch.boxes.device, dtype=batch.boxes.dtype)[:, None]
        for place, part in enumerate(PARTS):
            boxes = torch.cat([numbers, batch.boxes[:, place]], dim=1)
            side = max(LEAST_CROP, CROP_SIZES[part] * self.settings.size // 512)
            found[part] = (roi_align(batch.clean, boxes, side), roi_align(restored, boxes, side))
        return found

    def _let_learn(self, *names: str) -> None:
        """A discriminator that judges the generator does not learn from it; what is frozen in the generator stays frozen."""
        for name, network in self.networks.items():
            if name != "generator":
                network.requires_grad_(name in names)

    def _set_rates(self) -> None:
        s = self.settings
        part = rate_at(self.engine.step, warm_up=s.warm_up, milestones=s.milestones, gamma=s.gamma)
        for name, optimizer in self.optimizers.items():
            set_rate(optimizer, self._rate(name) * part)

    def _rate(self, name: str) -> float:
        s = self.settings
        return {"generator": s.rate, "discriminator": s.rate_discriminator}.get(name, s.rate_component)

    def _optimizer(self, name: str) -> torch.optim.Optimizer:
        s, network = self.settings, self.networks[name]
        if name == "generator":
            beta1, beta2 = s.betas
            return torch.optim.Adam(parameter_groups(network, s.multiplicative_rate), s.rate, betas=(beta1, beta2))
        # beta2 of the discriminator as in the published lazy regularisation, which leaves the rate as it is
        lazy = s.r1_every / (s.r1_every + 1)
        betas = (0.0, 0.99**lazy) if name == "discriminator" else BETAS_COMPONENT
        return torch.optim.Adam(network.parameters(), self._rate(name), betas=betas)

    # looking at it, and handing it on

    def validate(self) -> dict[str, float]:
        """Numbers of the averaged generator on faces never trained on, by strength of damage."""
        return {} if self.validation is None else self.validation.numbers(self._restore)

    def sample(self, folder: Path) -> None:
        """A sheet of faces of the validation set."""
        if self.validation is not None:
            self.validation.sheet(self._restore, folder / f"{self.engine.step:08d}.jpg")

    def export(self, path: Path) -> None:
        """The averaged generator as fp16 safetensors, as `load_model` reads it: in the clean form where it started from that."""
        average = self.ema["generator"].network
        assert isinstance(average, GFPGAN)
        network = clean_of(average) if self.from_clean else average
        said = {"steps": self.engine.step, "size": self.settings.size, "settings": fingerprint(self.settings)}
        start = Path(self.settings.start or self.settings.prior).name
        save_half(network.state_dict(), path, "gfpgan", {"flavour": network.flavour}, start=start, **said)

    @torch.no_grad()
    def _restore(self, damaged: Tensor) -> Tensor:
        network = self.ema["generator"].network
        with self.engine.autocast():
            outputs = [
                network(part.to(self.engine.device), return_rgb=False, randomize_noise=False)[0].float().cpu()
                for part in torch.split(damaged, 8)
            ]
        return torch.cat(outputs).clamp(-1, 1)
