"""StyleGAN2 of BasicSR and of GFPGAN: networks, resampling, modulated convolution, second derivatives, an iteration of training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from facewright.losses import path_length_penalty, path_lengths, r1_penalty
from facewright.nets.blocks.equalized import fused_leaky_relu
from facewright.nets.blocks.modulated import Flavour, ModulatedConv2d, Sampling
from facewright.nets.blocks.resample import UpFirDn, fir_downsample, fir_upsample, smooth_after_up, smooth_before_down, upfirdn2d
from facewright.nets.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, StyleGAN2GeneratorSFT, channel_table
from facewright.train import Engine, RunSettings
from facewright.train.recipes.stylegan2.draws import DrawnBatch, Draws, Styles
from facewright.train.recipes.stylegan2.recipe import StyleGAN2Recipe
from facewright.train.recipes.stylegan2.settings import StyleGAN2Settings
from parity.following import check_keys, check_results, follow, load
from parity.reading import Fixture

GENERATORS: dict[str, tuple[type[StyleGAN2Generator], Flavour]] = {
    "StyleGAN2Generator": (StyleGAN2Generator, "original"),
    "StyleGAN2GeneratorSFT": (StyleGAN2GeneratorSFT, "original"),
    "StyleGAN2GeneratorBilinear": (StyleGAN2Generator, "bilinear"),
    "StyleGAN2GeneratorBilinearSFT": (StyleGAN2GeneratorSFT, "bilinear"),
    "StyleGAN2GeneratorClean": (StyleGAN2Generator, "clean"),
    "StyleGAN2GeneratorCSFT": (StyleGAN2GeneratorSFT, "clean"),
}
SAMPLING: dict[str | None, Sampling | None] = {None: None, "upsample": "up", "downsample": "down"}


def handles(fixture: Fixture) -> bool:
    return fixture.procedure in PROCEDURES or (
        fixture.procedure is None and (fixture.built in GENERATORS or fixture.built == "StyleGAN2Discriminator")
    )


def run(fixture: Fixture) -> None:
    if fixture.procedure:
        PROCEDURES[fixture.procedure](fixture)
    elif fixture.is_key_table:
        check_keys(fixture, lambda: build(fixture))
    else:
        follow(fixture, load(fixture, build(fixture)))


def build(fixture: Fixture) -> nn.Module:
    if fixture.built == "StyleGAN2Discriminator":
        return StyleGAN2Discriminator(**fixture.arguments)
    kind, flavour = GENERATORS[fixture.built or ""]
    arguments = fixture.arguments
    return kind(arguments.pop("out_size"), flavour=flavour, **arguments)


def run_upfirdn2d(fixture: Fixture) -> None:
    inputs, call = fixture.inputs(), fixture.call
    inputs["x"].requires_grad_(True)
    out = upfirdn2d(inputs["x"], inputs["kernel"], up=call["up"], down=call["down"], pad=tuple(call["pad"]))
    check_results(fixture, {"out": out}, inputs)


def run_resample_module(fixture: Fixture) -> None:
    call, options = fixture.call, fixture.call["args_module"]
    taps, module = call["resample_kernel"], call["module"]
    resample: UpFirDn
    if module == "UpFirDnUpsample":
        resample = fir_upsample(taps, options["factor"])
    elif module == "UpFirDnDownsample":
        resample = fir_downsample(taps, options["factor"])
    elif "upsample_factor" in options:
        resample = smooth_after_up(taps, options["kernel_size"], options["upsample_factor"])
    else:
        resample = smooth_before_down(taps, options["kernel_size"], options["downsample_factor"])
    fixture.check("out", resample(fixture.inputs()["x"]))
    fixture.check("kernel", resample.kernel)
    fixture.check("pad", resample.pad)


def run_modulated_conv(fixture: Fixture) -> None:
    options = fixture.call["args_module"]
    net = ModulatedConv2d(
        options["in_channels"],
        options["out_channels"],
        options["kernel_size"],
        options["num_style_feat"],
        flavour="clean" if fixture.call["module"].endswith("clean_arch") else "original",
        demodulate=options["demodulate"],
        sampling=SAMPLING[options["sample_mode"]],
    )
    inputs = fixture.inputs()
    fixture.check("out", load(fixture, net)(inputs["x"], inputs["style"]))


def run_fused_leaky_relu(fixture: Fixture) -> None:
    inputs, call = fixture.inputs(), fixture.call
    for name in ("x", "bias"):
        inputs[name].requires_grad_(True)
    check_results(fixture, {"out": fused_leaky_relu(inputs["x"], inputs["bias"], call["negative_slope"], call["scale"])}, inputs)


def run_r1(fixture: Fixture) -> None:
    net, inputs, call = load(fixture, build(fixture)), fixture.inputs(), fixture.call
    pred = net(inputs["x"].requires_grad_(True))
    penalty = r1_penalty(pred, inputs["x"])
    loss = call["r1_reg_weight"] / 2 * penalty * call["net_d_reg_every"]
    check_results(fixture, {"pred": pred, "penalty": penalty, "loss": loss}, inputs, net)


def run_path_length(fixture: Fixture) -> None:
    net, inputs, call = load(fixture, build(fixture)), fixture.inputs(), fixture.call
    picture, latent = net([inputs["z"]], randomize_noise=False, return_latents=True)
    assert latent is not None
    lengths = path_lengths(picture, latent, inputs["noise_image"])
    penalties, mean = path_length_penalty(lengths, torch.tensor(call["mean_path_length"]), call["decay"])
    penalty = penalties.mean()
    results = {"penalty": penalty, "lengths_mean": lengths.mean(), "mean_path_length": mean}
    check_results(fixture, results | {"loss": call["path_reg_weight"] * call["net_g_reg_every"] * penalty}, inputs, net)


def run_train_step(fixture: Fixture) -> None:
    """A published iteration through the recipe's own step, with the published draws in place of its own."""
    train, inputs = fixture.call["opt"]["train"], fixture.inputs()
    real, iteration = inputs["real"], fixture.call["current_iter"]
    recipe = StyleGAN2Recipe(recipe_settings(fixture, len(real)), batch=len(real), seed=0)
    for name, network in {"net_g": "generator", "net_d": "discriminator"}.items():
        state = {key.removeprefix(f"{name}."): value for key, value in fixture.state().items() if key.startswith(f"{name}.")}
        recipe.networks[network].load_state_dict(state, strict=True)
    recipe.ema["generator"].network.load_state_dict(recipe.networks["generator"].state_dict())

    engine = Recorder(recipe, RunSettings(batch=len(real), device="cpu", precision="fp32", clip_norm=1e9), Path("unused"))
    engine.step = iteration - 1  # published iterations count from 1
    due = iteration % train["net_g_reg_every"] == 0
    draws = Draws(
        discriminator=Styles((inputs["z_d"],)),
        generator=Styles((inputs["z_g"],)),
        path=Styles((inputs["z_path"],)) if due else None,
        path_noise=inputs["noise_image"] if due else None,
    )
    recipe.step(DrawnBatch(real, real, draws=draws))

    results = {f"log.{name}": value for name, value in engine.told.items()}
    results["mean_path_length"] = recipe.networks["paths"].get_buffer("mean")
    for name, network in {"net_g": "generator", "net_d": "discriminator"}.items():
        for key, parameter in recipe.networks[network].named_parameters():
            if key in fixture.call["watch"][name]:
                assert parameter.grad is not None
                results |= {f"grad.{name}.{key}": parameter.grad, f"after.{name}.{key}": parameter}
    results |= {f"ema.net_g.{key}": value for key, value in recipe.ema["generator"].network.state_dict().items()}
    groups = [optimizer.param_groups[0] for optimizer in recipe.optimizers.values()]
    results["lr"] = torch.tensor([group["lr"] for group in groups])
    results["betas"] = torch.tensor([group["betas"] for group in groups])
    check_results(fixture, results, inputs)


