"""What the recipe `codeformer` can be told, the published values, and its rates."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
from codeformer_runs import planned

from facewright.errors import UsageError
from facewright.train.recipes.codeformer import STAGES, CodeFormerSettings, begun
from facewright.train.recipes.codeformer.fuse import fusing_w, learns_codes_only
from facewright.train.recipes.codeformer.rates import set_rates
from facewright.train.run import defaults
from facewright.train.settings import resolve


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("stage=third", "recipe.stage cannot be 'third'.*vqgan, transformer, fuse"),
        ("task=cleaning", "recipe.task cannot be"),
        ("augmentation=wild", "recipe.augmentation cannot be"),
        ("quantizer=soft", "recipe.quantizer cannot be.*nearest, gumbel"),
        ("weights.pixels=1", "no loss 'pixels'.*pixel"),
        ("weights={pixel: 1}", "the loss grid has no weight"),
        ("damage={heavyy: 1}", "'heavyy'.*heavy"),
        ("damage_large={heavyy: 1}", "'heavyy'"),
        ("size=30", "recipe.size cannot be 30.*one code of 4 pixels"),
        ("crop=33", "recipe.crop cannot be 33"),
        ("betas=[0.9]", "recipe.betas cannot be"),
        ("betas=[0.9, 1]", "recipe.betas cannot be"),
        ("w=[0, 1]", "recipe.w cannot be"),
        ("w=[1]", "recipe.w cannot be"),
        ("ema_decay=1", "recipe.ema_decay cannot be 1"),
        ("shares={us: 1}", "leaves nothing"),
        ("shares={us: -0.1}", "leaves nothing"),
        ("augmentation=wide", "recipe.cached cannot be true.*twice.*recipe.cached=false"),
        ("damage={gfpgan-no-color: 1}", "recipe.cached cannot be true.*gfpgan-no-color changes the true face"),
        ("damage_large={dfdnet: 1}", "dfdnet changes the true face"),
    ],
)
def test_what_cannot_be_is_refused_at_once(override: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        planned("nowhere", "vqgan" if override.startswith("stage") else "fuse", f"recipe.{override}")
    assert re.search(told, f"{caught.value} {caught.value.what_to_do}"), str(caught.value)


def test_a_file_of_codes_needs_faces_that_stay_the_same() -> None:
    with pytest.raises(UsageError, match=r"recipe\.codes cannot be used"):
        planned("nowhere", "fuse", "recipe.cached=false", "recipe.codes=latent.pth", "recipe.augmentation=wide")
    planned("nowhere", "fuse", "recipe.cached=false", "recipe.augmentation=wide", "recipe.damage={gfpgan-no-color: 1}")


def paper(stage: str, preset: str = "paper") -> tuple[CodeFormerSettings, int, int, float]:
    plan = resolve(defaults("codeformer"), "codeformer", preset, [f"recipe.stage={stage}"], stage)
    return plan.recipe, plan.run.steps, plan.run.batch, plan.run.clip_norm


def in_use(settings: CodeFormerSettings, *names: str) -> dict[str, float]:
    return {name: settings.weights[name] for name in names}


def test_the_published_training_is_a_preset() -> None:
    """Option files of the published program."""
    first, steps, batch, clip = paper("vqgan")
    assert (steps, batch) == (1_600_000, 8 * 4) and clip >= 1e9
    assert (first.rate, first.rate_discriminator, first.cosine_period, first.rate_end) == (7e-5, 7e-5, 1_600_000, 6e-5)
    assert (first.ema_decay, first.ema_rises, first.adversarial_from, first.betas) == (0.995, False, 30_001, (0.9, 0.99))
    wanted = {"pixel": 1, "perceptual": 1, "codebook": 1, "adversarial": 0.8, "grid": 0, "identity": 0}
    assert in_use(first, *wanted) == wanted and first.perceptual == "lpips-vgg" and first.largest_adaptive == 1
    assert (first.codes_from, first.revive_every, first.crop, first.fold, first.guidance_every, first.warm_up) == (0, 0, 0, 1, 1, 0)
    assert (first.size, first.nf, first.ch_mult, first.res_blocks, first.attn_resolutions) == (512, 64, (1, 2, 2, 4, 4, 8), 2, (16,))
    assert (first.codebook_size, first.emb_dim, first.ndf, first.discriminator_layers) == (1024, 256, 64, 4)
    assert (first.augmentation, first.shares) == ("mirror", {})

    second, steps, batch, clip = paper("transformer")
    assert (steps, batch) == (500_000, 8 * 4) and clip >= 1e9
    assert (second.rate, second.milestones, second.cosine_period, second.ema_decay) == (1e-4, (400_000, 450_000), 0, 0.995)
    assert in_use(second, "feature", "cross_entropy") == {"feature": 1.0, "cross_entropy": 0.5}
    assert (second.damage, second.connect_list) == ({"codeformer-stage2": 1.0}, (32, 64, 128, 256))
    assert (second.dim_embd, second.n_head, second.n_layers) == (512, 8, 9)

    last, steps, batch, clip = paper("fuse")
    assert (steps, batch) == (150_000, 8 * 3) and clip >= 1e9
    assert (last.rate, last.rate_discriminator, last.cosine_period, last.rate_end) == (5e-5, 5e-5, 150_000, 2e-5)
    assert (last.ema_decay, last.adversarial_from, last.adain) == (0.997, 5_001, False)
    wanted = {"pixel": 1, "perceptual": 1, "adversarial": 0.1, "feature": 1, "cross_entropy": 0.5, "grid": 0, "identity": 0}
    assert in_use(last, *wanted) == wanted
    assert (last.damage, last.damage_large) == ({"codeformer-stage3-small": 1.0}, {"codeformer-stage3-large": 1.0})


def test_so_are_its_other_tasks() -> None:
    colours, steps, batch, _ = paper("transformer", "colorization")
    assert (steps, batch, colours.task, colours.connect_list) == (500_000, 32, "colorization", (32, 64, 128))
    assert (colours.rate, colours.milestones, colours.ema_decay) == (1e-4, (400_000, 450_000), 0.995)
    assert (colours.damage, colours.codebook_size) == ({"codeformer-colorization": 1.0}, 1024)

    holes, steps, batch, _ = paper("fuse", "inpainting")
    assert (steps, batch, holes.task, holes.connect_list, holes.codebook_size) == (300_000, 12, "inpainting", (32, 64, 128), 512)
    assert (holes.rate, holes.rate_discriminator, holes.milestones, holes.ema_decay) == (7e-5, 7e-5, (250_000, 300_000), 0.997)
    assert (holes.damage, holes.adversarial_from, holes.weights["adversarial"]) == ({"codeformer-inpainting": 1.0}, 296_001, 0.1)
    assert {fusing_w(holes, step) for step in range(0, steps, 9_999)} == {1.0}
    assert not any(learns_codes_only(holes, step) for step in range(0, steps, 99))


def test_every_preset_can_be_read_for_every_stage() -> None:
    for preset in ("paper", "mini", "tiny", "colorization", "inpainting"):
        for stage in STAGES:
            found = paper(stage, preset)[0]
            assert found.stage == stage
            # as the published networks, or no larger than one processor trains
            assert (found.size, found.nf) == (512, 64) if preset not in ("mini", "tiny") else found.size <= 256


def test_inpainting_starts_from_the_autoencoder_alone(tmp_path: Path) -> None:
    given = ["recipe.vqgan=a.pth", "recipe.start_discriminator=d.pth", "recipe.stage=fuse"]
    holes = resolve(defaults("codeformer"), "codeformer", "inpainting", given, "fuse").recipe
    assert begun(holes, tmp_path) == holes and holes.start == ""


@pytest.mark.parametrize(
    ("iteration", "codes_only", "w"),
    [
        (1, False, 1.0),
        (40_000, False, 1.0),
        (40_001, False, 1.3),
        (80_000, False, 1.3),
        (80_001, True, None),
        (119_999, True, None),
        (120_000, True, None),  # where the published program stops
        (120_001, True, None),
        (120_015, False, 1.3),
        (120_016, True, None),
        (150_000, False, 1.3),
    ],
)
def test_the_last_stage_s_schedule(iteration: int, codes_only: bool, w: float | None) -> None:
    settings = paper("fuse")[0]
    assert learns_codes_only(settings, iteration - 1) == codes_only
    assert w is None or fusing_w(settings, iteration - 1) == w


def rates(settings: CodeFormerSettings, step: int) -> dict[str, float]:
    optimizers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 9.0) for name in ("generator", "discriminator")
    }
    set_rates(optimizers, settings, step)
    return {name: optimizer.param_groups[0]["lr"] for name, optimizer in optimizers.items()}


@pytest.mark.parametrize("step", [0, 1, 40_000, 75_000, 149_999, 150_000, 200_000])
def test_rates_fall_along_half_a_cosine_to_the_same_end(step: int) -> None:
    settings = resolve(defaults("codeformer"), "codeformer", "paper", ["recipe.rate_discriminator=8e-5"], "fuse").recipe
    turned = math.cos(math.pi * min(1, step / 150_000))
    found = rates(settings, step)
    assert found["generator"] == pytest.approx(2e-5 + 0.5 * (5e-5 - 2e-5) * (1 + turned))
    assert found["discriminator"] == pytest.approx(2e-5 + 0.5 * (8e-5 - 2e-5) * (1 + turned))


def test_rates_are_halved_at_milestones_and_may_be_none() -> None:
    settings = paper("transformer")[0]
    found = [rates(settings, step)["generator"] for step in (0, 399_999, 400_000, 449_999, 450_000)]
    assert found == pytest.approx([1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5])
    still = resolve(defaults("codeformer"), "codeformer", "paper", ["recipe.rate=0"], "transformer").recipe
    assert rates(still, 7)["generator"] == 0
