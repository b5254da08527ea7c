"""NIQE: how far a picture's statistics are from those of pristine ones, without a truth to compare with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from facewright.errors import InputError, ModelError
from facewright.metrics.colour import checked, cropped, levels
from facewright.metrics.conventions import Convention, NiqeRule, changed
from facewright.metrics.conventions import convention as named
from facewright.metrics.moments import Moments
from facewright.metrics.niqe_features import BLOCK, FEATURES, block_features
from facewright.metrics.windows import gaussian

HERE = Path(__file__).parent
SHARP = 0.75
"""When a model is fitted, blocks with this part of the sharpness of the picture's sharpest count (the published choice)."""


@dataclass(frozen=True)
class NiqeModel:
    """Mean (36) and covariance (36 x 36) of pristine blocks' features, and the 7 weights of the window. name: "published", "faces", ..."""

    name: str
    mean: Tensor
    covariance: Tensor
    weights: Tensor = field(default_factory=lambda: gaussian(7 / 6, 3))

    @classmethod
    def bundled(cls) -> NiqeModel:
        """`niqe[faces]`: fitted on this project's face crops; niqe-faces.md says on which."""
        return cls.read(HERE / "niqe-faces.npz", "faces")

    @classmethod
    def read(cls, path: str | Path, name: str = "published") -> NiqeModel:
        """A parameter file: BasicSR's niqe_pris_params.npz, or one of `save`. Raises ModelError where it is missing or is none."""
        path = Path(path)
        try:
            with np.load(path, allow_pickle=False) as stored:
                held = {key: np.asarray(stored[key], np.float64) for key in ("mu_pris_param", "cov_pris_param", "gaussian_window")}
        except FileNotFoundError:
            hint = "give the path of niqe_pris_params.npz of BasicSR; facewright ships only niqe[faces]"
            raise ModelError(f"cannot read the NIQE parameters {path}", "there is no such file", hint) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"cannot use the NIQE parameters {path}", f"not mean, covariance and window in an .npz ({error})", "get the file again"
            ) from error
        mean, covariance, window = (torch.from_numpy(value) for value in held.values())
        if mean.numel() != FEATURES or covariance.shape != (FEATURES, FEATURES) or window.shape != (7, 7):
            raise ModelError(f"cannot use the NIQE parameters {path}", "the shapes are not those of NIQE", "get the file again")
        if not all(bool(value.isfinite().all()) for value in (mean, covariance, window)):
            raise ModelError(f"cannot use the NIQE parameters {path}", "they hold values that are not numbers", "get the file again")
        weights = window.sum(0)
        if float((torch.outer(weights, weights) - window).abs().max()) > 1e-9:
            raise ModelError(f"cannot use the NIQE parameters {path}", "its window is not a product of two", "get the file again")
        return cls(name, mean.flatten(), covariance, weights)

    def save(self, path: str | Path) -> None:
        """As `read` reads it, with the names of the published file."""
        window = torch.outer(self.weights, self.weights)
        np.savez_compressed(
            path, mu_pris_param=self.mean[None].numpy(), cov_pris_param=self.covariance.numpy(), gaussian_window=window.numpy()
        )


def niqe(
    pictures: Tensor, model: NiqeModel, *, convention: str | Convention = "basicsr", channel: str | None = None, crop: int | None = None
) -> Tensor:
    """`niqe[published, y, basicsr]` or `niqe[faces, y, basicsr]`: distance of a picture's blocks from pristine ones; lower is better.

    pictures: N x 3 x H x W or N x 1 x H x W, in [0, 1] or uint8, with at least two blocks of 96 x 96. channel: "y" and "gray" as BasicSR
    has them, "yiq" as pyiqa. Numbers of different models cannot be compared.
    Returns N values, float64. Raises InputError for NaN, for pictures that are too small, and for flat ones, naming which.
    """
    rule: NiqeRule = changed(named(convention).niqe, channel=channel, crop=crop)
    values = []
    for number, luma in enumerate(_lumas(pictures, rule)):
        features, _ = block_features(luma, model.weights, guarded=rule.guarded)
        usable = features[~features.isnan().any(1)]
        if len(usable) < 2:
            raise InputError(f"cannot compute NIQE of picture {number}", "it is flat: fewer than two of its blocks have any texture")
        values.append(_distance(model, features.nanmean(0), usable.T.cov()))
    return torch.stack(values)


