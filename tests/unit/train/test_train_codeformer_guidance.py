"""Who judges the pictures of CodeFormer's training, and who is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from facewright.errors import ModelError, UsageError
from facewright.losses import lpips_loss
from facewright.train.recipes.codeformer.guidance import load_guidance
from facewright.train.recipes.codeformer.settings import CodeFormerSettings
from facewright.weights import catalog
from facewright.weights.judges import load_judge
from small_networks import lpips_heads, lpips_trunk

CPU = torch.device("cpu")


def judged_by(name: str, **weights: float) -> CodeFormerSettings:
    plain = CodeFormerSettings()
    return CodeFormerSettings(perceptual=name, weights=plain.weights | weights)


@pytest.fixture
def pictures() -> tuple[Tensor, Tensor]:
    restored, truth = torch.rand(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return restored.requires_grad_(True), truth


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(catalog.VARIABLE, str(tmp_path / "cache"))
    (tmp_path / "cache" / "models").mkdir(parents=True)
    return tmp_path / "cache" / "models"


def test_lpips_is_joined_from_the_files_that_were_fetched(models: Path, pictures: tuple[Tensor, Tensor]) -> None:
    for name, state in (("lpips-alex", lpips_heads("alex")), ("alexnet", lpips_trunk("alex"))):
        torch.save(state, models / catalog.lookup(name).file)
    losses = load_guidance(judged_by("lpips-alex"), CPU)(*pictures)
    assert list(losses) == ["perceptual"]
    torch.testing.assert_close(losses["perceptual"], lpips_loss(load_judge("lpips-alex"), *pictures))  # type: ignore[arg-type]
    losses["perceptual"].backward()
    assert pictures[0].grad is not None and pictures[0].grad.abs().sum() > 0
    with pytest.raises(UsageError, match="LPIPS knows no identity"):
        load_guidance(judged_by("lpips-alex", identity=1.0), CPU)


def test_without_its_files_lpips_is_refused_with_the_ways_out(models: Path) -> None:
    with pytest.raises(ModelError, match="the perceptual loss cannot judge with lpips-vgg: it needs lpips-vgg and vgg16") as caught:
        load_guidance(judged_by("lpips-vgg"), CPU)
    assert "models get lpips-vgg vgg16" in caught.value.what_to_do and "recipe.perceptual=identity-dlib" in caught.value.what_to_do
    with pytest.raises(ModelError, match="it is no LPIPS and no face embedding"):
        load_guidance(judged_by("gfpgan-mini"), CPU)


def test_the_stand_in_judges_both_and_nobody_nothing(pictures: tuple[Tensor, Tensor]) -> None:
    assert set(load_guidance(judged_by("identity-dlib", identity=1.0), CPU)(*pictures)) == {"perceptual", "identity"}
    assert set(load_guidance(judged_by("identity-dlib"), CPU)(*pictures)) == {"perceptual"}
    assert load_guidance(judged_by("none"), CPU)(*pictures) == {}
