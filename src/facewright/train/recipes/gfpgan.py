"""GFPGAN: restoration under adversarial, pyramid, perceptual and identity guidance.

Wang, Li, Zhang, Shan, "Towards Real-World Blind Face Restoration with Generative Facial Prior", CVPR 2021, arXiv:2101.04061.
The generator's losses are those of section 3.4: reconstruction (pixel, perceptual), adversarial, identity, pyramid. The identity
and perceptual terms come from the layers of a face embedding that may be shipped, where the paper uses ArcFace and VGG-19.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from facewright.data import AlignedFaces, Batch, FaceRow, PairStream, read_manifest
from facewright.data.augment import Augmentation
from facewright.degrade import Degradation, preset
from facewright.errors import UsageError
from facewright.losses import EmbeddingLoss, discriminator_logistic, generator_nonsaturating, grid_l1, pyramid_l1, r1_penalty
from facewright.metrics import psnr, sharpness
from facewright.nets.blocks.layout import channels_last
from facewright.nets.blocks.modulated import Flavour
from facewright.nets.gfpgan import GFPGAN
from facewright.nets.identity import DlibEmbedding
from facewright.nets.stylegan2 import StyleGAN2Discriminator
from facewright.train.ema import Ema
from facewright.train.engine import Engine
from facewright.weights import load_model

LOSSES = ("pixel", "grid", "pyramid", "perceptual", "identity", "adversarial")


@dataclass(frozen=True)
class GfpganSettings:
    """Networks, losses and data of the recipe; lists of channels go from 4 pixels to `size` / `fold`, or to `crop`.

    Raises UsageError for what cannot be built.
    """

    data: str = "../shared/data/faces"
    size: int = 256
    # generator
    flavour: str = "clean"
    channels: tuple[int, ...] = (128, 128, 128, 128, 96, 48, 24)
    style: int = 128
    input_skip: bool = True
    fold: int = 1
    # discriminator: the published one, narrow, on random crops of `crop` pixels
    discriminator_channels: tuple[int, ...] = (128, 128, 128, 96, 64, 32)
    crop: int = 128
    r1_weight: float = 10.0
    r1_every: int = 16
    discriminator_every: int = 1
    adversarial_from: int = 1000
    # optimisers
    rate: float = 5e-4
    rate_discriminator: float = 5e-4
    multiplicative_rate: float = 0.1  # of `rate`, for what multiplies features
    warm_up: int = 100
    ema_half_life: float = 10_000.0
    # losses of the generator by name
    weights: dict[str, float] = field(
        default_factory=lambda: {"pixel": 1.0, "grid": 4.0, "pyramid": 0.3, "perceptual": 0.3, "identity": 1.0, "adversarial": 0.05}
    )
    pyramid_until: int = 50_000
    guidance_every: int = 1
    taps: tuple[int, ...] = (2, 6, 9)
    whole_taps: tuple[int, ...] = (0, 2)
    # data
    damage: dict[str, float] = field(default_factory=lambda: {"light": 0.25, "medium": 0.4, "heavy": 0.25, "none": 0.1})
    stored: int = 320
    least_width: int = 256
    least_sharpness: float = 0.0
    shares: dict[str, float] = field(default_factory=lambda: {"us": 0.34})
    # validation
    validation_faces: int = 32

    def __post_init__(self) -> None:
        if self.flavour not in get_args(Flavour):
            raise UsageError(f"recipe.flavour cannot be {self.flavour!r}", what_to_do=f"use one of: {', '.join(get_args(Flavour))}")
        _check_channels("recipe.channels", self.channels, self.size // self.fold)
        _check_channels("recipe.discriminator_channels", self.discriminator_channels, self.crop)
        if self.crop > self.size:
            raise UsageError(f"recipe.crop cannot be {self.crop}", f"a crop is cut from pictures of {self.size} pixels")
        for name in self.weights:
            if name not in LOSSES:
                near = get_close_matches(name, LOSSES, 1) or LOSSES
                raise UsageError(f"there is no loss {name!r} to weigh", what_to_do=f"use: {', '.join(near)}")
        if missing := [name for name in LOSSES if name not in self.weights]:
            raise UsageError(f"the loss {missing[0]} has no weight", what_to_do=f"give recipe.weights.{missing[0]}, 0 to leave it out")
        for name in self.damage:
            if name != "none":
                preset(name)
        if sum(self.shares.values()) >= 1 or min(self.shares.values(), default=0) < 0:
            raise UsageError("recipe.shares leaves nothing for the other sources", "shares are parts of 1, and their sum is less than 1")


class GfpganRecipe:
    """generator: damaged -> (restored, pyramid); discriminator: crop -> score."""

    def __init__(self, settings: GfpganSettings, batch: int, seed: int) -> None:
        self.settings, self.batch_size, self.seed = settings, batch, seed
        generator = GFPGAN(
            flavour=cast(Flavour, settings.flavour),
            out_size=settings.size,
            num_style_feat=settings.style,
            channels=_by_resolution(settings.channels),
            sft_half=True,
            different_w=True,
            input_is_latent=True,
            fix_decoder=False,
            input_skip=settings.input_skip,
            fold=settings.fold,
        )
        if settings.flavour == "clean" and settings.input_skip:
            _start_well(generator)
        discriminator = StyleGAN2Discriminator(settings.crop, channels=_by_resolution(settings.discriminator_channels))
        self.networks: dict[str, nn.Module] = {"generator": generator, "discriminator": discriminator}
        # beta2 of the discriminator as in the published lazy regularisation
        lazy = settings.r1_every / (settings.r1_every + 1)
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "generator": torch.optim.Adam(_groups(generator, settings.multiplicative_rate), settings.rate, betas=(0.9, 0.99)),
            "discriminator": torch.optim.Adam(discriminator.parameters(), settings.rate_discriminator, betas=(0.0, 0.99**lazy)),
        }
        self.ema = {"generator": Ema(generator, settings.ema_half_life, batch)}

    def bind(self, engine: Engine) -> None:
        self.engine = engine
        embedding = channels_last(load_model("identity-dlib", device=str(engine.device)).net)
        assert isinstance(embedding, DlibEmbedding)
        self.guidance = EmbeddingLoss(embedding, self.settings.taps, self.settings.whole_taps)
        folder = Path(self.settings.data)
        train = AlignedFaces(read_manifest(folder, self._trains_on), self.settings.stored)
        mixture = [(weight, None if name == "none" else preset(name)) for name, weight in self.settings.damage.items()]
        self.stream = PairStream(
            train,
            mixture,
            Augmentation(),
            size=self.settings.size,
            batch=self.batch_size,
            seed=self.seed,
            probabilities=train.weights(self.settings.shares),
        )
        judged = [row for row in read_manifest(folder, lambda row: row.split == "val" and row.stored_width >= 256)]
        self.validation = _validation(judged[:: max(1, len(judged) // self.settings.validation_faces)], self.settings.size)

    def batches(self, start: int) -> Iterator[Batch]:
        return self.stream(start)

    def step(self, batch: Batch) -> None:
        s, engine = self.settings, self.engine
        generator, discriminator = self.networks["generator"], self.networks["discriminator"]
        for name, rate in (("generator", s.rate), ("discriminator", s.rate_discriminator)):
            for group in self.optimizers[name].param_groups:
                group["lr"] = rate * group.get("part", 1.0) * min(1.0, (engine.step + 1) / s.warm_up)
        adversarial = engine.step >= s.adversarial_from

        discriminator.requires_grad_(False)
        with engine.autocast():
            restored, pyramid = generator(batch.damaged, return_rgb=engine.step < s.pyramid_until)
        restored = restored.float()
        losses = {"pixel": F.l1_loss(restored, batch.clean)}
        if s.fold > 1:
            losses["grid"] = grid_l1(restored, batch.clean, s.fold)
        if engine.step < s.pyramid_until:
            losses["pyramid"] = pyramid_l1([rgb.float() for rgb in pyramid], batch.clean)
        if engine.step % s.guidance_every == 0:
            with engine.autocast():
                losses |= self.guidance(restored, batch.clean)
        real, fake = self._crops(batch.clean, restored)
        if adversarial:
            with engine.autocast():
                losses["adversarial"] = generator_nonsaturating(discriminator(fake).float())
        engine.update("generator", losses, s.weights)

        if adversarial and engine.step % s.discriminator_every == 0:
            discriminator.requires_grad_(True)
            self._step_discriminator(discriminator, real, fake.detach())

    def _step_discriminator(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> None:
        s, engine = self.settings, self.engine
        with engine.autocast():
            losses = {"logistic": discriminator_logistic(discriminator(real).float(), discriminator(fake).float())}
        if engine.step % (s.r1_every * s.discriminator_every) == 0:
            real = real.detach().requires_grad_(True)
            losses["r1"] = r1_penalty(discriminator(real), real)  # in fp32: a gradient of a gradient
        engine.update("discriminator", losses, {"logistic": 1.0, "r1": s.r1_weight / 2 * s.r1_every})

    def _crops(self, *pictures: Tensor) -> list[Tensor]:
        """The same random square of every picture."""
        room = self.settings.size - self.settings.crop
        if room == 0:
            return list(pictures)
        top, left = torch.randint(0, room + 1, (2,)).tolist()
        return [
            p[..., top : top + self.settings.crop, left : left + self.settings.crop].contiguous(memory_format=torch.channels_last)
            for p in pictures
        ]

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Numbers of the averaged generator on faces never trained on, by strength of damage."""
        numbers: dict[str, float] = {}
        embed = self.guidance.network
        for name, batch in self.validation.items():
            restored = self._restore(batch.damaged)
            clean = batch.clean
            people = [
                torch.cat([embed.features(embed.chip(p.to(self.engine.device)), ())[0] for p in torch.split(x, 8)])
                for x in (batch.damaged, restored, clean)
            ]
            numbers[f"{name}/psnr"] = float(psnr((restored + 1) / 2, (clean + 1) / 2).mean())
            numbers[f"{name}/psnr_damaged"] = float(psnr((batch.damaged + 1) / 2, (clean + 1) / 2).mean())
            numbers[f"{name}/identity"] = float((people[1] - people[2]).norm(dim=1).mean())
            numbers[f"{name}/identity_damaged"] = float((people[0] - people[2]).norm(dim=1).mean())
            numbers[f"{name}/sharpness"] = float((sharpness((restored + 1) / 2) / sharpness((clean + 1) / 2)).log().mean().exp())
        return numbers

    @torch.no_grad()
    def sample(self, folder: Path) -> None:
        """A sheet: one row a face of the validation set, damaged | restored | truth, for medium and heavy damage."""
        columns: list[Tensor] = []
        for name in ("medium", "heavy"):
            batch = Batch(self.validation[name].damaged[:6], self.validation[name].clean[:6])
            columns += [batch.damaged, self._restore(batch.damaged), batch.clean]
        rows = torch.cat([torch.cat(list(column), dim=1) for column in columns], dim=2)
        pixels = ((rows.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
        Image.fromarray(pixels).save(folder / f"{self.engine.step:08d}.jpg", quality=90)

    def export(self, path: Path) -> None:
        """The averaged generator as fp16 safetensors, as `load_model` reads it."""
        state = {
            name: value.detach().to("cpu", torch.float16).contiguous() for name, value in self.ema["generator"].network.state_dict().items()
        }
        save_file(state, path, metadata={"facewright": "gfpgan", "steps": str(self.engine.step), "size": str(self.settings.size)})

    def _restore(self, damaged: Tensor) -> Tensor:
        network = self.ema["generator"].network
        with self.engine.autocast():
            outputs = [
                network(part.to(self.engine.device), return_rgb=False, randomize_noise=False)[0].float().cpu()
                for part in torch.split(damaged, 8)
            ]
        return torch.cat(outputs).clamp(-1, 1)

    def _trains_on(self, row: FaceRow) -> bool:
        s = self.settings
        return (
            row.use == "train-ok"
            and row.split == "train"
            and row.stored_width >= s.least_width
            and float(row.columns.get("sharpness") or 0) >= s.least_sharpness
        )


def _by_resolution(channels: tuple[int, ...]) -> dict[int, int]:
    return dict(zip((4 << i for i in range(len(channels))), channels, strict=True))


def _check_channels(name: str, channels: tuple[int, ...], size: int) -> None:
    if 2 << len(channels) != size or min(channels, default=0) < 1:
        wanted = f"it has {len(channels)} numbers, which go from 4 to {2 << len(channels)} pixels, not to {size}"
        raise UsageError(f"{name} does not fit the size", wanted, "give one number over 0 for each of 4, 8, 16, ... pixels")


def _groups(generator: GFPGAN, part: float) -> list[dict[str, Any]]:
    """Parameters by learning rate: scales multiply from level to level, so at the rate of the others the picture explodes."""
    multiplies = re.compile(r"condition_scale|modulation|final_linear|constant_input")
    slow: list[nn.Parameter] = []
    fast: list[nn.Parameter] = []
    for name, parameter in generator.named_parameters():
        (slow if multiplies.search(name) else fast).append(parameter)
    return [{"params": fast, "part": 1.0}, {"params": slow, "part": part}]


def _start_well(generator: GFPGAN) -> None:
    """First weights that let the picture through: variances kept along the U-Net (He et al. 2015), shifts as strong as the
    decoder's own features. PyTorch's defaults lose a factor of ten on the way, and the decoder then learns without the photo for long.
    The decoder's picture starts faint, so that with a skip from the input training begins with the damaged picture.
    """
    for name, module in generator.named_modules():
        if not isinstance(module, nn.Conv2d) or name.startswith(("stylegan_decoder", "input_skip", "toRGB")):
            continue
        linear = name.endswith(".skip") or name.endswith(".2")
        nn.init.kaiming_normal_(module.weight, a=1.0 if linear else 0.2)
        with torch.no_grad():
            if name.startswith("conv_body") and name.endswith((".conv2", ".skip")):
                module.weight.mul_(0.5**0.5)  # the two are added
            if name.startswith("condition_scale") and linear:
                module.weight.mul_(0.2)
            if module.bias is not None and not (name.startswith("condition_scale") and linear):
                module.bias.zero_()
    with torch.no_grad():
        for name, parameter in generator.stylegan_decoder.named_parameters():
            if "to_rgb" in name and name.endswith("modulated_conv.weight"):
                parameter.mul_(0.05)


def _validation(rows: list[FaceRow], size: int) -> dict[str, Batch]:
    faces = AlignedFaces(rows, size)
    clean = faces.pixels.astype(np.float32) / np.float32(255)
    sets: dict[str, Any] = {}
    for name in ("light", "medium", "heavy"):
        degradation: Degradation = preset(name).scaled(size)
        damaged = np.stack([degradation(picture, np.random.default_rng([7, index]))[0] for index, picture in enumerate(clean)])
        sets[name] = Batch(*(torch.from_numpy(x).permute(0, 3, 1, 2) * 2 - 1 for x in (damaged, clean)))
    sets["none"] = Batch(sets["light"].clean, sets["light"].clean)
    return sets
