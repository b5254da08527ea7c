"""The third stage: let the damaged face back in, as much as w says.

Zhou, Chan, Li, Loy 2022, arXiv:2206.11253, section 3.3. Slightly damaged faces learn to be painted with what the encoder saw, under L1,
perceptual and adversarial loss; later most faces are heavily damaged ones, of which only the codes are learned, so that w = 0 stays strong.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from torch import Tensor, nn

from facewright.data import Batch, FaceSet, worked_ahead
from facewright.losses import grid_l1, l1
from facewright.nets.codeformer import CodeFormer, Fusion
from facewright.nets.vqgan import VQGAN
from facewright.train.crops import crops
from facewright.train.engine import Engine
from facewright.train.pairs import training_pairs
from facewright.train.recipes.codeformer.game import UNWEIGHED as GAME_UNWEIGHED
from facewright.train.recipes.codeformer.game import generator_losses, step_discriminator
from facewright.train.recipes.codeformer.guidance import Guidance, load_guidance
from facewright.train.recipes.codeformer.networks import new_discriminator
from facewright.train.recipes.codeformer.rates import set_rates
from facewright.train.recipes.codeformer.settings import CodeFormerSettings
from facewright.train.recipes.codeformer.transformer import UNWEIGHED as CODES_UNWEIGHED
from facewright.train.recipes.codeformer.transformer import Pairs, TransformerRecipe

UNWEIGHED = CODES_UNWEIGHED | GAME_UNWEIGHED


class FuseRecipe(TransformerRecipe):
    """generator: damaged -> restored, by w; discriminator: picture -> map of scores."""

    shown_w = 1.0

    def __init__(
        self,
        settings: CodeFormerSettings,
        batch: int,
        seed: int,
        *,
        net: CodeFormer | None = None,
        vqgan: VQGAN | None = None,
        discriminator: nn.Module | None = None,
        guidance: Guidance | None = None,
        pairs: Pairs | None = None,
    ) -> None:
        super().__init__(settings, batch, seed, net=net, vqgan=vqgan, pairs=pairs)
        self.guidance = guidance
        self.networks["discriminator"] = discriminator or new_discriminator(settings)
        self.optimizers["discriminator"] = self._adam(list(self.networks["discriminator"].parameters()), settings.rate_discriminator)

    def _learns(self) -> list[nn.Parameter]:
        return [p for p in self.net.parameters() if p.requires_grad]

    def bind(self, engine: Engine) -> None:
        super().bind(engine)
        if self.guidance is None:
            self.guidance = load_guidance(self.settings, engine.device)

    def _open(self, share: tuple[int, int], faces: FaceSet) -> Pairs:
        """Slightly or heavily damaged pairs, as the step wants them."""
        streams = {
            name: training_pairs(self.settings, self.batch_size, self.seed, share, damage=damage, faces=faces)
            for name, damage in (("small", self.settings.damage), ("large", self.settings.damage_large))
        }

        def at(step: int) -> Batch:
            return streams["large" if learns_codes_only(self.settings, step) else "small"].at(step)

        return partial(worked_ahead, at)

    def step(self, batch: Batch) -> None:
        """One iteration in the published order: the generator and its average, then the discriminator."""
        s, engine = self.settings, self.engine
        set_rates(self.optimizers, s, engine.step)
        discriminator = self.networks["discriminator"].requires_grad_(False)
        with engine.autocast():
            prediction = self.net.predict(batch.damaged)
        losses = self._code_losses(prediction, self._true_codes(batch))
        if learns_codes_only(s, engine.step):
            engine.update("generator", losses, s.weights | UNWEIGHED)
            return

        with engine.autocast():
            picture = self.net.decode(prediction, fusing_w(s, engine.step), adain=s.adain).float()
        pictorial = {"pixel": l1(picture, batch.clean)}
        if s.weights["grid"] > 0:
            pictorial["grid"] = grid_l1(picture, batch.clean, self.net.fold)
        if engine.step % s.guidance_every == 0:
            assert self.guidance is not None
            with engine.autocast():
                pictorial |= self.guidance(picture, batch.clean)
        plays = engine.step >= s.adversarial_from and s.weights["adversarial"] > 0
        if plays:
            real, fake = crops(s.crop, batch.clean, picture)
            losses |= generator_losses(engine, discriminator, fake, pictorial, s.weights, self.last_layer, s.largest_adaptive)
        engine.update("generator", losses | pictorial, s.weights | UNWEIGHED)
        if plays:
            step_discriminator(engine, discriminator, real, fake.detach())

    @property
    def last_layer(self) -> Tensor:
        """The weight on which the adversarial loss is to pull as hard as the reconstruction: the last of what learns to paint."""
        fusion = cast(Fusion, self.net.fuse_convs_dict[str(self.net.connect_list[-1])])
        return cast(nn.Conv2d, fusion.shift[-1]).weight


def learns_codes_only(settings: CodeFormerSettings, step: int) -> bool:
    """Whether the step's faces are heavily damaged, and paint no picture.

    The published schedule, in iterations from 1 (step + 1). At its iteration 120,000 it asks for w = 0 with losses on a picture that has
    no gradient there, and stops; here that iteration is one of codes, as its neighbours.
    """
    iteration = step + 1
    if iteration <= settings.large_from:
        return False
    return iteration <= settings.large_mixed_from or iteration % settings.small_every != 0


def fusing_w(settings: CodeFormerSettings, step: int) -> float:
    return settings.w[step + 1 > settings.second_w_from]
