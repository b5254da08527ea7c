"""The second stage: predict the codes of the true face from a damaged one.

Zhou, Chan, Li, Loy 2022, arXiv:2206.11253, section 3.2: cross entropy over the codes, and the encoder's features drawn to the true codes;
the codes and the painter are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facewright.data import Batch, FaceSet
from facewright.losses import code_cross_entropy, code_feature_loss
from facewright.nets.blocks.codebook import NearestCode
from facewright.nets.codeformer import CodeFormer, Prediction
from facewright.nets.identity import DlibEmbedding
from facewright.nets.vqgan import VQGAN
from facewright.train.ema import Ema
from facewright.train.engine import Engine
from facewright.train.pairs import AUGMENTATIONS, judged_faces, learned_faces, training_pairs
from facewright.train.recipes.codeformer.codes import CODES, TrueCodes, true_codes
from facewright.train.recipes.codeformer.networks import export, load_vqgan, new_codeformer
from facewright.train.recipes.codeformer.rates import set_rates
from facewright.train.recipes.codeformer.settings import CodeFormerSettings
from facewright.train.validation import STRENGTHS, Validation
from facewright.weights import load_model

Pairs = Callable[[int], Iterator[Batch]]
UNWEIGHED = {"right_codes": 0.0}
"""Told in the log, not learned from."""
JUDGED: dict[str, tuple[str, ...]] = {
    "restoration": (*STRENGTHS, "none"),
    "colorization": ("codeformer-colorization",),
    "inpainting": ("codeformer-inpainting",),
}
"""By what damage each task is judged."""
SHOWN = JUDGED | {"restoration": ("medium", "heavy")}


class TransformerRecipe:
    """generator: damaged -> scores of the codes.

    networks, vqgan, pairs: what the settings would have built, loaded and opened, where somebody has it already.
    """

    harmless = ("recipe.validation_faces",)
    shown_w = 0.0
    """The w of validation and of the sheets: this stage knows none."""

    def __init__(
        self,
        settings: CodeFormerSettings,
        batch: int,
        seed: int,
        *,
        net: CodeFormer | None = None,
        vqgan: VQGAN | None = None,
        pairs: Pairs | None = None,
    ) -> None:
        s = self.settings = settings
        self.batch_size, self.seed, self.pairs = batch, seed, pairs
        self.faces: FaceSet | None = None
        self.codes: TrueCodes | None = None
        if net is None or vqgan is None:
            model = load_vqgan(s.vqgan)
            assert isinstance(model.net, VQGAN)
            net, vqgan = new_codeformer(s, model), model.net
        self.net, self.vqgan = net, vqgan
        self.networks: dict[str, nn.Module] = {"generator": net}
        self.optimizers: dict[str, torch.optim.Optimizer] = {"generator": self._adam(self._learns(), s.rate)}
        self.ema = {"generator": Ema.of_decay(net, s.ema_decay, rises=s.ema_rises)}
        self.validation: Validation | None = None

    def _learns(self) -> list[nn.Parameter]:
        """Encoder, transformer and heads; not what lets the damaged face back in."""
        return [p for name, p in self.net.named_parameters() if p.requires_grad and not name.startswith("fuse_convs_dict.")]

    def _adam(self, parameters: list[nn.Parameter], rate: float) -> torch.optim.Optimizer:
        beta1, beta2 = self.settings.betas
        return torch.optim.Adam(parameters, rate, betas=(beta1, beta2))

    def bind(self, engine: Engine) -> None:
        self.engine = engine
        self.vqgan.to(engine.device)
        if self.pairs is None:
            self.faces = learned_faces(self.settings)
            self.pairs = self._open((engine.rank, engine.world), self.faces)
            judged = judged_faces(self.settings)
            embedding = load_model("identity-dlib", device=str(engine.device)).net
            assert isinstance(embedding, DlibEmbedding)
            self.validation = None if judged is None else Validation(judged, embedding, JUDGED[self.settings.task])

    def _open(self, share: tuple[int, int], faces: FaceSet) -> Pairs:
        return training_pairs(self.settings, self.batch_size, self.seed, share, faces=faces)

    def batches(self, start: int) -> Iterator[Batch]:
        assert self.pairs is not None
        s, engine = self.settings, self.engine
        if self.faces is not None and (s.cached or s.codes):
            faces, augmentation, kept = self.faces, AUGMENTATIONS[s.augmentation], engine.folder / CODES
            self.codes = engine.processes.told(lambda: true_codes(kept, faces, augmentation, s.size, self.vqgan, s.codes))
        return self.pairs(start)

    def step(self, batch: Batch) -> None:
        s, engine = self.settings, self.engine
        set_rates(self.optimizers, s, engine.step)
        with engine.autocast():
            prediction = self.net.predict(batch.damaged)
        engine.update("generator", self._code_losses(prediction, self._true_codes(batch)), s.weights | UNWEIGHED)

    def _true_codes(self, batch: Batch) -> Tensor:
        """The numbers of the true face's codes, N x h x w."""
        if self.codes is not None and batch.faces is not None and batch.mirrored is not None:
            return self.codes.of(batch.faces, batch.mirrored).to(batch.clean.device)
        codebook = self.vqgan.quantize
        assert isinstance(codebook, NearestCode)
        with torch.no_grad(), self.engine.autocast():
            features = self.vqgan.encode(batch.clean).float()
        return codebook.nearest(features)

    def _code_losses(self, prediction: Prediction, numbers: Tensor) -> dict[str, Tensor]:
        """Section 3.2: L_code^token and L_code^feat; and the part of the codes that were right."""
        codebook = self.net.quantize
        assert isinstance(codebook, NearestCode)
        right = (prediction.logits.detach().argmax(2) == numbers.flatten(1)).float().mean()
        return {
            "feature": code_feature_loss(prediction.features.float(), codebook.look_up(numbers)),
            "cross_entropy": code_cross_entropy(prediction.logits, numbers),
            "right_codes": right,
        }

    # looking at it, and handing it on

    def validate(self) -> dict[str, float]:
        """Numbers of the averaged network on faces never trained on, by strength of damage, and its part of right codes."""
        if self.validation is None:
            return {}
        return self.validation.numbers(self._restore) | {
            f"{name}/right_codes": self._part_right(batch) for name, batch in self.validation.sets.items()
        }

    def sample(self, folder: Path) -> None:
        if self.validation is not None:
            self.validation.sheet(self._restore, folder / f"{self.engine.step:08d}.jpg", SHOWN[self.settings.task])

    def export(self, path: Path) -> None:
        """The averaged network."""
        arguments: dict[str, Any] = {"task": self.settings.task, "n_head": self.settings.n_head}
        export(self._averaged(), path, "codeformer", self.engine.step, self.settings, arguments)

    def _averaged(self) -> CodeFormer:
        net = self.ema["generator"].network
        assert isinstance(net, CodeFormer)
        return net

    @torch.no_grad()
    def _part_right(self, batch: Batch) -> float:
        found = []
        for damaged, clean in zip(torch.split(batch.damaged, 8), torch.split(batch.clean, 8), strict=True):
            part = Batch(damaged, clean).to(self.engine.device)
            with self.engine.autocast():
                logits = self._averaged().predict(part.damaged).logits
            found.append(logits.argmax(2) == self._true_codes(part).flatten(1))
        return float(torch.cat(found).float().mean())

    @torch.no_grad()
    def _restore(self, damaged: Tensor) -> Tensor:
        outputs = []
        for part in torch.split(damaged, 8):
            with self.engine.autocast():
                outputs.append(self._averaged()(part.to(self.engine.device), self.shown_w).float().cpu())
        return torch.cat(outputs).clamp(-1, 1)