def recipe_settings(fixture: Fixture, batch: int) -> StyleGAN2Settings:
    """The published options as the recipe's settings."""
    opt: dict[str, Any] = fixture.call["opt"]
    train, generator = opt["train"], opt["network_g"]
    table = channel_table(generator["out_size"], generator["channel_multiplier"], generator["narrow"])
    channels = tuple(table[side] for side in sorted(table))
    return StyleGAN2Settings(
        size=generator["out_size"],
        flavour="original",
        style=generator["num_style_feat"],
        mlp=generator["num_mlp"],
        channels=channels,
        discriminator_channels=channels,
        mixing=train["mixing_prob"],
        path_weight=train["path_reg_weight"],
        path_every=train["net_g_reg_every"],
        path_shrink=train["path_batch_shrink"],
        r1_weight=train["r1_reg_weight"],
        r1_every=train["net_d_reg_every"],
        rate=train["optim_g"]["lr"],
        rate_discriminator=train["optim_d"]["lr"],
        milestones=tuple(train["scheduler"]["milestones"]),
        ema_half_life=10_000 * batch / 32,  # published: 0.5^(32 / 10000) a step, whatever the batch
        ema_rises=False,
    )


class Recorder(Engine):
    """Keeps what the published program logs: losses with their weights in, scores as they are."""

    NAMES: ClassVar = {"logistic": "l_d", "r1": "l_d_r1", "adversarial": "l_g", "path": "l_g_path"}
    told: dict[str, Tensor]

    def update(self, name: str, losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
        self.told = getattr(self, "told", {})
        for term, value in losses.items():
            self.told[self.NAMES.get(term, term)] = value.detach() * (weights[term] if term in self.NAMES else 1)
        super().update(name, losses, weights)


PROCEDURES = {
    "stylegan2_step": run_train_step,
    "upfirdn2d": run_upfirdn2d,
    "resample_module": run_resample_module,
    "modulated_conv": run_modulated_conv,
    "fused_leaky_relu": run_fused_leaky_relu,
    "r1": run_r1,
    "path_length": run_path_length,
}
