"""The first stage: an autoencoder of faces whose middle is a grid of codes.

Esser, Rombach, Ommer 2021, arXiv:2012.09841, as trained for CodeFormer (Zhou, Chan, Li, Loy 2022, arXiv:2206.11253): L1, a perceptual
loss, the codebook's own, and a patch discriminator that comes in later, weighed so that it pulls the last layer as hard as the others do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from facewright.data import Batch
from facewright.losses import grid_l1, l1, perplexity
from facewright.nets.blocks.codebook import GumbelCode, NearestCode
from facewright.nets.identity import DlibEmbedding
from facewright.nets.vqgan import VQGAN
from facewright.train.crops import crops
from facewright.train.ema import Ema
from facewright.train.engine import Engine
from facewright.train.pairs import judged_faces, training_pairs
from facewright.train.recipes.codeformer.codebook import CodeUse, revive, settle
from facewright.train.recipes.codeformer.game import UNWEIGHED as GAME_UNWEIGHED
from facewright.train.recipes.codeformer.game import generator_losses, step_discriminator
from facewright.train.recipes.codeformer.guidance import Guidance, load_guidance
from facewright.train.recipes.codeformer.networks import export, new_discriminator, new_vqgan
from facewright.train.recipes.codeformer.rates import set_rates
from facewright.train.recipes.codeformer.settings import CodeFormerSettings
from facewright.train.validation import Validation
from facewright.weights import load_model

Stream = Callable[[int], Iterator[Batch]]
UNWEIGHED = GAME_UNWEIGHED | {"perplexity": 0.0}
"""Told in the log, not learned from."""
DISCRIMINATOR = "discriminator.safetensors"
"""Beside the stage's own export."""
COOLEST, COOLING = 1 / 16, 160_000
"""Of the Gumbel codes' mixture: its lowest temperature, and the steps from 1 to 0."""


