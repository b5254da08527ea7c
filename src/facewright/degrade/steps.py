"""The single steps of the published degradations, on H x W x 3 float32 RGB in [0, 1] (BasicSR, GFPGAN and their relatives).

The published programs work in BGR; every step here but JPEG and grey treats the channels alike, and those two know the order.
Colours are in `colours`.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

Image = NDArray[np.float32]
Mode = Literal["area", "bilinear", "bicubic"]


def blur(image: Image, kernel: NDArray[np.float64]) -> Image:
    """Correlate with the kernel, border reflect-101."""
    return np.asarray(cv2.filter2D(image, -1, kernel), np.float32)


def bicubic(image: Image, width: int, height: int) -> Image:
    """Pillow's bicubic, antialiased where it shrinks, clipped."""
    planes = [Picture.fromarray(np.ascontiguousarray(image[..., i])) for i in range(3)]
    sized = [np.asarray(plane.resize((width, height), Picture.Resampling.BICUBIC)) for plane in planes]
    return np.asarray(np.clip(np.stack(sized, axis=-1), 0, 1), np.float32)


def resize(image: Image, width: int, height: int, out: Image | None = None) -> Image:
    """Bilinear without antialiasing, pixel centres at halves. out: where to."""
    return np.asarray(cv2.resize(image, (width, height), dst=out, interpolation=cv2.INTER_LINEAR), np.float32)


