"""The recipe stylegan2: small enough for a processor, and held to what it promises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_faces import make_faces
from torch import Tensor

from facewright.errors import UsageError
from facewright.nets.stylegan2 import StyleGAN2Generator
from facewright.train.engine import Engine, RunSettings
from facewright.train.recipes.stylegan2.draws import DrawnBatch, draw, share
from facewright.train.recipes.stylegan2.recipe import StyleGAN2Recipe
from facewright.train.recipes.stylegan2.settings import StyleGAN2Settings
from facewright.train.run import defaults, train
from facewright.train.settings import resolve
from facewright.weights import load_model

SMALL = StyleGAN2Settings(
    size=16, style=8, mlp=2, channels=(8, 8, 8), discriminator_channels=(8, 8, 8), path_every=2, r1_every=2, judged=4, augment="color"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faces(tmp_path_factory.mktemp("faces"), side=48)


def engine(folder: Path, settings: StyleGAN2Settings, **run: Any) -> Engine:
    torch.manual_seed(0)
    options: dict[str, Any] = {"batch": 4, "steps": 4, "device": "cpu", "precision": "fp32", "tensorboard": False, "log_every": 1}
    options |= {"checkpoint_every": 0, "validate_every": 0, "sample_every": 0} | run
    return Engine(StyleGAN2Recipe(settings, options["batch"], 0), RunSettings(**options), folder)


def networks(trained: Engine) -> Iterator[tuple[str, Tensor]]:
    for name, network in {**trained.recipe.networks, "average": trained.recipe.ema["generator"].network}.items():
        for key, value in network.state_dict().items():
            yield f"{name}.{key}", value


def test_a_run_of_the_tiny_preset_makes_a_model_that_is_recognised(data: Path, tmp_path: Path) -> None:
    told: list[int] = []
    overrides = [f"recipe.data={data}", "run.steps=4", "run.precision=fp32"]
    exported = train("stylegan2", "tiny", overrides, tmp_path, lambda step, numbers: told.append(step))
    assert told == [2, 4]

    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {"discriminator/logistic", "discriminator/r1", "generator/adversarial", "generator/path"} <= lines[-1].keys()
    assert {"val/sharpness", "val/spread", "val/score/made", "val/score/learned", "val/score/unseen"} <= lines[-1].keys()
    assert (tmp_path / "samples" / "00000004.jpg").stat().st_size > 1000

    model = load_model(exported)
    assert model.architecture == "stylegan2" and model.arguments["flavour"] == "clean"
    plan = resolve(defaults("stylegan2"), "stylegan2", "tiny", [])
    average, shipped = StyleGAN2Recipe(plan.recipe, 4, 0).ema["generator"].network, model.net
    assert isinstance(average, StyleGAN2Generator) and isinstance(shipped, StyleGAN2Generator)
    state = torch.load(tmp_path / "step-00000004.pt", weights_only=True)
    average.load_state_dict(state["ema"]["generator"])
    assert float(state["networks"]["paths"]["mean"]) > 0
    z = torch.randn(3, 16, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        (ours, _), (theirs, _) = (net([z], randomize_noise=False) for net in (average, shipped))
    assert (ours - theirs).abs().max() < 2e-2 * ours.std()  # float16 weights


def test_the_published_flavour_says_in_its_header_what_names_do_not(data: Path, tmp_path: Path) -> None:
    trained = engine(tmp_path, replace(SMALL, data=str(data), flavour="original"), steps=0)
    trained.run()
    assert load_model(tmp_path / "export.safetensors").arguments["flavour"] == "original"


def test_going_on_is_the_same_as_never_having_stopped(data: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, data=str(data))
    whole = engine(tmp_path / "whole", settings)
    whole.run()
    engine(tmp_path / "halves", settings, steps=3).run()
    halves = engine(tmp_path / "halves", settings)
    halves.run()
    assert whole.step == halves.step == 4
    for (name, a), (_, b) in zip(networks(whole), networks(halves), strict=True):
        assert torch.equal(a, b), name
    assert float(dict(networks(whole))["paths.mean"]) > 0


def test_parts_of_a_batch_measure_and_learn_as_the_whole(data: Path, tmp_path: Path) -> None:
    """One iteration with both penalties; the noise has no strength yet. The mean path length is part of the penalty by a hundredth."""
    settings = replace(SMALL, data=str(data), path_every=1, r1_every=1, channels=(8, 8, 8), flavour="original")
    whole = engine(tmp_path / "whole", settings, batch=8, steps=1, clip_norm=1e9)
    parts = engine(tmp_path / "parts", settings, batch=8, steps=1, clip_norm=1e9, accumulate=2)
    whole.run()
    parts.run()
    a, b = (trained.recipe.networks["paths"].get_buffer("mean") for trained in (whole, parts))
    assert float(a) == pytest.approx(float(b), rel=1e-5) and float(a) > 0
    for (name, p), q in zip(
        whole.recipe.networks["discriminator"].named_parameters(), parts.recipe.networks["discriminator"].parameters(), strict=True
    ):
        assert p.grad is not None and q.grad is not None
        assert (p.grad - q.grad).norm() <= 1e-4 * p.grad.norm() + 1e-6, name
    for p, q in zip(whole.recipe.networks["generator"].parameters(), parts.recipe.networks["generator"].parameters(), strict=True):
        assert p.grad is not None and q.grad is not None
        if p.numel() == 1:
            continue  # the strength of the noise, which is not the same
        assert (p.grad - q.grad).norm() <= 0.05 * p.grad.norm() + 1e-6


def test_draws_are_a_function_of_seed_and_step_and_processes_share_them() -> None:
    settings = replace(SMALL, mixing=1.0, augment="color,translation,cutout")
    one, again, other = (draw(settings, 8, 3, step) for step in (5, 5, 6))
    assert torch.equal(one.generator.z[0], again.generator.z[0]) and not torch.equal(one.generator.z[0], other.generator.z[0])
    assert not torch.equal(one.generator.z[0], one.discriminator.z[0])
    assert (one.path is None) == (one.path_noise is None) and (one.path is None) != (other.path is None)
    for place, styles in ((5, one.generator), (6, other.discriminator)):
        assert len(styles.z) == 2 and styles.inject_index in range(1, 6), place
    halves = [share(one, rank, 2) for rank in (0, 1)]
    assert torch.equal(torch.stack([half.generator.z[1] for half in halves], 1).flatten(0, 1), one.generator.z[1])
    colours = [half.real_changes.colour for half in halves]
    assert one.real_changes.colour is not None and colours[1] is not None and torch.equal(colours[1], one.real_changes.colour[1::2])
    assert len(draw(replace(settings, mixing=0.0), 8, 3, 5).generator.z) == 1


def test_two_styles_are_drawn_as_often_as_told() -> None:
    mixed = sum(len(draw(replace(SMALL, mixing=0.9), 1, 0, step).generator.z) == 2 for step in range(600))
    assert 0.85 < mixed / 600 < 0.95


def test_it_learns_from_colour_pictures_that_may_be_trained_on(data: Path, tmp_path: Path) -> None:
    trained = engine(tmp_path, replace(SMALL, data=str(data), mirror=0.0))
    batches = trained.recipe.batches(0)
    first = next(iter(batches))
    assert isinstance(first, DrawnBatch) and first.clean.shape == (4, 3, 16, 16)
    assert torch.equal(first.clean, first.damaged) and first.draws is not None
    rest = list(islice(batches, 10))
    batches.close()  # type: ignore[attr-defined]
    seen = {tuple(picture.flatten().tolist()) for batch in [first, *rest] for picture in batch.clean}
    assert len(seen) <= 12, "there are 12 faces to train on, and nothing is done to them"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"flavour": "clean"}, "no rates that fit"),
        ({"channels": (8, 8)}, "recipe.channels does not fit"),
        ({"discriminator_channels": (8, 8, 8, 8)}, "recipe.discriminator_channels does not fit"),
        ({"augment": "colour"}, "'colour'"),
        ({"mixing": 1.5}, "recipe.mixing cannot be 1.5"),
        ({"path_every": 0}, "recipe.path_every cannot be 0"),
        ({"judged": 1}, "recipe.judged cannot be 1"),
        ({"shares": {"us": 1.0}}, "leaves nothing"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        replace(SMALL, **changes)
    assert told in f"{refused.value} {refused.value.what_to_do}"


def test_parts_that_cannot_share_the_measured_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 parts cannot share the pictures whose path length"):
        engine(tmp_path, SMALL, batch=2, accumulate=2)


def test_the_paper_preset_has_the_published_numbers(tmp_path: Path) -> None:
    plan = resolve(defaults("stylegan2"), "stylegan2", "paper", [])
    s, run = plan.recipe, plan.run
    assert (run.steps, run.batch, s.size, s.flavour, s.r1_weight, s.r1_every, s.path_weight, s.path_every) == (
        *(800_000, 24, 256, "original"),
        *(10.0, 16, 2.0, 4),
    )
    small = replace(s, size=16, style=8, mlp=1, channels=(8, 8, 8), discriminator_channels=(8, 8, 8), augment="")
    recipe = StyleGAN2Recipe(small, run.batch, 0)
    assert recipe.ema["generator"].decay == pytest.approx(0.9977843871, abs=1e-9)
    betas = [optimizer.param_groups[0]["betas"] for optimizer in recipe.optimizers.values()]
    assert betas == [(0.0, pytest.approx(0.99**0.8)), (0.0, pytest.approx(0.99 ** (16 / 17)))]

    trained = Engine(recipe, RunSettings(batch=run.batch, device="cpu", precision="fp32"), tmp_path)
    for step, rate in ((599_999, 2e-3), (600_000, 1e-3)):
        trained.step = step
        real = torch.zeros(4, 3, 16, 16)
        recipe.step(DrawnBatch(real, real, draws=draw(small, 4, 0, step)))
        assert [optimizer.param_groups[0]["lr"] for optimizer in recipe.optimizers.values()] == [rate, rate]


def test_the_mini_preset_fits_together() -> None:
    plan = resolve(defaults("stylegan2"), "stylegan2", "mini", [])
    with torch.device("meta"):
        assert set(StyleGAN2Recipe(plan.recipe, plan.run.batch, 0).networks) == {"generator", "discriminator", "paths"}


@pytest.mark.slow
def test_what_it_makes_comes_nearer_to_what_it_is_shown(data: Path, tmp_path: Path) -> None:
    settings = replace(SMALL, data=str(data), path_every=4, r1_every=16, r1_weight=0.5, augment="", judged=12, ema_half_life=200.0)
    trained = engine(tmp_path, settings, steps=100, batch=8, log_every=10, clip_norm=1e9)
    away: list[float] = []

    def look(step: int, numbers: dict[str, float]) -> None:
        recipe = trained.recipe
        assert isinstance(recipe, StyleGAN2Recipe)
        average = recipe.ema["generator"].network
        assert isinstance(average, StyleGAN2Generator)
        made = recipe.validation.pictures(average, recipe.validation.z[:12])
        away.append(float((made.mean(0) - recipe.validation.learned.mean(0)).square().mean()))

    trained.on_step = look
    trained.run()
    assert len(away) == 10 and away[-1] < 0.3 * away[0]