def fit_niqe(pictures: Iterable[Tensor], name: str = "own") -> NiqeModel:
    """The model of these pristine pictures (each N x 3 x H x W), by the published procedure. Raises InputError as `NiqeFit`."""
    fit = NiqeFit(name)
    for batch in pictures:
        fit.update(batch)
    return fit.compute()


class NiqeFit:
    """Gathers pristine pictures' sharp blocks: at least `SHARP` of the sharpness of the sharpest block of the same picture."""

    def __init__(self, name: str = "own", convention: str | Convention = "basicsr") -> None:
        self.name, self._rule = name, named(convention).niqe
        self._moments, self.pictures = Moments(), 0
        self._weights = gaussian(7 / 6, 3)

    @property
    def blocks(self) -> int:
        """How many have been taken."""
        return self._moments.count

    def update(self, pictures: Tensor) -> None:
        """N x 3 x H x W or N x 1 x H x W, in [0, 1] or uint8. Raises InputError as `niqe`."""
        for luma in _lumas(pictures, self._rule):
            features, sharpness = block_features(luma, self._weights, guarded=self._rule.guarded)
            chosen = (sharpness > SHARP * sharpness.max()) & ~features.isnan().any(1)
            self._moments.update(features[chosen])
            self.pictures += 1

    def merge(self, other: NiqeFit) -> None:
        self._moments.merge(other._moments)
        self.pictures += other.pictures

    def compute(self) -> NiqeModel:
        """Raises InputError for fewer blocks than features."""
        if self.blocks <= FEATURES:
            raise InputError("too few pictures for a NIQE model", f"{self.blocks} sharp blocks of at least {FEATURES + 1}")
        return NiqeModel(self.name, self._moments.mean.clone(), self._moments.covariance, self._weights)


def _lumas(pictures: Tensor, rule: NiqeRule) -> Iterable[Tensor]:
    """Each picture's luma, H x W in whole levels of 0..255, cut to whole blocks. Raises InputError where it has less than two."""
    pictures = cropped(checked(pictures), rule.crop)
    height, width = (side // BLOCK * BLOCK for side in pictures.shape[-2:])
    if height * width < 2 * BLOCK**2:
        size = " x ".join(str(side) for side in reversed(pictures.shape[-2:]))
        raise InputError("these pictures are too small for NIQE", f"{size} has less than two blocks of {BLOCK} x {BLOCK}")
    for picture in pictures:
        yield _whole_luma(picture, rule)[:height, :width]


def _whole_luma(picture: Tensor, rule: NiqeRule) -> Tensor:
    """3 x H x W to H x W whole levels. One pixel rounded the other way shows in NIQE's fourth digit: hence the ways to compute."""
    if rule.guarded or rule.channel == "yiq":
        return levels(picture[None], "y" if rule.channel == "y" else "yiq", whole_luma=True)[0, 0]
    red, green, blue = picture.float() / 255 if picture.dtype == torch.uint8 else picture.float()
    if rule.channel == "gray":
        grey = np.asarray(cv2.cvtColor(torch.stack([blue, green, red], -1).cpu().numpy(), cv2.COLOR_BGR2GRAY))
        return torch.from_numpy(grey * np.float32(255)).round().to(picture.device)
    studio: Tensor = (24.966 * blue.double() + 128.553 * green.double() + 65.481 * red.double() + 16) / 255
    return torch.round(studio.float() * 255)


def _distance(model: NiqeModel, mean: Tensor, covariance: Tensor) -> Tensor:
    apart = mean.cpu() - model.mean
    inverse: Tensor = torch.linalg.pinv((covariance.cpu() + model.covariance) / 2, hermitian=True)
    return torch.sqrt(apart @ inverse @ apart)
