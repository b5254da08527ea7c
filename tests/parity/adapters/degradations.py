"""BasicSR's kernels and steps, and GFPGAN's degradation with its random draws given. Pictures there are BGR, planes first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from facewright.degrade import Draws, FirstOrder, colours, kernels, steps
from facewright.degrade.diffjpeg import diffjpeg
from parity.reading import Fixture

SYSTEMS = ("degradations", "gfpgan")


def handles(fixture: Fixture) -> bool:
    call = fixture.call
    if "kernels" in call:
        return all(function in KERNELS for function, _ in call["kernels"].values())
    if fixture.procedure == "kernel":
        return call["function"] in KERNELS
    return fixture.procedure == "degrade" or call.get("step") in STEPS


def run(fixture: Fixture) -> None:
    if "kernels" in fixture.call:
        for name, (function, options) in fixture.call["kernels"].items():
            fixture.check(name, KERNELS[function](**options))
    elif fixture.procedure == "kernel":
        fixture.check("kernel", KERNELS[fixture.call["function"]](*fixture.call["args_kernel"], **fixture.call["kwargs_kernel"]))
    elif fixture.procedure == "degrade":
        check_item(fixture)
    else:
        STEPS[fixture.call["step"]](fixture)


# Kernels, by their published names and arguments -----------------------------------------------------------------------------------------


def gaussian(kernel_size: int, sig_x: float, sig_y: float, theta: float, isotropic: bool = True) -> np.ndarray:
    return kernels.gaussian_kernel(kernel_size, sig_x) if isotropic else kernels.gaussian_kernel(kernel_size, sig_x, sig_y, theta)


def generalized(kernel_size: int, sig_x: float, sig_y: float, theta: float, beta: float, isotropic: bool = False) -> np.ndarray:
    own = (sig_x,) if isotropic else (sig_x, sig_y, theta)
    return kernels.generalized_kernel(kernel_size, *own, beta=beta)


def plateau(kernel_size: int, sig_x: float, sig_y: float, theta: float, beta: float, isotropic: bool = False) -> np.ndarray:
    own = (sig_x,) if isotropic else (sig_x, sig_y, theta)
    return kernels.plateau_kernel(kernel_size, *own, beta=beta)


def sinc(cutoff: float, kernel_size: int, pad_to: int = 0) -> np.ndarray:
    return kernels.sinc_kernel(kernel_size, cutoff, pad_to or None)


def skew(kernel_size: int, sig_x: float, sig_y: float, theta: float, D: list[list[float]], centred: bool = False) -> np.ndarray:
    return kernels.skew_kernel(kernel_size, sig_x, sig_y, theta, (tuple(D[0]), tuple(D[1])), centred=centred)


KERNELS: dict[str, Callable[..., np.ndarray]] = {
    "bivariate_Gaussian": gaussian,
    "bivariate_generalized_Gaussian": generalized,
    "bivariate_plateau": plateau,
    "circular_lowpass_kernel": sinc,
    # CodeFormer's names
    "bivariate_isotropic_Gaussian": lambda kernel_size, sig: kernels.gaussian_kernel(kernel_size, sig),
    "bivariate_anisotropic_Gaussian": lambda kernel_size, sig_x, sig_y, theta: gaussian(kernel_size, sig_x, sig_y, theta, False),
    "bivariate_plateau_type1": plateau,
    "bivariate_plateau_type1_iso": lambda kernel_size, sig, beta: kernels.plateau_kernel(kernel_size, sig, beta=beta),
    "bivariate_skew_Gaussian": skew,
    "bivariate_skew_Gaussian_center": lambda **options: skew(**options, centred=True),
}


# Steps ----------------------------------------------------------------------------------------------------------------------------------


def picture(fixture: Fixture) -> np.ndarray:
    """The input as we have it: H x W x 3 RGB."""
    return np.ascontiguousarray(fixture.input_arrays()["image"][0].transpose(1, 2, 0)[..., ::-1])


def planes(fixture: Fixture) -> np.ndarray:
    """The input with its planes taken for R, G, B: H x W x 3."""
    return np.ascontiguousarray(fixture.input_arrays()["image"][0].transpose(1, 2, 0))


def check(fixture: Fixture, ours: np.ndarray, name: str = "out") -> None:
    fixture.check(name, ours[..., ::-1])


def check_blur(fixture: Fixture) -> None:
    check(fixture, steps.blur(picture(fixture), fixture.input_arrays()["kernel"]))


def check_blur_batch(fixture: Fixture) -> None:
    given = fixture.input_arrays()
    pairs = zip(given["image"], given["kernel"], strict=True)
    fixture.check("out", np.stack([steps.blur(one.transpose(1, 2, 0), kernel).transpose(2, 0, 1) for one, kernel in pairs]))


def check_resize(fixture: Fixture) -> None:
    check(fixture, steps.resize(picture(fixture), *fixture.call["args"]["size"]))


def check_noise(fixture: Fixture) -> None:
    options, noise = fixture.call["args"], fixture.input_arrays()["randn"]
    noise = noise[..., None] if options["gray"] else noise[..., ::-1]
    noisy = steps.add_noise(picture(fixture), noise, options["sigma"], clip=options["clip"])
    check(fixture, steps.quantise(noisy) if options["rounds"] else noisy)


def check_poisson(fixture: Fixture) -> None:
    """The published draw is replaced by max(0, rint(rate + delta sqrt(rate)))."""
    options, delta = fixture.call["args"], fixture.input_arrays()["delta"]
    delta = delta[..., None] if options["gray"] else delta[..., ::-1]
    x, levels = steps.poisson_rate(picture(fixture), grey=options["gray"])
    rate = x.astype(np.float64) * levels
    counts = np.maximum(0, np.rint(rate + delta * np.sqrt(rate))).astype(np.int64)
    fixture.check("rate", rate[..., 0] if options["gray"] else rate[..., ::-1])
    check(fixture, steps.add_poisson(picture(fixture), x, levels, counts, options["scale"]))


def check_levels(fixture: Fixture) -> None:
    fixture.check("vals", steps.poisson_rate(picture(fixture))[1])


def check_diffjpeg(fixture: Fixture) -> None:
    options, given = fixture.call["args"], fixture.inputs()
    image = given["image"].requires_grad_()
    coded = diffjpeg(image, torch.tensor(options["quality"]), differentiable=options["differentiable"])
    fixture.check("out", coded)
    if options.get("grad"):
        total = (coded * given["w"]).sum()
        fixture.check("scalar", total)
        total.backward()
        fixture.check_gradient("image", image.grad)


def check_interpolate(fixture: Fixture) -> None:
    options, image = fixture.call["args"], planes(fixture)
    if "scale" in options:
        height, width = (int(side * options["scale"]) for side in image.shape[:2])
    else:
        height, width = options["size"]
    ours = steps.interpolate(image, height, width, options["mode"], options.get("scale"))
    fixture.check("out", ours.transpose(2, 0, 1)[None])


def check_sharpening(fixture: Fixture) -> None:
    sharp = steps.sharpen(planes(fixture), radius=fixture.call["args"]["radius"])
    fixture.check("out", sharp.transpose(2, 0, 1)[None])
    fixture.check("out_cv", sharp)


def check_adjustments(fixture: Fixture) -> None:
    """On RGB planes."""
    ours = colours.jitter(planes(fixture), tuple(map(tuple, fixture.call["args"]["order"])))
    fixture.check("out", ours.transpose(2, 0, 1))


def check_haze(fixture: Fixture) -> None:
    check(fixture, steps.haze(picture(fixture), fixture.call["args"]["alpha"]))


def check_displacement(fixture: Fixture) -> None:
    options = fixture.call["args"]
    reach = options["n"] * options["unit"]
    check(fixture, steps.displace(picture(fixture), reach, options["v"] * options["unit"], options["h"] * options["unit"]))


def check_jpeg(fixture: Fixture) -> None:
    check(fixture, steps.jpeg(picture(fixture), fixture.call["args"]["quality"]))


def check_shift(fixture: Fixture) -> None:
    check(fixture, steps.shift_colour(picture(fixture), np.array(fixture.call["args"]["shift"][::-1])))


def check_grey(fixture: Fixture) -> None:
    check(fixture, steps.grey(picture(fixture)))


def check_rounding(fixture: Fixture) -> None:
    fixture.check("out", steps.quantise(fixture.input_arrays()["image"]))


def check_chain(fixture: Fixture) -> None:
    options, noise = fixture.call["args"], fixture.input_arrays()["randn"][..., ::-1]
    clean = picture(fixture)
    stages = {"blur": steps.blur(clean, kernels.gaussian_kernel(41, options["sig_x"], options["sig_y"], options["theta"]))}
    stages["down"] = steps.shrink(stages["blur"], options["scale"])
    stages["noise"] = steps.add_noise(stages["down"], noise, options["sigma"])
    stages["jpeg"] = steps.jpeg(stages["noise"], options["quality"])
    stages["up"] = steps.resize(stages["jpeg"], clean.shape[1], clean.shape[0])
    for name, stage in stages.items():
        check(fixture, stage, name)
    fixture.check("lq", steps.quantise(stages["up"]).transpose(2, 0, 1) * 2 - 1)


STEPS: dict[str, Callable[[Fixture], None]] = {
    "filter2D": check_blur,
    "filter2D_pt": check_blur_batch,
    "resize": check_resize,
    "gauss_given": check_noise,
    "jpeg": check_jpeg,
    "jitter_shift": check_shift,
    "gray": check_grey,
    "round_clip": check_rounding,
    "gfpgan_chain": check_chain,
    "poisson_given": check_poisson,
    "poisson_unique": check_levels,
    "diffjpeg": check_diffjpeg,
    "interp": check_interpolate,
    "usm": check_sharpening,
    "jitter_pt": check_adjustments,
    "haze": check_haze,
    "shift": check_displacement,
}


# A whole item of the published data set, through our own `Degradation.apply` ------------------------------------------------------------


def check_item(fixture: Fixture) -> None:
    options, draws, given = fixture.call["opt"], fixture.call["draws"], fixture.input_arrays()
    clean = np.ascontiguousarray(given["gt_bgr"][..., ::-1], np.float32)
    if clean.max() > 1:
        clean = clean / np.float32(255)
    if draws["hflip"]:
        clean = np.ascontiguousarray(clean[:, ::-1])
    isotropic = draws["kernel_type"] == "iso"
    jitter = draws.get("jitter")
    ours = Draws(
        sigma_x=draws["sigma_x"],
        sigma_y=draws["sigma_x"] if isotropic else draws["sigma_y"],
        theta=0.0 if isotropic else draws["rotation"],
        scale=draws["downsample"],
        noise_sigma=draws["noise_sigma"],
        noise_grey=False,
        noise_seed=0,
        quality=int(draws["jpeg_quality"]) if "jpeg_quality" in draws else None,
        shift=tuple(jitter[::-1]) if jitter else None,
        grey=draws.get("gray", False),
        kernel_size=options["blur_kernel_size"],
        jitter=adjustments(**draws["jitter_pt"]) if "jitter_pt" in draws else None,
    )
    degradation = FirstOrder(grey_target=options.get("gt_gray", False), size=options["out_size"])
    damaged = degradation.apply(clean, ours, noise=given["noise"][..., ::-1])
    truth = degradation.truth(clean, ours)
    fixture.check("lq", damaged.transpose(2, 0, 1) * 2 - 1)
    fixture.check("gt", steps.quantise(truth).transpose(2, 0, 1) * 2 - 1)


def adjustments(order: list[int], values: list[float]) -> colours.Jitter:
    """The published numbers of the four; `values` go with the order."""
    names = ("brightness", "contrast", "saturation", "hue")
    return tuple((names[i], value) for i, value in zip(order, values, strict=True))
