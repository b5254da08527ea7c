"""From Pillow's many modes to the two we keep, upright, and between depths."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from facewright.media.photo import Pixels


class UnknownLayout(Exception):
    """A pixel layout that cannot be turned into 8 or 16 bit grey or RGB."""


def to_arrays(image: Image.Image, icc: bytes | None) -> tuple[Pixels, Pixels | None, list[str], bool]:
    """(pixels, alpha, notes, whether ``icc`` still describes the pixels) of a loaded image.

    Grey stays grey, also where it was stored as a palette of greys or as black and white. Raises UnknownLayout.
    """
    mode = image.mode
    if mode in ("P", "PA"):
        return (*_from_palette(image, icc), [], True)
    if mode in ("L", "RGB"):
        key = image.info.get("transparency")
        if key is not None:
            image = image.convert("LA" if mode == "L" else "RGBA")
            return (*_split(np.asarray(image)), [], True)
        return np.array(image), None, [], True
    if mode in ("LA", "RGBA"):
        return (*_split(np.asarray(image)), [], True)
    if mode == "1":
        return np.array(image.convert("L")), None, ["black and white is written as 8-bit grey"], True
    if mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16), None, [], True
    if mode in ("La", "RGBa"):
        return (*_split(np.asarray(image.convert("LA" if mode == "La" else "RGBA"))), [], True)
    if mode in ("RGBX", "YCbCr", "HSV"):
        return np.array(image.convert("RGB")), None, [], True
    if mode == "CMYK":
        rgb, how = _from_cmyk(image, icc)
        return np.array(rgb), None, [how], False
    if mode == "LAB":
        rgb = ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB") or image
        return np.array(rgb), None, ["L*a*b* converted to sRGB"], False
    raise UnknownLayout({"I": "32-bit integer samples", "F": "32-bit floating point samples"}.get(mode, f"pixels of the kind {mode}"))


def upright(array: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Undo EXIF's orientation (1..8; anything else counts as 1). array: H x W (x C), copied only where needed."""
    turned = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }.get(orientation, lambda a: a)(array)
    return np.ascontiguousarray(turned)


def as_depth(array: Pixels, dtype: npt.DTypeLike) -> Pixels:
    """The same picture in uint8 or uint16: 255 and 65535 are both white, 16 to 8 bits rounds to nearest."""
    if array.dtype == dtype:
        return array
    if np.dtype(dtype) == np.uint16:
        return np.multiply(array, 257, dtype=np.uint16)
    eight = np.empty(array.shape, np.uint8)
    # By blocks of rows: the 32-bit intermediate of a whole photo would be twice the photo.
    for top in range(0, len(array), 64):
        eight[top : top + 64] = (array[top : top + 64].astype(np.uint32) + 128) // 257
    return eight


def stacked(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    """pixels and alpha in one array, H x W (x 2, 3 or 4)."""
    return pixels if alpha is None else np.dstack([pixels, alpha])


def colour_space(icc: bytes | None) -> str:
    """ "RGB", "GRAY", "CMYK" ... of a profile, "" without one."""
    return icc[16:20].decode("latin-1").strip() if icc else ""


def _split(array: npt.NDArray[np.uint8]) -> tuple[Pixels, Pixels]:
    colour = array[..., 0] if array.shape[2] == 2 else array[..., :3]
    return np.ascontiguousarray(colour), np.ascontiguousarray(array[..., -1])


def _from_palette(image: Image.Image, icc: bytes | None) -> tuple[Pixels, Pixels | None]:
    colours = np.zeros((256, 3), np.uint8)
    flat = np.array(image.getpalette("RGB") or [], np.uint8)[: 256 * 3].reshape(-1, 3)
    colours[: len(flat)] = flat

    opacity: npt.NDArray[np.uint8] | None = None
    key = image.info.get("transparency")
    if isinstance(key, bytes):
        opacity = np.full(256, 255, np.uint8)
        opacity[: len(key[:256])] = np.frombuffer(key[:256], np.uint8)
    elif isinstance(key, int) and 0 <= key < 256:
        opacity = np.full(256, 255, np.uint8)
        opacity[key] = 0

    if image.mode == "PA":
        index, own_alpha = np.asarray(image.getchannel(0)), np.array(image.getchannel("A"))
    else:
        index, own_alpha = np.asarray(image), None
    used = np.bincount(index.reshape(-1), minlength=256) > 0
    # A grey picture under an RGB profile stays RGB, else the profile would no longer fit.
    grey = bool((colours[used] == colours[used][:, :1]).all()) and colour_space(icc) in ("", "GRAY")
    pixels = (colours[:, 0] if grey else colours)[index]
    return pixels, own_alpha if own_alpha is not None else (opacity[index] if opacity is not None else None)


def _from_cmyk(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, str]:
    """CMYK to sRGB through the embedded profile, else by the plain formula. (Pillow has undone Adobe's inversion of JPEG already.)"""
    if icc and colour_space(icc) == "CMYK":
        try:
            rgb = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(icc)),
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
        except (ImageCms.PyCMSError, OSError):
            rgb = None
        if rgb is not None:
            return rgb, "CMYK converted to sRGB by its colour profile"
    return image.convert("RGB"), "CMYK converted to RGB without a colour profile: colours are approximate"
