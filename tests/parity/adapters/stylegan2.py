"""StyleGAN2 of BasicSR and of GFPGAN: networks, resampling, modulated convolution, second derivatives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from facewright.nets.blocks.equalized import fused_leaky_relu
from facewright.nets.blocks.modulated import Flavour, ModulatedConv2d, Sampling
from facewright.nets.blocks.resample import UpFirDn, fir_downsample, fir_upsample, smooth_after_up, smooth_before_down, upfirdn2d
from facewright.nets.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, StyleGAN2GeneratorSFT
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
    (slope,) = torch.autograd.grad(pred.sum(), inputs["x"], create_graph=True)
    penalty = slope.square().flatten(1).sum(1).mean()
    loss = call["r1_reg_weight"] / 2 * penalty * call["net_d_reg_every"]
    check_results(fixture, {"pred": pred, "penalty": penalty, "loss": loss}, inputs, net)


def run_path_length(fixture: Fixture) -> None:
    net, inputs, call = load(fixture, build(fixture)), fixture.inputs(), fixture.call
    picture, latent = net([inputs["z"]], randomize_noise=False, return_latents=True)
    y: Tensor = inputs["noise_image"] / (picture.shape[2] * picture.shape[3]) ** 0.5
    (slope,) = torch.autograd.grad((picture * y).sum(), latent, create_graph=True)
    lengths = slope.square().sum(2).mean(1).sqrt()
    mean = call["mean_path_length"] + call["decay"] * (lengths.mean() - call["mean_path_length"])
    penalty = (lengths - mean).square().mean()
    results = {"penalty": penalty, "lengths_mean": lengths.mean(), "mean_path_length": mean}
    check_results(fixture, results | {"loss": call["path_reg_weight"] * call["net_g_reg_every"] * penalty}, inputs, net)


PROCEDURES = {
    "upfirdn2d": run_upfirdn2d,
    "resample_module": run_resample_module,
    "modulated_conv": run_modulated_conv,
    "fused_leaky_relu": run_fused_leaky_relu,
    "r1": run_r1,
    "path_length": run_path_length,
}
