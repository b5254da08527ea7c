"""CodeFormer's training: iterations of the published program, replayed by the recipes' own steps.

Published iterations count from 1, the engine's steps from 0.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from facewright.data import Batch
from facewright.losses import mse
from facewright.nets.blocks.codebook import NearestCode
from facewright.nets.codeformer import Prediction
from facewright.nets.vqgan import VQGAN, PatchDiscriminator
from facewright.train import Engine, RunSettings
from facewright.train.recipes.codeformer.fuse import FuseRecipe, learns_codes_only
from facewright.train.recipes.codeformer.settings import CodeFormerSettings
from facewright.train.recipes.codeformer.vqgan import VqganRecipe
from parity.reading import Fixture

SYSTEMS = ("vqgan", "codeformer")
GENERATOR = {
    "l_g_pix": "pixel",
    "l_g_percep": "perceptual",
    "l_g_gan": "adversarial",
    "l_codebook": "codebook",
    "l_feat_encoder": "feature",
    "cross_entropy_loss": "cross_entropy",
    "d_weight": "adaptive",
}
DISCRIMINATOR = {"l_d_real": "real", "l_d_fake": "fake", "out_d_real": "real_score", "out_d_fake": "fake_score"}
NOTHING = {name: 0.0 for name in ("pixel", "grid", "perceptual", "identity", "codebook", "adversarial", "feature", "cross_entropy")}


def handles(fixture: Fixture) -> bool:
    return fixture.case in CASES


def run(fixture: Fixture) -> None:
    results = CASES[fixture.case](fixture)
    for name in fixture.meta["outputs"]:
        fixture.check(name, results[name])


def first_stage(fixture: Fixture) -> dict[str, Any]:
    """Three iterations, after which networks and average are looked at."""
    options, inputs, state = fixture.call["options"], fixture.inputs(), fixture.state()
    arguments = fixture.arguments
    networks = VQGAN(**arguments["g"]), PatchDiscriminator(**arguments["d"])
    for name, network in zip(("net_g.", "net_d."), networks, strict=True):
        network.load_state_dict({key.removeprefix(name): value for key, value in state.items() if key.startswith(name)})
    settings = CodeFormerSettings(
        size=arguments["g"]["img_size"],
        ch_mult=tuple(arguments["g"]["ch_mult"]),
        codebook_size=arguments["g"]["codebook_size"],
        rate=options["lr"],
        rate_discriminator=options["lr"],
        ema_decay=options["ema"],
        adversarial_from=options["start"],
        weights=NOTHING | {"pixel": 1.0, "codebook": options["codebook_weight"], "adversarial": options["dw"]},
    )
    batches = [Batch(inputs[f"gt{iteration}"], inputs[f"gt{iteration}"]) for iteration in options["iters"]]
    recipe = VqganRecipe(settings, 2, 0, networks=networks, guidance=lambda restored, truth: {}, stream=lambda start: iter(batches))
    results = replayed(recipe, batches, options["iters"], settings)
    averages = {"net_g": recipe.net, "net_d": networks[1], "net_g_ema": recipe.ema["generator"].network}
    return results | {f"{name}.{key}": value for name, network in averages.items() for key, value in network.state_dict().items()}


class StandIn(nn.Module):
    """What the case has for a restorer: one convolution as painter, scores and features as given."""

    fold, connect_list = 1, (512,)

    def __init__(self, inputs: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.logits, self.features = (nn.Parameter(inputs[name]) for name in ("logits", "lq_feat"))
        self.quantize = NearestCode(*inputs["codebook"].shape)
        self.quantize.embedding.weight.data.copy_(inputs["codebook"])
        self.quantize.requires_grad_(False)
        last = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        last.weight.data.copy_(inputs["last_layer"])
        self.fuse_convs_dict = nn.ModuleDict({"512": nn.ModuleDict({"shift": nn.Sequential(last)})})
        self.used: list[float] = []

    @property
    def last_layer(self) -> nn.Parameter:
        return self.get_parameter("fuse_convs_dict.512.shift.0.weight")

    def predict(self, x: Tensor) -> Prediction:
        return Prediction(self.logits, self.features, {512: x})

    def decode(self, prediction: Prediction, w: float, *, adain: bool) -> Tensor:
        assert not adain  # the published training does without
        self.used.append(w)
        return F.conv2d(prediction.maps[512], self.last_layer, padding=1) * (w if w > 0 else 1)


class Truth(nn.Module):
    """The autoencoder whose codes are the ones given."""

    def __init__(self, codebook: NearestCode, numbers: Tensor) -> None:
        super().__init__()
        self.quantize, self.numbers = codebook, numbers

    def encode(self, x: Tensor) -> Tensor:
        return self.quantize.look_up(self.numbers)


def last_stage(fixture: Fixture) -> dict[str, Any]:
    """Eight iterations from all over the schedule; nothing learns, so that each stands for itself."""
    options, inputs = fixture.call["options"], fixture.inputs()
    discriminator = PatchDiscriminator(**fixture.arguments)
    discriminator.load_state_dict(fixture.state())
    net: Any = StandIn(inputs)
    settings = CodeFormerSettings(
        stage="fuse",
        rate=0.0,
        rate_discriminator=0.0,
        adversarial_from=options["start"],
        weights=NOTHING | {"pixel": 1.0, "perceptual": 1.0, "adversarial": options["saw"], "feature": 1.0, "cross_entropy": 0.5},
    )
    batch = Batch(inputs["in"], inputs["gt"])
    recipe = FuseRecipe(
        settings,
        1,
        0,
        net=net,
        vqgan=Truth(net.quantize, inputs["idx_gt"]),  # type: ignore[arg-type]
        discriminator=discriminator,
        guidance=lambda restored, truth: {"perceptual": mse(restored, truth)},
        pairs=lambda start: iter([batch]),
    )

    def seen(iteration: int) -> dict[str, Any]:
        codes_only = learns_codes_only(settings, iteration - 1)
        assert len(net.used) == (not codes_only)
        w = net.used.pop() if net.used else 0.0
        return {"w": w, "code_only": float(codes_only), "grad_last_layer": net.last_layer.grad}

    return replayed(recipe, [batch] * len(options["iters"]), options["iters"], settings, seen)


class Telling(Engine):
    """Remembers each update's losses, those that are learned from times their weights."""

    told: dict[str, dict[str, float]]

    def update(self, name: str, losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
        self.told[name] = {term: float(value.detach()) * (weights[term] or 1.0) for term, value in losses.items()}
        super().update(name, losses, weights)


def replayed(
    recipe: Any, batches: list[Batch], iterations: list[int], settings: CodeFormerSettings, seen: Any = lambda iteration: {}
) -> dict[str, Any]:
    """What the recipe's steps told, by the case's names; seen: what else to look at after each."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        run_settings = RunSettings(batch=len(batches[0].clean), device="cpu", precision="fp32", clip_norm=1e9, tensorboard=False)
        engine = Telling(recipe, run_settings, Path(folder))
        for iteration, batch in zip(iterations, batches, strict=True):
            engine.step, engine.told = iteration - 1, {}
            recipe.step(batch)
            told = engine.told["generator"], engine.told.get("discriminator", {})
            for names, losses in zip((GENERATOR, DISCRIMINATOR), told, strict=True):
                results |= {f"iter{iteration}.{theirs}": losses[ours] for theirs, ours in names.items() if ours in losses}
            if "adaptive" in told[0]:
                results[f"iter{iteration}.d_weight"] *= settings.weights["adversarial"]  # logged scaled
            results |= {f"iter{iteration}.{name}": value for name, value in seen(iteration).items()}
    return results


CASES = {"train_step_stage1": first_stage, "stage3_schedule_and_losses": last_stage}
