"""Speed of the degradation of one core against the chain that every published data set runs, and how far the two are apart.

    OMP_NUM_THREADS=1 python benchmarks/degrade.py                        # gfpgan-v1 at 512 px
    OMP_NUM_THREADS=1 python benchmarks/degrade.py --preset vqfr-v2 --pictures 400

Both take the same pictures and the same draws, turn by turn, so that a busy machine is as unkind to one as to the other. "core" is the
processor time of this one thread, "clock" the time on the wall. The chain: filter2D with the 41 x 41 kernel, resize, noise, imencode,
imdecode, resize, colour (on a tensor, by torchvision's formulas), rounding, each as its published program writes it, in float32.
--no-colour leaves the colour steps out on both sides.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture

from facewright.degrade import Draws, FirstOrder, gaussian_kernel, preset
from facewright.degrade.batched import degrade
from facewright.degrade.fused import blur_and_shrink

Image = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="gfpgan-v1", help="a first-order one")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--no-colour", action="store_true")
    parser.add_argument("--photo", type=Path, help="damage this one instead of scikit-image's astronaut")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)

    degradation = preset(arguments.preset).scaled(arguments.size)
    if not isinstance(degradation, FirstOrder):
        raise SystemExit(f"{arguments.preset} is no first-order preset")
    if arguments.no_colour:
        degradation = replace(degradation, shift_p=0.0, jitter_p=0.0, grey_p=0.0)
    clean = photo(arguments.photo, arguments.size)
    planes = torch.from_numpy(np.ascontiguousarray(clean.transpose(2, 0, 1))).expand(arguments.batch, -1, -1, -1).contiguous()
    rng = np.random.default_rng(0)
    batches = [[degradation.draw(rng) for _ in range(arguments.batch)] for _ in range(max(2, arguments.pictures // arguments.batch))]

    works: dict[str, Callable[[list[Draws]], object]] = {
        "batched": lambda draws: degrade(planes, degradation, draws),
        "single": lambda draws: [degradation.apply(clean, each) for each in draws],
        "chain": lambda draws: torch.stack([chain(clean, each) for each in draws]),
    }
    takes: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for number, draws in enumerate(batches):
        for name, work in works.items():
            before = time.thread_time(), time.perf_counter()
            work(draws)
            if number:  # the first is the warm-up
                takes[name].append((time.thread_time() - before[0], time.perf_counter() - before[1]))

    count = (len(batches) - 1) * arguments.batch
    rates = {name: count / np.sum(taken, axis=0) for name, taken in takes.items()}
    colour = ", no colour" if arguments.no_colour else ""
    print(f"{arguments.preset}{colour} at {arguments.size} px, {count} pictures, one thread; pictures a second, core / clock:")
    for name, told in (
        ("chain", "OpenCV chain"),
        ("single", "facewright, one by one"),
        ("batched", f"facewright, batches of {len(batches[0])}"),
    ):
        print(f"  {told:28} {rates[name][0]:7.1f} / {rates[name][1]:7.1f}")
    for name in ("single", "batched"):
        print(f"  ratio, {name:21} {rates[name][0] / rates['chain'][0]:7.2f} / {rates[name][1] / rates['chain'][1]:7.2f}")
    differences(clean, planes, degradation, [each for draws in batches[:10] for each in draws])


def differences(clean: Image, planes: torch.Tensor, degradation: FirstOrder, draws: list[Draws]) -> None:
    """In levels of 255: before noise, and in the result."""
    blurred, final, apart = 0.0, 0.0, []
    for each in draws:
        small = each.small(clean.shape[1], clean.shape[0])
        kernel = gaussian_kernel(each.kernel_size, each.sigma_x, each.sigma_y, each.theta)
        published = cv2.resize(cv2.filter2D(clean, -1, kernel), small, interpolation=cv2.INTER_LINEAR)
        blurred = max(blurred, float(np.abs(blur_and_shrink(clean, kernel, *small) - published).max()))
        theirs = chain(clean, each, each.noise(*small)).numpy()
        ours = degrade(planes[:1], degradation, [each])[0][0].numpy()
        difference = np.abs(ours - theirs) * 255
        final = max(final, float(difference.max()))
        apart.append((difference.mean(), (difference > 0.5).mean()))
    mean, share = np.mean(apart, axis=0)
    print(f"largest difference before noise: {255 * blurred:.4f} of 255 (promised: 0.255)")
    print(f"in the result, after noise, JPEG and rounding: largest {final:.0f}, mean {mean:.4f}, {share:.2%} of the values differ")


def chain(clean: Image, draws: Draws, noise: Image | None = None) -> torch.Tensor:
    """What the published data sets do, step by step."""
    height, width = clean.shape[:2]
    image = cv2.filter2D(clean, -1, gaussian_kernel(draws.kernel_size, draws.sigma_x, draws.sigma_y, draws.theta))
    image = cv2.resize(image, draws.small(width, height), interpolation=cv2.INTER_LINEAR)
    noise = np.float32(np.random.randn(*image.shape)) if noise is None else noise
    image = np.clip(image + noise * np.float32(draws.noise_sigma / 255.0), 0, 1)
    if draws.quality is not None:
        pixels = np.rint(np.clip(image[..., ::-1], 0, 1) * 255.0).astype(np.uint8)
        _, data = cv2.imencode(".jpg", pixels, [int(cv2.IMWRITE_JPEG_QUALITY), draws.quality])
        image = np.float32(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1] / 255.0
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    if draws.shift is not None:
        image = np.clip(image + np.array(draws.shift, np.float32), 0, 1)
    if draws.grey:
        image = np.tile(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], (1, 1, 3))
    x = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), np.float32))
    for name, factor in draws.jitter or ():
        x = adjusted(x, name, factor)
    return torch.clamp((x * 255.0).round(), 0, 255) / 255.0


def adjusted(x: torch.Tensor, name: str, factor: float) -> torch.Tensor:
    """torchvision's adjustment, 3 x H x W."""
    if name == "hue":
        return hue(x, factor)
    luma = 0.2989 * x[0] + 0.587 * x[1] + 0.114 * x[2]
    other = {"brightness": torch.zeros_like(x), "contrast": luma.mean(), "saturation": luma}[name]
    return (factor * x + (1.0 - factor) * other).clamp(0, 1)