class VqganRecipe:
    """generator: picture -> picture through codes; discriminator: picture -> map of scores; use: counts of the codes.

    networks, guidance, stream: what the settings would have built, loaded and opened, where somebody has it already.
    """

    harmless = ("recipe.validation_faces",)

    def __init__(
        self,
        settings: CodeFormerSettings,
        batch: int,
        seed: int,
        *,
        networks: tuple[VQGAN, nn.Module] | None = None,
        guidance: Guidance | None = None,
        stream: Stream | None = None,
    ) -> None:
        s = self.settings = settings
        self.batch_size, self.seed, self.guidance, self.stream = batch, seed, guidance, stream
        self.net, discriminator = networks or (new_vqgan(s), new_discriminator(s))
        self.networks: dict[str, nn.Module] = {"generator": self.net, "discriminator": discriminator, "use": CodeUse(s.codebook_size)}
        rates = {"generator": s.rate, "discriminator": s.rate_discriminator}
        beta1, beta2 = s.betas
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(self.networks[name].parameters(), rate, betas=(beta1, beta2)) for name, rate in rates.items()
        }
        self.ema = {"generator": Ema.of_decay(self.net, s.ema_decay, rises=s.ema_rises)}
        self.validation: Validation | None = None

    def bind(self, engine: Engine) -> None:
        self.engine = engine
        s = self.settings
        if self.guidance is None:
            self.guidance = load_guidance(s, engine.device)
        if self.stream is None:
            share = (engine.rank, engine.world)
            self.stream = training_pairs(s, self.batch_size, self.seed, share, damage={"none": 1.0})
            judged = judged_faces(s)
            embedding = load_model("identity-dlib", device=str(engine.device)).net
            assert isinstance(embedding, DlibEmbedding)
            self.validation = None if judged is None else Validation(judged, embedding, ("none",))

    def batches(self, start: int) -> Iterator[Batch]:
        assert self.stream is not None
        return self.stream(start)

    def step(self, batch: Batch) -> None:
        """One iteration in the published order: the generator and its average, then the discriminator."""
        s, engine, truth = self.settings, self.engine, batch.clean
        set_rates(self.optimizers, s, engine.step)
        plays = engine.step >= s.adversarial_from and s.weights["adversarial"] > 0
        discriminator = self.networks["discriminator"].requires_grad_(False)

        picture, codebook_loss, numbers = self._code(truth)
        losses = {"pixel": l1(picture, truth)}
        if s.weights["grid"] > 0:
            losses["grid"] = grid_l1(picture, truth, s.fold)
        if engine.step % s.guidance_every == 0:
            assert self.guidance is not None
            with engine.autocast():
                losses |= self.guidance(picture, truth)
        if plays:
            real, fake = crops(s.crop, truth, picture)
            losses |= generator_losses(engine, discriminator, fake, losses, s.weights, self.last_layer, s.largest_adaptive)
        losses |= {"codebook": codebook_loss, "perplexity": perplexity(numbers, s.codebook_size)}
        engine.update("generator", losses, s.weights | UNWEIGHED)

        if plays:
            step_discriminator(engine, discriminator, real, fake.detach())

    @property
    def last_layer(self) -> Tensor:
        """The weight on which the adversarial loss is to pull as hard as the reconstruction."""
        last = self.net.generator.blocks[-1]
        assert isinstance(last, nn.Conv2d)
        return last.weight

    def _code(self, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The picture painted from codes, the codes' loss, their numbers; while the codes wait, painted from the features themselves."""
        s, engine, net = self.settings, self.engine, self.net
        if isinstance(net.quantize, GumbelCode):
            net.quantize.temperature = max(COOLEST, 1 - (engine.step + 1) / COOLING)
        with engine.autocast():
            features = net.encode(truth)
        features = features.float()
        if isinstance(net.quantize, NearestCode):
            self._tend(net.quantize, features.detach())
        if engine.step < s.codes_from:
            codes, loss, numbers = features, features.new_zeros(()), torch.zeros(1, dtype=torch.long, device=features.device)
        else:
            codes, loss, numbers = net.quantize(features)
        with engine.autocast():
            return net.paint(codes).float(), loss, numbers

    def _tend(self, codebook: NearestCode, features: Tensor) -> None:
        """Give the codes their places when they come in, and new ones to those that nothing is near to; by the first part of a batch."""
        s, engine, use = self.settings, self.engine, self.networks["use"]
        assert isinstance(use, CodeUse)
        since = engine.step - s.codes_from
        if since >= 0 and s.revive_every:
            use.add(codebook.nearest(features))
        comes_in, revives = since == 0 and s.codes_from > 0, s.revive_every and since > 0 and since % s.revive_every == 0
        if engine.part > 0 or not (comes_in or revives):
            return
        if comes_in:
            settle(codebook, features)
        else:
            revive(codebook, engine.processes.mean(use.count), features)
        use.count.zero_()
        engine.processes.agree([codebook.embedding.weight])

    # looking at it, and handing it on

    def validate(self) -> dict[str, float]:
        """How near the painted faces are to the true ones, and how many codes they took."""
        return {} if self.validation is None else self.validation.numbers(self._repaint)

    def sample(self, folder: Path) -> None:
        if self.validation is not None:
            self.validation.sheet(self._repaint, folder / f"{self.engine.step:08d}.jpg", ("none",))

    def export(self, path: Path) -> None:
        """The averaged autoencoder."""
        net = self.ema["generator"].network
        assert isinstance(net, VQGAN)
        arguments = {"img_size": net.img_size, "attn_resolutions": self.settings.attn_resolutions}
        export(net, path, "vqgan", self.engine.step, self.settings, arguments)

    def export_beside(self) -> dict[str, Callable[[Path], None]]:
        """The discriminator, with which the last stage goes on."""
        network = self.networks["discriminator"]
        return {DISCRIMINATOR: lambda path: export(network, path, "vqgan.discriminator", self.engine.step, self.settings)}

    @torch.no_grad()
    def _repaint(self, faces: Tensor) -> Tensor:
        net, engine = self.ema["generator"].network, self.engine
        assert isinstance(net, VQGAN)
        outputs = []
        for part in torch.split(faces, 8):
            with engine.autocast():
                features = net.encode(part.to(engine.device)).float()
                codes = features if engine.step < self.settings.codes_from else net.quantize(features)[0]
                outputs.append(net.paint(codes).float().cpu())
        return torch.cat(outputs).clamp(-1, 1)
