"""A grey photo made ready for colour."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image, ImageCms

from facewright.media import png
from facewright.media.photo import Origin, Photo, Pixels
from facewright.media.pixels import colour_space


def in_colour(photo: Photo) -> Photo:
    """The photo with three channels, which look as its grey does; one that has them already is returned as it is.

    A profile for grey cannot describe colour: where there is one the greys are converted to sRGB by it, which is noted in the origin, and
    no profile is left (that means sRGB). Metadata stay.
    """
    if not photo.is_grey:
        return photo
    grey, origin = photo.pixels, replace(photo.origin, mode="RGB")
    if (converted := _in_srgb(grey, origin)) is not None:
        grey = converted
        # PNG's own statements about colour were those of the grey
        origin = replace(origin, icc=None, chunks=tuple(chunk for chunk in origin.chunks if chunk[0] not in png.COLOUR))
        origin.note("grey converted to sRGB by its colour profile, which cannot describe colour")
    return Photo(np.repeat(grey[..., None], 3, axis=2), photo.alpha, origin)


def _in_srgb(grey: Pixels, origin: Origin) -> Pixels | None:
    """The greys as sRGB has them; None without a profile for grey, or with one that is damaged."""
    if origin.icc is None or colour_space(origin.icc) != "GRAY":
        return None
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    try:
        turned = ImageCms.profileToProfile(
            ramp, ImageCms.ImageCmsProfile(io.BytesIO(origin.icc)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    if turned is None:
        return None
    tones = np.asarray(turned, np.float64)[0].mean(axis=1)
    if grey.dtype == np.uint8:
        return np.asarray(np.rint(tones), np.uint8)[grey]
    wide = np.rint(np.interp(np.arange(65536) / 257, np.arange(256), tones) * 257).astype(np.uint16)
    return np.asarray(wide[grey])
