"""What CodeFormer's program does to pictures before and after the network, and how its training damages them. Pictures there are BGR."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from facewright.degrade import Draws, FirstOrder
from facewright.degrade.kernels import gaussian_kernel
from facewright.faces import published
from facewright.faces.colour import adain, as_grey, is_grey
from facewright.faces.warp import invert
from facewright.restore.published import to_levels, to_network
from parity.reading import Fixture

SYSTEMS = ("codeformer",)


def handles(fixture: Fixture) -> bool:
    return check_of(fixture) is not None


def run(fixture: Fixture) -> None:
    check = check_of(fixture)
    assert check is not None
    check(fixture)


def check_of(fixture: Fixture) -> Callable[[Fixture], None] | None:
    return next((check for start, check in CHECKS.items() if fixture.case.startswith(start)), None)


def levels(fixture: Fixture, name: str) -> NDArray[np.uint8]:
    """A float 1 x 3 x H x W input as the H x W x 3 RGB picture that it stands for."""
    return np.ascontiguousarray(np.rint(fixture.input_arrays()[name][0].transpose(1, 2, 0) * 255).astype(np.uint8)[..., ::-1])


def check_pixels(fixture: Fixture) -> None:
    given = fixture.input_arrays()
    fixture.check("to_image", to_levels(torch.from_numpy(given["tensor"][0]))[..., ::-1])
    fixture.check("to_tensor", to_network(given["image"][..., ::-1])[0])


def check_grey(fixture: Fixture) -> None:
    given = {name: value[..., ::-1] for name, value in fixture.input_arrays().items()}
    grey = as_grey(given["restored"])
    fixture.check("gray", grey)
    fixture.check("transferred", adain(grey, given["input"])[..., ::-1])
    near = np.clip(given["base"].astype(np.int64) + given["jitter"], 0, 255).astype(np.uint8)
    for name, picture in {"near": near, "restored": given["restored"], "input": given["input"]}.items():
        fixture.check(f"is_gray_{name}", is_grey(picture))


def check_paste(fixture: Fixture) -> None:
    given, upscale = fixture.input_arrays(), 1 if fixture.case == "paste_parse" else 2
    image, face = levels(fixture, "image"), levels(fixture, "restored")
    picture = published.read(image, "codeformer")
    fixture.check("input_after_read", picture.shape)
    (landmarks,) = given["landmarks"].astype(np.float64) * (picture.shape[0] / image.shape[0])
    crop, affine = published.cut(picture, landmarks)
    fixture.check("affine", affine)
    fixture.check("crop", crop[..., ::-1])
    fixture.check("inverse_affine", invert(affine) * upscale)

    def enlarged(what: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A cubic stand-in for Real-ESRGAN."""
        return np.asarray(cv2.resize(what, None, fx=upscale, fy=upscale, interpolation=cv2.INTER_CUBIC), np.uint8)

    times = upscale if "face_upsampler" in fixture.case else 1
    face = enlarged(face) if times > 1 else face
    upsampled = enlarged(picture) if fixture.case.endswith("background") else None
    canvas = published.background(picture, upscale, "codeformer", upsampled=upsampled)
    labels = [np.floor(given["class_map"][0, 0] * np.float32(18.999)).astype(np.int64)] if "class_map" in given else None
    result = published.paste(canvas, [face], [affine], upscale=upscale, program="codeformer", labels=labels, face_upscale=times)
    fixture.check("pasted", result[..., ::-1])


def drawn_kernel(size: int, sigma: tuple[float, float]) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """As published from the generators of Python and numpy."""
    (kind,) = random.choices(["iso", "aniso"], [0.5, 0.5])
    sigma_x = np.random.uniform(*sigma)
    sigma_y, theta = (sigma_x, 0.0) if kind == "iso" else (np.random.uniform(*sigma), np.random.uniform(-np.pi, np.pi))
    return gaussian_kernel(size, sigma_x, sigma_y, theta), {"sigma_x": sigma_x, "sigma_y": sigma_y, "theta": theta}


def check_kernels(fixture: Fixture) -> None:
    fixture.check("iso", gaussian_kernel(41, 3.7))
    fixture.check("aniso", gaussian_kernel(41, 2.5, 9.0, 0.8))
    random.seed(7)
    np.random.seed(7)
    fixture.check("random", [drawn_kernel(21, (1, 15))[0] for _ in range(4)])


def check_degradation(fixture: Fixture) -> None:
    options, picture = fixture.call["options"], levels(fixture, "gt").astype(np.float32) / np.float32(255)
    side = options["in_size"]
    for name in fixture.meta["outputs"]:
        if not name.startswith("in_seed"):
            continue
        random.seed(seed := int(name.removeprefix("in_seed")))
        np.random.seed(seed)
        clean = np.ascontiguousarray(picture[:, ::-1]) if random.random() < 0.5 else picture
        _, blur = drawn_kernel(options["blur_kernel_size"], options["blur_sigma"])
        scale, sigma = np.random.uniform(*options["downsample_range"]), np.random.uniform(*options["noise_range"])
        small = int(side // scale)
        noise = np.random.randn(small, small, 3).astype(np.float32)[..., ::-1]
        quality = int(np.random.uniform(*options["jpeg_range"])) if options["jpeg_range"] else None
        draws = Draws(**blur, scale=scale, noise_sigma=sigma, noise_grey=False, noise_seed=0, quality=quality, shift=None, grey=False)
        damaged = FirstOrder(size=side, exact_blur=True).apply(clean, draws, noise=noise)
        fixture.check(name, damaged.transpose(2, 0, 1) * 2 - 1)
        fixture.check(f"gt_seed{seed}", clean.transpose(2, 0, 1) * 2 - 1)


CHECKS: dict[str, Callable[[Fixture], None]] = {
    "pixels": check_pixels,
    "gray_input": check_grey,
    "paste_": check_paste,
    "blur_kernels": check_kernels,
    "degradation_": check_degradation,
}