def shrunk_size(width: int, height: int, scale: float) -> tuple[int, int]:
    """(int(w // scale), int(h // scale)), at least one pixel; a scale under 1 enlarges. 512 // 0.8 is 639."""
    return max(1, int(width // scale)), max(1, int(height // scale))


def shrink(image: Image, scale: float) -> Image:
    """Bilinear to `shrunk_size`."""
    return resize(image, *shrunk_size(image.shape[1], image.shape[0], scale))


def interpolate(image: Image, height: int, width: int, mode: Mode, scale: float | None = None) -> Image:
    """PyTorch's ``F.interpolate``, align_corners False, no antialias. scale: the factor it was asked for, where that and not the
    sizes gives the places of the samples; "area" always goes by the sizes."""
    rows = _sampling(image.shape[0], height, mode, scale)
    columns = _sampling(image.shape[1], width, mode, scale)
    down = (rows @ image.reshape(image.shape[0], -1)).reshape(height, image.shape[1], -1)
    return np.asarray(np.einsum("xw,ywc->yxc", columns, down, optimize=True), np.float32)


def add_noise(image: Image, noise: Image, sigma: float, *, clip: bool = True) -> Image:
    """image + noise * sigma / 255, clipped to [0, 1]; noise: standard normal, H x W x 3 (colour) or H x W x 1 (grey)."""
    noisy = image + noise * np.float32(sigma / 255.0)
    return np.asarray(np.clip(noisy, 0, 1, out=noisy) if clip else noisy)


def poisson_rate(image: Image, *, grey: bool = False) -> tuple[Image, float]:
    """(x, V): the picture on 256 levels, luma only where `grey`, H x W x 3 or H x W x 1; V, 2^ceil(log2(different levels in it)).

    The Poisson draw of `add_poisson` has the rate x V: shot noise with as many photons at white as the picture seems to have levels.
    """
    x = quantise(_luma(image)[..., None]) if grey else quantise(image)
    levels = len(np.unique(np.rint(x * 255).astype(np.uint8)))
    return x, float(2 ** np.ceil(np.log2(levels)))


def add_poisson(image: Image, x: Image, levels: float, counts: NDArray[np.integer], scale: float) -> Image:
    """image + (counts / V - x) * scale, clipped; x, levels: of `poisson_rate`; counts: drawn with the rate x V."""
    noise = (counts / levels).astype(np.float32) - x
    return np.asarray(np.clip(image + noise * np.float32(scale), 0, 1))


def jpeg(image: Image, quality: int) -> Image:
    """Through JPEG (4:2:0) and back; the encoder rounds to 8 bits, half to even."""
    pixels = cv2.cvtColor(eight_bits(image), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return from_eight_bits(np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8))


def shift_colour(image: Image, shift: NDArray[np.float64], out: Image | None = None) -> Image:
    """Add one number per channel (RGB, in [0, 1] units), clip. out: where to, which may be the picture itself."""
    shifted = np.asarray(cv2.transform(image, np.column_stack([np.eye(3), shift]), dst=out), np.float32)
    return np.asarray(np.clip(shifted, 0, 1, out=shifted))


def grey(image: Image) -> Image:
    """Rec. 601 luma (0.299, 0.587, 0.114) copied to three channels."""
    return np.asarray(np.repeat(_luma(image)[..., None], 3, axis=2))


def quantise(image: Image, out: Image | None = None) -> Image:
    """Clip and round to 256 levels, half to even. out: where to, which may be the picture itself."""
    return from_eight_bits(eight_bits(image, out), out)


def eight_bits(image: Image, scratch: Image | None = None) -> NDArray[np.uint8]:
    """Clip, times 255, round half to even. image: H x W x C; scratch: of its shape, may be the picture itself."""
    levels = np.multiply(image, np.float32(255), out=scratch)  # in float32, as published: what lies half way is decided here
    return np.asarray(cv2.convertScaleAbs(np.maximum(levels, 0, out=levels)), np.uint8).reshape(image.shape)


def from_eight_bits(levels: NDArray[np.uint8], out: Image | None = None) -> Image:
    """H x W x C uint8 to float32 / 255."""
    return np.asarray(np.divide(levels, np.float32(255), out=out, dtype=np.float32))


def sharpen(image: Image, *, radius: int = 50, weight: float = 0.5, threshold: float = 10) -> Image:
    """Unsharp mask where it shows (Real-ESRGAN's target): residual r = x - blur; where |r| is over threshold / 255, softly, x + weight r.

    radius: side of the Gaussian, made odd; its sigma is OpenCV's for that side (8.0 for 51).
    """
    side = radius + 1 - radius % 2
    smooth = cv2.GaussianBlur(image, (side, side), 0)
    residual = image - smooth
    soft = cv2.GaussianBlur((np.abs(residual) * 255 > threshold).astype(np.float32), (side, side), 0)
    return np.asarray(soft * np.clip(image + np.float32(weight) * residual, 0, 1) + (1 - soft) * image, np.float32)


def haze(image: Image, alpha: float) -> Image:
    """alpha x + (1 - alpha): white fog (RestoreFormer++)."""
    return np.asarray(image * np.float32(alpha) + np.float32(1 - alpha))


def expose(image: Image, gain: float) -> Image:
    """x gain, not clipped (RestoreFormer++)."""
    return np.asarray(image * np.float32(gain))


def displace(image: Image, reach: int, down: int, along: int) -> Image:
    """A window of the picture continued symmetrically by `reach` pixels; down, along: the window's corner, 0 to 2 reach, `reach`
    being where it was."""
    height, width = image.shape[:2]
    wide = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    return np.ascontiguousarray(wide[down : down + height, along : along + width])


def patch(image: Image, other: Image, left: int, top: int, side: int) -> Image:
    """A square of `other` laid on the picture (the uneven damage of RestoreFormer++)."""
    result: Image = image.copy()
    result[top : top + side, left : left + side] = other[top : top + side, left : left + side]
    return result


_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def _luma(image: Image) -> Image:
    return np.asarray(image @ _LUMA)


def _sampling(inputs: int, outputs: int, mode: Mode, scale: float | None) -> NDArray[np.float32]:
    """outputs x inputs: how much of each input is in each output."""
    matrix = np.zeros((outputs, inputs), np.float64)
    place = np.arange(outputs)
    if mode == "area":
        for out in place:
            low, high = out * inputs // outputs, -(-(out + 1) * inputs // outputs)
            matrix[out, low:high] = 1 / (high - low)
        return np.asarray(matrix, np.float32)
    at = (place + 0.5) * (inputs / outputs if scale is None else 1 / scale) - 0.5
    if mode == "bilinear":
        at = np.maximum(at, 0)
    near = np.floor(at).astype(int)
    part = at - near
    linear, cubic = {0: 1 - part, 1: part}, {step: _cubic(part - step) for step in (-1, 0, 1, 2)}
    for step, weight in (linear if mode == "bilinear" else cubic).items():
        np.add.at(matrix, (place, np.clip(near + step, 0, inputs - 1)), weight)
    return np.asarray(matrix, np.float32)


def _cubic(x: NDArray[np.float64], a: float = -0.75) -> NDArray[np.float64]:
    """Keys' kernel, with PyTorch's and OpenCV's parameter."""
    x = np.abs(x)
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = ((x - 5) * x + 8) * x * a - 4 * a
    return np.asarray(np.where(x <= 1, inner, np.where(x < 2, outer, 0)))
