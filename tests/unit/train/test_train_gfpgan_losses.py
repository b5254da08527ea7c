"""The losses of GFPGAN's training: each can be switched, none is made up, and schedules are the published ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from facewright.data import Batch
from facewright.errors import InputError, ModelError, UsageError
from facewright.nets.arcface import ResNetArcFace
from facewright.nets.vgg import VGGFeatures, layer_names
from facewright.train import Engine, RunSettings
from facewright.train.recipes.gfpgan import GfpganRecipe, GfpganSettings
from facewright.train.recipes.gfpgan.guidance import Guidance, check_guidance, identity_loss, load_guidance, perceptual_loss
from facewright.train.recipes.gfpgan.settings import LOSSES, PARTS
from facewright.train.run import defaults
from facewright.train.schedules import rate_at, set_rate
from facewright.train.settings import resolve
from facewright.weights import load_model

ALL = {"pixel": 0.1, "artifact": 1.0, "grid": 1.0, "pyramid": 1.0, "perceptual": 1.0, "style": 50.0, "identity": 10.0}
ALL |= {"adversarial": 0.1, "component": 1.0, "component_style": 200.0}
TOLD = set(ALL) - {"component"} | set(PARTS)


def small(**changes: Any) -> GfpganSettings:
    options: dict[str, Any] = {"size": 32, "fold": 2, "channels": (8, 8, 8), "style": 8, "flavour": "bilinear", "adversarial_from": 0}
    options |= {"crop": 32, "discriminator_channels": (8, 8, 8, 8), "weights": ALL, "r1_every": 4, "warm_up": 0}
    return GfpganSettings(**(options | changes))


def judging(chosen: GfpganSettings) -> Guidance:
    """Small judges that need no file; the recipe takes any."""

    def guide(restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        difference = (restored - clean.detach()).square().mean()
        return {name: difference for name in ("perceptual", "style", "identity") if chosen.weights[name] > 0}

    return guide


BOXES = torch.tensor([[[6.0, 10, 13, 17], [18, 10, 25, 17], [10, 20, 22, 27]]]).expand(2, -1, -1).contiguous()


def faces(boxes: Tensor | None = BOXES) -> Batch:
    damaged, clean = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return Batch(damaged, clean, boxes)


class Listening(Engine):
    """Remembers the updates of a step: network, losses, weights."""

    def update(self, name: str, losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
        self.heard = [*getattr(self, "heard", []), (name, {term: float(value.detach()) for term, value in losses.items()}, dict(weights))]
        super().update(name, losses, weights)


def stepped(chosen: GfpganSettings, folder: Path, at: int = 0, batch: Batch | None = None) -> tuple[GfpganRecipe, Listening]:
    """One step of a new recipe, at that step."""
    torch.manual_seed(0)
    recipe = GfpganRecipe(chosen, 2, 0, guidance=judging(chosen), pairs=lambda start: iter(()))
    engine = Listening(recipe, RunSettings(batch=2, device="cpu", precision="fp32", tensorboard=False), folder)
    engine.step = at
    recipe.step(batch or faces())
    return recipe, engine


def test_all_of_them_at_once_and_in_the_published_order(tmp_path: Path) -> None:
    recipe, engine = stepped(small(), tmp_path)
    names = [name for name, _, _ in engine.heard]
    assert names == ["generator", "discriminator", *PARTS]
    assert set(engine.heard[0][1]) == TOLD
    assert set(engine.heard[1][1]) == {"logistic", "r1", "real_score", "fake_score"}
    assert engine.heard[0][2]["left_eye"] == ALL["component"] and engine.heard[1][2]["r1"] == 10 / 2 * 4
    assert all(p.grad is not None for name in PARTS for p in recipe.networks[name].parameters())


@pytest.mark.parametrize("loss", LOSSES)
def test_each_can_be_left_out(loss: str, tmp_path: Path) -> None:
    without = ALL | {loss: 0.0} | ({"component_style": 0.0} if loss == "component" else {})
    recipe, engine = stepped(small(weights=without), tmp_path)
    gone = {"component": {*PARTS, "component_style"}}.get(loss, {loss})
    if loss == "pixel":  # costs nothing, and is told
        assert engine.heard[0][2]["pixel"] == 0
    else:
        assert set(engine.heard[0][1]) == TOLD - gone
    assert ("discriminator" in recipe.networks) == (loss != "adversarial")
    assert ("mouth" in recipe.networks) == (loss != "component")


def test_the_style_of_components_needs_their_discriminators() -> None:
    with pytest.raises(UsageError, match=r"component_style"):
        small(weights=ALL | {"component": 0.0})


def test_components_are_seen_where_the_batch_says_and_nowhere_else(tmp_path: Path) -> None:
    alone = dict.fromkeys(ALL, 0.0) | {"component": 1.0, "component_style": 1.0}
    recipe, _ = stepped(small(weights=alone), tmp_path)
    restored = faces().damaged.requires_grad_(True)
    crops = recipe._parts(faces(), restored)
    assert {part: tuple(fake.shape[-2:]) for part, (_, fake) in crops.items()} == dict.fromkeys(PARTS, (16, 16))
    sum(recipe._judged_parts(crops).values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    assert restored.grad is not None
    seen = restored.grad.abs().sum(dim=(0, 1)) > 0
    inside = torch.zeros(32, 32, dtype=torch.bool)
    for x1, y1, x2, y2 in BOXES[0].int().tolist():
        assert seen[y1 + 1 : y2, x1 + 1 : x2].all()
        inside[y1 : y2 + 1, x1 : x2 + 1] = True
    assert not seen[~inside].any()
    with pytest.raises(InputError, match="places of eyes and mouth"):
        stepped(small(weights=alone), tmp_path, batch=faces(boxes=None))


@pytest.mark.parametrize(("after", "at"), [(1e-12, 9), (1e-12, 10), (0.0, 9), (0.0, 10)])
def test_the_pyramid_ends(after: float, at: int, tmp_path: Path) -> None:
    recipe, engine = stepped(small(pyramid_until=10, pyramid_after=after), tmp_path, at=at)
    gradient = recipe.networks["generator"].get_parameter("toRGB.0.bias").grad
    if at < 10:
        assert engine.heard[0][2]["pyramid"] == 1.0 and gradient is not None and gradient.abs().max() > 1e-4
    elif after:  # as published: its layers still get a gradient, which is next to nothing
        assert engine.heard[0][2]["pyramid"] == 1e-12 and gradient is not None and 0 < gradient.abs().max() < 1e-11
    else:
        assert "pyramid" not in engine.heard[0][1] and gradient is None


def test_the_published_lazy_regularisation_comes_at_every_nth_iteration(tmp_path: Path) -> None:
    chosen = small(r1_every=4, r1_first=3, weights=dict.fromkeys(ALL, 0.0) | {"adversarial": 1.0})
    recipe, engine = stepped(chosen, tmp_path)
    for engine.step in range(1, 12):
        recipe.step(faces())
    updates = [losses for name, losses, _ in engine.heard if name == "discriminator"]
    assert [step + 1 for step, losses in enumerate(updates) if "r1" in losses] == [4, 8, 12]


def test_a_relativistic_game_is_lost_by_nobody_where_both_pictures_are_the_same(tmp_path: Path) -> None:
    alone = dict.fromkeys(ALL, 0.0) | {"adversarial": 1.0}
    recipe, engine = stepped(small(weights=alone, relativistic=True, r1_every=100, r1_first=50), tmp_path)
    told = {name: losses for name, losses, _ in engine.heard}
    assert float(told["discriminator"]["logistic"]) != pytest.approx(math.log(2), abs=1e-4)
    # of a batch that is restored perfectly, each score is its rival's: half a chance each
    same = faces().clean
    recipe.networks["generator"].forward = lambda *_, **__: (same.clone().requires_grad_(True), [])  # type: ignore[method-assign]
    engine.heard.clear()
    recipe.step(faces())
    told = {name: losses for name, losses, _ in engine.heard}
    assert float(told["discriminator"]["logistic"]) == pytest.approx(math.log(2), abs=1e-5)
    assert float(told["generator"]["adversarial"]) == pytest.approx(math.log(2), abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(milestones=st.lists(st.integers(1, 30), max_size=3), gamma=st.floats(0.1, 0.9))
def test_rates_are_those_of_the_published_scheduler(milestones: list[int], gamma: float) -> None:
    """It is stepped at the start of each iteration from the second on."""
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=2e-3)
    ours = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, sorted(set(milestones)), gamma)
    for step in range(32):
        if step:
            optimizer.step()
            scheduler.step()
        set_rate(ours, 2e-3 * rate_at(step, milestones=sorted(set(milestones)), gamma=gamma))
        assert ours.param_groups[0]["lr"] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)


def test_a_warm_up_rises_evenly_and_groups_keep_their_part() -> None:
    assert [rate_at(step, warm_up=4) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    optimizer = torch.optim.Adam([{"params": [nn.Parameter(torch.zeros(1))], "part": 0.1}, {"params": [nn.Parameter(torch.zeros(1))]}])
    set_rate(optimizer, 2.0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 2.0]


def test_the_published_numbers_are_the_preset_v1() -> None:
    plan = resolve(defaults("gfpgan"), "gfpgan", "v1", [])
    s, r = plan.recipe, plan.run
    assert s.weights == ALL | {"artifact": 0.0, "grid": 0.0}
    assert (r.steps, r.batch, s.size, s.style, s.crop, s.flavour) == (800_000, 12, 512, 512, 512, "original")
    assert s.channels == s.discriminator_channels == (512, 512, 512, 512, 256, 128, 64, 32)
    assert (s.prior, s.fix_decoder, s.perceptual, s.identity) == ("stylegan2-ffhq-512", True, "vgg19", "arcface-resnet18")
    assert s.perceptual_layers == {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1, "conv4_4": 1, "conv5_4": 1}
    assert (s.rate, s.rate_discriminator, s.rate_component, s.multiplicative_rate) == (2e-3, 2e-3, 2e-3, 1.0)
    assert (s.milestones, s.gamma, s.warm_up, s.betas) == ((600_000, 700_000), 0.5, 0, (0.0, 0.99))
    assert (s.r1_weight, s.r1_every, s.r1_first, s.adversarial_from, s.discriminator_every) == (10, 16, 15, 0, 1)
    assert (s.pyramid_until, s.pyramid_after) == (50_000, 1e-12)
    assert s.damage == {"gfpgan-v1": 1.0} and s.augmentation == "mirror"
    assert 0.5 ** (s.ema_pictures / s.ema_half_life) == pytest.approx(0.9977843871, abs=1e-10) and not s.ema_rises
    simple = resolve(defaults("gfpgan"), "gfpgan", "simple", []).recipe
    assert simple.weights == s.weights | {"identity": 0.0, "component": 0.0, "component_style": 0.0}


@pytest.mark.parametrize(("judge", "name"), [("perceptual", "vgg19"), ("identity", "arcface-resnet18")])
def test_a_judge_that_is_not_here_is_refused_by_name(judge: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    chosen = small(weights=ALL | {"style": 0.0}, **{judge: name})
    with pytest.raises(ModelError, match=f"the {judge} loss cannot judge with {name}") as caught:
        check_guidance(chosen)
    for way in (f"facewright models get {name}", f"recipe.{judge}=none", f"recipe.{judge}=identity-dlib"):
        assert way in caught.value.what_to_do
    with pytest.raises(ModelError, match=name):
        GfpganRecipe(chosen, 2, 0)  # before anything is built or read
    # switched off, by name or by weight, it is not asked for
    check_guidance(small(weights=ALL | {"style": 0.0}, **{judge: "none"}))
    check_guidance(small(weights=ALL | {"style": 0.0, judge: 0.0}, **{judge: name}))


@pytest.fixture(scope="module")
def stand_in() -> Any:
    return load_model("identity-dlib").net


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({}, {"perceptual", "identity"}),
        ({"perceptual": "none"}, {"identity"}),
        ({"identity": "none"}, {"perceptual"}),
        ({"perceptual": "none", "identity": "none"}, set()),
    ],
)
def test_the_stand_in_says_what_it_is_asked_for(named: dict[str, str], told: set[str], stand_in: Any) -> None:
    guide = load_guidance(small(weights=ALL | {"style": 0.0}, **named), torch.device("cpu"), stand_in)
    pictures = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert set(guide(*pictures)) == told


def test_a_network_that_cannot_judge_is_refused(stand_in: Any) -> None:
    with pytest.raises(UsageError, match="the style loss cannot judge with identity-dlib"):
        load_guidance(small(), torch.device("cpu"), stand_in)
    for judge in ("perceptual", "identity"):
        chosen = small(weights=ALL | {"style": 0.0}, **{judge: "gfpgan-mini"})
        with pytest.raises(ModelError, match=f"the {judge} loss cannot judge with gfpgan-mini"):
            load_guidance(chosen, torch.device("cpu"), stand_in)


@pytest.mark.parametrize(("weighed", "told"), [(("perceptual", "style"), 2), (("style",), 1), (("perceptual",), 1)])
def test_vgg_says_what_is_weighed(weighed: tuple[str, ...], told: int) -> None:
    layers = {"conv1_2": 0.1, "conv2_2": 1.0}
    chosen = small(weights=ALL | {"perceptual": 0.0, "style": 0.0} | dict.fromkeys(weighed, 2.0), perceptual_layers=layers)
    losses = perceptual_loss(VGGFeatures(list(layers), range_norm=True), chosen)(*faces().clean[:, None])
    assert set(losses) == set(weighed) and len(losses) == told


def test_a_batch_in_parts_takes_the_step_of_the_whole(tmp_path: Path) -> None:
    """Eight faces in two parts of four: the discriminator's groups, the noise and every loss are those of the joint batch."""
    damaged, clean = torch.rand(2, 8, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    batch = Batch(damaged, clean, BOXES[:1].expand(8, -1, -1) + torch.arange(8)[:, None, None] / 4)
    chosen = small(rate=1e-4, rate_discriminator=1e-4, rate_component=1e-4)
    found = []
    for parts in (1, 2):
        torch.manual_seed(0)
        recipe = GfpganRecipe(chosen, 8, 0, guidance=judging(chosen), pairs=lambda start: iter([batch]))
        for name, parameter in recipe.networks["generator"].named_parameters():
            if name.startswith("stylegan_decoder.style_conv") and parameter.shape == (1,):
                nn.init.constant_(parameter, 0.5)  # the noise counts
        run = RunSettings(batch=8, accumulate=parts, steps=1, device="cpu", precision="fp32", clip_norm=1e9, tensorboard=False)
        run = replace(run, checkpoint_every=0, validate_every=0, sample_every=0)
        Engine(recipe, run, tmp_path / str(parts)).run()
        found.append({f"{n}.{k}": p.grad for n, net in recipe.networks.items() for k, p in net.named_parameters() if p.grad is not None})
    assert set(found[0]) == set(found[1]) and len({name.split(".")[0] for name in found[0]}) == 5
    for name, whole in found[0].items():
        assert whole is not None and found[1][name] is not None
        torch.testing.assert_close(found[1][name], whole, rtol=1e-3, atol=1e-5 * float(whole.abs().max()) + 1e-9, msg=name)


@pytest.mark.slow
def test_the_published_judges_serve_from_their_files(stand_in: Any, tmp_path: Path) -> None:
    """Files in the published layouts; what VGG-19 says does not depend on layers behind the last that is asked for."""
    torch.manual_seed(0)
    arcface = ResNetArcFace()
    save_file({f"module.{name}": value for name, value in arcface.state_dict().items()}, tmp_path / "arcface_resnet18.safetensors")
    whole = [name for name in layer_names(["pool5"]) if name.startswith(("conv", "relu", "pool"))]
    theirs = VGGFeatures(["conv5_4"], range_norm=True)
    renamed = {
        f"features.{whole.index(name)}.{part}": theirs.get_parameter(f"vgg_net.{name}.{part}").detach().clone()
        for name in whole
        if name.startswith("conv")
        for part in ("weight", "bias")
    }
    save_file(renamed, tmp_path / "vgg19.safetensors")

    layers = {"conv1_2": 0.1, "conv3_4": 1.0}
    files = {"perceptual": str(tmp_path / "vgg19.safetensors"), "identity": str(tmp_path / "arcface_resnet18.safetensors")}
    chosen = small(perceptual_layers=layers, **files)
    check_guidance(chosen)
    restored, clean = faces().damaged, faces().clean
    told = load_guidance(chosen, torch.device("cpu"), stand_in)(restored, clean)
    features = VGGFeatures(list(layers), range_norm=True)
    features.load_state_dict(theirs.state_dict(), strict=False)
    expected = dict(perceptual_loss(features.eval(), chosen)(restored, clean)) | dict(identity_loss(arcface.eval())(restored, clean))
    assert set(told) == {"perceptual", "style", "identity"}
    for name, value in expected.items():
        torch.testing.assert_close(told[name], value, rtol=1e-5, atol=1e-7)
