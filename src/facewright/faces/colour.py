"""Bring the colours of a restored crop to those of the photo it goes back into.

A network drifts: a little warmer, a little flatter. Its colours are corrected as a whole (mean and spread of the blurred pictures, inside
the mask), gently, so that restored detail stays and stains do not come back. A toned print keeps its tone.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]

# Luma and two colour differences (ITU-R BT.601), from RGB in [0, 1]; they are nearly independent, so each is matched by itself.
_TO_OPPONENT = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
_FROM_OPPONENT = np.linalg.inv(_TO_OPPONENT.astype(np.float64)).astype(np.float32)

_BLUR = 1 / 24  # of the crop's side: what is finer is the network's to decide
_COLOUR_BLUR = 1 / 32
_COLOUR_ROOM = 0.015  # about what chroma subsampling loses
_GAIN = (0.85, 1.15)
_SHIFT = 0.12
# A print is toned, or grey, where its colour follows from its luma to within this, or to within a part of its colour but at most the last.
# Measured on real prints: to 0.008, strong sepia to 0.0125 of 0.1; faces in colour miss by 0.012 of 0.03 and more.
_TONED = (0.009, 0.14, 0.014)


def match_colour(restored: Picture, reference: Picture, mask: NDArray[np.float32]) -> Picture:
    """The restored crop with the reference's overall brightness, contrast and colour.

    restored, reference: S x S x 3 RGB in [0, 1]. mask: S x S, where to compare. Returns S x S x 3 in [0, 1].
    """
    weight = mask / max(float(mask.sum()), 1e-6)
    ours, theirs = (picture @ _TO_OPPONENT.T for picture in (restored, reference))
    coarse_ours, coarse_theirs = (cv2.GaussianBlur(picture, (0, 0), max(1.0, _BLUR * len(mask))) for picture in (ours, theirs))
    matched = _match_moments(ours, coarse_ours, coarse_theirs, weight)
    # the whole crop tells: skin alone, of a faded colour print, follows from its brightness nearly as a toned print does
    if (tone := tone_of(reference, np.ones_like(mask))) is not None:
        matched[..., 1:] = tone.chroma(matched[..., 0])
    return np.asarray(np.clip(matched @ _FROM_OPPONENT.T, 0, 1), np.float32)


def hold_colour(restored: Picture, reference: Picture) -> Picture:
    """The restored crop without colour detail that the reference does not have: a small network likes to invent blue eyes.

    What stands out of the coarse colour may do so as far as it does in the reference, and a little further; brightness is free.
    restored, reference: S x S x 3 RGB in [0, 1]. Returns the same.
    """
    ours, theirs = (picture @ _TO_OPPONENT.T for picture in (restored, reference))
    sigma = max(1.0, _COLOUR_BLUR * len(restored))
    coarse = cv2.GaussianBlur(ours, (0, 0), sigma)[..., 1:]
    known = cv2.GaussianBlur(theirs, (0, 0), sigma / 4)[..., 1:] - cv2.GaussianBlur(theirs, (0, 0), sigma)[..., 1:]
    detail = np.clip(ours[..., 1:] - coarse, np.minimum(known, 0) - _COLOUR_ROOM, np.maximum(known, 0) + _COLOUR_ROOM)
    held = np.concatenate([ours[..., :1], coarse + detail], axis=2)
    return np.asarray(np.clip(held @ _FROM_OPPONENT.T, 0, 1), np.float32)


def _match_moments(picture: Picture, coarse: Picture, target: Picture, weight: NDArray[np.float32]) -> Picture:
    mean, spread = _moments(coarse, weight)
    wanted_mean, wanted_spread = _moments(target, weight)
    gain = np.clip(wanted_spread / np.maximum(spread, 1e-3), *_GAIN)
    shift = np.clip(wanted_mean - mean, -_SHIFT, _SHIFT)
    return np.asarray((picture - mean) * gain + mean + shift, np.float32)


def _moments(picture: Picture, weight: NDArray[np.float32]) -> tuple[Picture, Picture]:
    mean = (picture * weight[..., None]).sum(axis=(0, 1))
    spread = np.sqrt((((picture - mean) ** 2) * weight[..., None]).sum(axis=(0, 1)))
    return mean, spread


class Tone:
    """Colour differences as a parabola of luma: grey (all zero), sepia, cyanotype."""

    def __init__(self, coefficients: NDArray[np.float64]) -> None:
        self.coefficients = coefficients

    def chroma(self, luma: Picture) -> Picture:
        """luma: any shape in [0, 1]. Returns that shape x 2."""
        powers = np.stack([np.ones_like(luma), luma, luma * luma], axis=-1)
        return np.asarray(powers @ self.coefficients, np.float32)


def tone_of(picture: Picture, mask: NDArray[np.float32]) -> Tone | None:
    """The tone of a grey or toned picture; None for one in colour. picture: S x S x 3 in [0, 1]; mask: S x S, where to look."""
    luma, *chroma = (cv2.GaussianBlur(picture, (0, 0), max(1.0, len(mask) / 128)) @ _TO_OPPONENT.T)[mask > 0.5].T.astype(np.float64)
    if len(luma) < 3:
        return None
    powers = np.stack([np.ones_like(luma), luma, luma * luma], axis=1)
    wanted = np.stack(chroma, axis=1)
    coefficients = np.linalg.lstsq(powers, wanted, rcond=None)[0]
    missed = np.sqrt(((powers @ coefficients - wanted) ** 2).sum(axis=1).mean())
    colour = np.sqrt((wanted**2).sum(axis=1).mean())
    return Tone(coefficients) if missed < max(_TONED[0], min(_TONED[1] * colour, _TONED[2])) else None


def in_tone(picture: Picture, tone: Tone) -> Picture:
    """The picture as a print of that tone has it; S x S x 3 RGB in [0, 1] both."""
    luma = picture @ _TO_OPPONENT[0]
    toned = np.concatenate([luma[..., None], tone.chroma(luma)], axis=2)
    return np.asarray(np.clip(toned @ _FROM_OPPONENT.T, 0, 1), np.float32)


def is_grey(picture: NDArray[Any], threshold: float = 10) -> bool:
    """CodeFormer's test of an 8-bit RGB picture: the mean variance of the differences between its channels is at most `threshold`."""
    red, green, blue = np.moveaxis(picture.astype(np.int64), -1, 0)
    return bool(np.mean([np.var(blue - green), np.var(green - red), np.var(red - blue)]) <= threshold)


def as_grey(picture: NDArray[Any]) -> NDArray[np.float64]:
    """CodeFormer's grey of an RGB picture: three equal channels, 0.2989 R + 0.5870 G + 0.1140 B."""
    grey = picture[..., :3].astype(np.float64) @ np.array([0.2989, 0.5870, 0.1140])
    return np.repeat(grey[..., None], 3, axis=2)


def adain(content: NDArray[Any], style: NDArray[Any]) -> NDArray[np.float64]:
    """Each channel of `content` with the mean and standard deviation of `style`'s (Huang and Belongie 2017), H x W x C, any range.

    CodeFormer does this to grey photos; its variances carry + 1e-5.
    """
    content, style = np.asarray(content, np.float64), np.asarray(style, np.float64)
    mean, spread = content.mean(axis=(0, 1)), np.sqrt(content.var(axis=(0, 1)) + 1e-5)
    wanted, wanted_spread = style.mean(axis=(0, 1)), np.sqrt(style.var(axis=(0, 1)) + 1e-5)
    return np.asarray((content - mean) / spread * wanted_spread + wanted)