def hue(x: torch.Tensor, turn: float) -> torch.Tensor:
    """RGB > HSV, h + turn, > RGB, by the six sectors."""
    red, green, blue = x
    most, least = x.max(dim=0).values, x.min(dim=0).values
    span = most - least
    grey = most == least
    saturation = span / torch.where(grey, torch.ones_like(most), most)
    divisor = torch.where(grey, torch.ones_like(span), span)
    rc, gc, bc = (most - red) / divisor, (most - green) / divisor, (most - blue) / divisor
    h = torch.where(most == red, bc - gc, torch.where(most == green, 2 + rc - bc, 4 + gc - rc))
    h = torch.fmod(torch.fmod(h / 6 + 1, 1.0) + turn + 1, 1.0)
    sector = torch.floor(h * 6)
    part = h * 6 - sector
    p = (most * (1 - saturation)).clamp(0, 1)
    q = (most * (1 - saturation * part)).clamp(0, 1)
    t = (most * (1 - saturation * (1 - part))).clamp(0, 1)
    index = sector.long() % 6
    choices = ((most, q, p, p, t, most), (t, most, most, q, p, p), (p, p, t, most, most, q))
    return torch.stack([torch.gather(torch.stack(each), 0, index[None])[0] for each in choices])


def photo(path: Path | None, size: int) -> Image:
    """size x size x 3, in [0, 1]."""
    if path is None:
        from skimage.data import astronaut

        picture = Picture.fromarray(astronaut())
    else:
        picture = Picture.open(path).convert("RGB")
    return np.asarray(picture.resize((size, size), Picture.Resampling.LANCZOS), np.float32) / np.float32(255)


if __name__ == "__main__":
    main()
