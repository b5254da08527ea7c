"""NIQE: its fit, its model, what it orders and what it refuses."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from facewright.data import read_manifest
from facewright.errors import InputError, ModelError
from facewright.metrics import NiqeFit, NiqeModel, fit_niqe, niqe
from facewright.metrics.imresize import imresize
from facewright.metrics.niqe_features import _halved, asymmetric_fit, block_features


def textures(count: int = 1, height: int = 192, width: int = 288, seed: int = 0) -> Tensor:
    """Something like a photograph: noise whose power falls with its frequency, uint8."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(random.standard_normal((count, 3, height, width))) / frequency
    signal = np.fft.ifft2(spectrum).real
    signal /= signal.std(axis=(2, 3), keepdims=True)
    return torch.from_numpy(np.clip(np.rint(128 + 40 * signal), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def faces_model() -> NiqeModel:
    return NiqeModel.bundled()


@settings(max_examples=25, deadline=None, derandomize=True)  # a statistic: some draws miss it
@given(shape=st.floats(0.5, 6), left=st.floats(0.2, 5), right=st.floats(0.2, 5), seed=st.integers(0, 1000))
def test_the_fit_finds_the_distribution_that_was_drawn_from(shape: float, left: float, right: float, seed: int) -> None:
    """x is left * g with the chance left / (left + right), else right * g; g^shape is drawn from a gamma distribution."""
    random = np.random.default_rng(seed)
    size = random.gamma(1 / shape, 1, 200_000) ** (1 / shape)
    side = random.random(200_000) < left / (left + right)
    x = torch.from_numpy(np.where(side, -left * size, right * size))[None]
    alpha, beta_left, beta_right = (float(each[0]) for each in asymmetric_fit(x))
    assert alpha == pytest.approx(shape, rel=0.08)
    assert beta_left == pytest.approx(left, rel=0.06) and beta_right == pytest.approx(right, rel=0.06)


@given(scale=st.floats(0.01, 100), seed=st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_the_fit_scales_and_mirrors(scale: float, seed: int) -> None:
    x = torch.from_numpy(np.random.default_rng(seed).laplace(0, 1, (3, 2000)))
    alpha, left, right = asymmetric_fit(x)
    scaled = asymmetric_fit(x * scale)
    mirrored = asymmetric_fit(-x)
    for found, expected in zip(scaled, (alpha, left * scale, right * scale), strict=True):
        # a rounding may move alpha by a step of its grid
        torch.testing.assert_close(found, expected, rtol=5e-3, atol=0)
    for found, expected in zip(mirrored, (alpha, right, left), strict=True):
        torch.testing.assert_close(found, expected, rtol=5e-3, atol=0)


def test_half_in_single_precision_is_half() -> None:
    luma = textures(1, 96, 192)[0, 0].double()
    torch.testing.assert_close(_halved(luma), imresize(luma, 0.5), rtol=1e-5, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(scale=st.sampled_from([0.25, 1 / 3, 0.5, 0.8, 1.5, 2.0, 3.0]), height=st.integers(3, 30), width=st.integers(3, 30))
def test_resizing_keeps_flat_pictures_and_is_linear(scale: float, height: int, width: int) -> None:
    flat = torch.full((height, width), 0.37, dtype=torch.float64)
    torch.testing.assert_close(imresize(flat, scale), torch.full_like(imresize(flat, scale), 0.37))
    a, b = (torch.rand(2, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    torch.testing.assert_close(imresize(2 * a + b, scale), 2 * imresize(a, scale) + imresize(b, scale))


def test_a_batch_is_its_pictures_one_by_one(faces_model: NiqeModel) -> None:
    pictures = textures(3)
    together = niqe(pictures, faces_model)
    assert together.shape == (3,) and together.dtype == torch.float64
    assert torch.equal(together, torch.cat([niqe(pictures[n : n + 1], faces_model) for n in range(3)]))
    assert torch.equal(together, niqe(pictures.double() / 255, faces_model))


def test_grey_pictures_and_what_lies_beyond_whole_blocks(faces_model: NiqeModel) -> None:
    grey = textures(1)[:, :1]
    assert torch.equal(niqe(grey, faces_model), niqe(grey.repeat(1, 3, 1, 1), faces_model))
    larger = torch.nn.functional.pad(grey, (0, 95, 0, 95), value=7)
    assert torch.equal(niqe(larger, faces_model), niqe(grey, faces_model))
    framed = torch.nn.functional.pad(grey, (4, 4, 4, 4), value=7)
    assert torch.equal(niqe(framed, faces_model, crop=4), niqe(grey, faces_model))


def test_what_cannot_be_judged_is_refused(faces_model: NiqeModel) -> None:
    with pytest.raises(InputError, match="191 x 96 has less than two blocks"):
        niqe(torch.rand(1, 3, 96, 191), faces_model)
    with pytest.raises(InputError, match="NIQE of picture 1"):
        niqe(torch.stack([textures(1)[0], torch.full((3, 192, 288), 90, dtype=torch.uint8)]), faces_model)
    bad = torch.rand(1, 3, 192, 192)
    bad[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="not numbers"):
        niqe(bad, faces_model)


def test_a_model_judges_what_it_was_fitted_to_best() -> None:
    own = fit_niqe([textures(4, seed=seed) for seed in range(4)], "textures")
    assert own.name == "textures"
    same, blurred = textures(3, seed=50), torch.nn.functional.avg_pool2d(textures(3, seed=50).float(), 5, 1, 2).byte()
    assert (niqe(same, own) < 0.4 * niqe(blurred, own)).all()


def test_parts_of_a_fit_are_the_whole_fit(tmp_path: Path) -> None:
    parts = [NiqeFit(), NiqeFit()]
    for number, part in enumerate(parts):
        for seed in range(3):
            part.update(textures(2, seed=10 * number + seed))
    whole = fit_niqe([textures(2, seed=10 * number + seed) for number in range(2) for seed in range(3)])
    parts[0].merge(parts[1])
    joined = parts[0].compute()
    assert parts[0].pictures == 12 and parts[0].blocks > 36
    torch.testing.assert_close(joined.mean, whole.mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(joined.covariance, whole.covariance, rtol=1e-9, atol=1e-12)
    joined.save(tmp_path / "own.npz")
    again = NiqeModel.read(tmp_path / "own.npz", "own")
    torch.testing.assert_close(niqe(textures(1), again), niqe(textures(1), joined))


def test_only_sharp_blocks_count() -> None:
    half = textures(1, 96, 192)
    half[..., 96:] = 128 + (half[..., 96:].float() * 0.02).byte()
    fit = NiqeFit()
    fit.update(half)
    assert fit.blocks == 1
    with pytest.raises(InputError, match="1 sharp blocks of at least 37"):
        fit.compute()


def test_a_file_that_is_no_model_is_refused(tmp_path: Path, faces_model: NiqeModel) -> None:
    with pytest.raises(ModelError, match="no such file") as refused:
        NiqeModel.read(tmp_path / "nothing.npz")
    assert "niqe_pris_params.npz" in refused.value.what_to_do
    (tmp_path / "text.npz").write_text("no")
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    good = {"mu_pris_param": np.ones((1, 36)), "cov_pris_param": np.eye(36), "gaussian_window": np.full((7, 7), 1 / 49)}
    np.savez(tmp_path / "shape.npz", **(good | {"cov_pris_param": np.eye(35)}))  # type: ignore[arg-type]
    np.savez(tmp_path / "nan.npz", **(good | {"mu_pris_param": np.full((1, 36), np.nan)}))  # type: ignore[arg-type]
    np.savez(tmp_path / "window.npz", **(good | {"gaussian_window": np.eye(7) / 7}))  # type: ignore[arg-type]
    for name in ("text", "other", "shape", "nan", "window"):
        with pytest.raises(ModelError, match="cannot use the NIQE parameters"):
            NiqeModel.read(tmp_path / f"{name}.npz")
    np.savez(tmp_path / "good.npz", **good)  # type: ignore[arg-type]
    assert NiqeModel.read(tmp_path / "good.npz").name == "published"


def test_blocks_are_taken_down_the_columns() -> None:
    """A sharp block in the second row of the first column is the second of all."""
    luma = torch.full((192, 288), 100.0, dtype=torch.float64)
    luma[96:, :96] = textures(1, 96, 96)[0, 0].double()
    _, sharpness = block_features(luma, NiqeModel.bundled().weights)
    assert int(sharpness.argmax()) == 1


FACES = Path(os.environ.get("FACEWRIGHT_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "faces"


@pytest.mark.skipif(not (FACES / "manifest.csv").is_file(), reason="the shared faces are not here")
def test_faces_are_worse_with_every_step_of_damage(faces_model: NiqeModel) -> None:
    """People whom the model was not fitted to, at the size that it was fitted at; the mean over 16 of them."""
    rows = read_manifest(FACES, lambda row: row.split == "val" and row.stored_width >= 384 and not row.grey)[::10][:16]
    faces = [cv2.resize(np.asarray(cv2.imread(str(row.file))), (384, 384), interpolation=cv2.INTER_AREA) for row in rows]
    assert len(faces) == 16
    noise = [np.random.default_rng(number).standard_normal(face.shape) for number, face in enumerate(faces)]
    damage = {
        "blur": [lambda face, _, sigma=sigma: cv2.GaussianBlur(face, (0, 0), sigma) for sigma in (1, 2, 4)],
        "noise": [lambda face, z, level=level: np.clip(np.rint(face + level * z), 0, 255).astype(np.uint8) for level in (4, 12, 32)],
        "jpeg": [
            lambda face, _, quality=quality: cv2.imdecode(cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
            for quality in (60, 30, 10)
        ],
    }

    def score(pixels: list[np.ndarray]) -> float:
        pictures = torch.from_numpy(np.stack(pixels)[..., ::-1].copy()).permute(0, 3, 1, 2)
        return float(niqe(pictures, faces_model).mean())

    clean = score(faces)
    assert 2 < clean < 4
    for kind, steps in damage.items():
        series = [clean, *(score([step(face, z) for face, z in zip(faces, noise, strict=True)]) for step in steps)]
        assert all(worse > 1.1 * better for better, worse in pairwise(series)), (kind, series)
