"""What GFPGAN's training starts from: files of every flavour, priors, discriminators; and what it hands on."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_faces import make_faces
from safetensors.torch import save_file
from torch import Tensor, nn

from facewright.errors import ModelError, UsageError
from facewright.nets.gfpgan import GFPGAN, FacialComponentDiscriminator
from facewright.nets.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from facewright.train import Engine
from facewright.train.recipes.gfpgan import GfpganRecipe
from facewright.train.recipes.gfpgan.networks import build
from facewright.train.recipes.gfpgan.settings import PARTS
from facewright.train.run import defaults, train
from facewright.train.settings import resolve
from facewright.weights import load_model, read_metadata

SMALL: dict[str, Any] = {"out_size": 32, "num_style_feat": 16, "num_mlp": 2, "channels": {4: 16, 8: 16, 16: 16, 32: 8}}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faces(tmp_path_factory.mktemp("faces"))


def stored(network: nn.Module, path: Path, **arguments: Any) -> Path:
    """A file as an export makes it; arguments: what names and shapes leave open."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, path, {"arguments": json.dumps(arguments)} if arguments else {})
    return path


def finetuning(faces: Path | str, *overrides: str) -> Any:
    """The preset with steps and pictures small enough for a test."""
    small = ["run.device=cpu", "run.precision=fp32", "run.batch=2", "run.steps=2", "run.tensorboard=false", "recipe.adversarial_from=0"]
    small += ["recipe.crop=32", "recipe.discriminator_channels=[8, 8, 8, 8]", "recipe.least_width=64", "recipe.validation_faces=2"]
    small += ["recipe.weights.adversarial=0.1"]
    return resolve(defaults("gfpgan"), "gfpgan", "finetune", [f"recipe.data={faces}", *small, *overrides])


def run(plan: Any, folder: Path) -> Engine:
    torch.manual_seed(plan.run.seed)
    engine = Engine(GfpganRecipe(plan.recipe, plan.run.batch, plan.run.seed), plan.run, folder)
    engine.run()
    return engine


def pictures(side: int) -> Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def restored(name: str | Path, side: int) -> Tensor:
    with torch.no_grad():
        picture: Tensor = load_model(name).net(pictures(side), randomize_noise=False)[0]
    return picture


def test_the_embedded_model_learns_on_and_before_the_first_step_is_what_it_was(faces: Path, tmp_path: Path) -> None:
    start = restored("gfpgan-mini", 256)
    engine = run(finetuning(faces, "run.steps=0"), tmp_path / "none")
    torch.testing.assert_close(restored(tmp_path / "none" / "export.safetensors", 256), start, rtol=0, atol=0)
    s = engine.recipe.settings
    assert (s.size, s.fold, s.input_skip, s.flavour, s.style) == (256, 4, True, "clean", 128)

    run(finetuning(faces, "run.validate_every=0", "run.sample_every=0"), tmp_path / "two")
    learned = restored(tmp_path / "two" / "export.safetensors", 256)
    assert 0 < float((learned - start).abs().mean()) < 0.1
    told = read_metadata(tmp_path / "two" / "export.safetensors")
    assert told["start"] == "gfpgan-mini" and told["steps"] == "2"
    assert told["settings"] == sha256(json.dumps(asdict(engine.recipe.settings), sort_keys=True).encode()).hexdigest()


@pytest.mark.parametrize("flavour", ["clean", "bilinear", "original"])
def test_every_flavour_is_trained_in_the_form_that_learns_evenly_and_handed_on_in_its_own(
    flavour: Any, faces: Path, tmp_path: Path
) -> None:
    arguments = {} if flavour == "clean" else {"flavour": flavour}
    file = stored(GFPGAN(flavour, **SMALL), tmp_path / "start.safetensors", **arguments)
    engine = run(finetuning(faces, f"recipe.start={file}", "run.steps=0"), tmp_path)
    trained = engine.recipe.networks["generator"]
    assert isinstance(trained, GFPGAN) and trained.flavour == ("bilinear" if flavour == "clean" else flavour)
    assert engine.recipe.settings.channels == (16, 16, 16, 8) and trained.training
    assert all(parameter.requires_grad for parameter in trained.parameters())
    exported = load_model(tmp_path / "export.safetensors")
    assert exported.arguments["flavour"] == flavour
    # the export is in half precision
    before, after = restored(file, 32), restored(tmp_path / "export.safetensors", 32)
    torch.testing.assert_close(after, before, rtol=0, atol=0.01 * float(before.std()))


def test_a_clean_file_can_also_be_trained_as_it_is(tmp_path: Path) -> None:
    file = stored(GFPGAN("clean", **SMALL), tmp_path / "start.safetensors")
    built = build(finetuning("nowhere", f"recipe.start={file}", "recipe.flavour=clean").recipe)
    assert built.settings.flavour == "clean"
    with pytest.raises(UsageError, match="'original'"):
        build(finetuning("nowhere", f"recipe.start={file}", "recipe.flavour=original").recipe)


def test_a_start_without_refining_gets_it_and_is_at_first_what_it_was(tmp_path: Path) -> None:
    file = stored(GFPGAN("clean", **SMALL, input_skip=True), tmp_path / "start.safetensors")
    built = build(finetuning("nowhere", f"recipe.start={file}", "recipe.refine=3").recipe)
    generator = built.by_name["generator"]
    assert built.settings.refine == 3 and generator.get_parameter("refine.draw.weight").requires_grad
    torch.testing.assert_close(generator(pictures(32), randomize_noise=False)[0], restored(file, 32))
    with pytest.raises(UsageError, match="refine cannot be -1"):
        finetuning("nowhere", "recipe.refine=-1")


@pytest.mark.parametrize(
    ("override", "told"), [("recipe.size=64", "64.*32"), ("recipe.channels=[8, 8, 8, 8]", "8, 8"), ("recipe.input_skip=true", "input_skip")]
)
def test_settings_that_contradict_the_file_are_refused(override: str, told: str, tmp_path: Path) -> None:
    file = stored(GFPGAN("clean", **SMALL), tmp_path / "start.safetensors")
    with pytest.raises(UsageError, match="cannot be") as caught:
        build(finetuning("nowhere", f"recipe.start={file}", override).recipe)
    assert str(file) in caught.value.why
    assert re.search(told, str(caught.value))


def test_a_file_of_another_architecture_is_refused_by_name(tmp_path: Path) -> None:
    prior = stored(StyleGAN2Generator(32, 16, 2, channels=SMALL["channels"]), tmp_path / "prior.safetensors", flavour="original")
    with pytest.raises(ModelError, match=r"generator cannot start from .*prior.safetensors.*StyleGAN2"):
        build(finetuning("nowhere", f"recipe.start={prior}").recipe)
    with pytest.raises(ModelError, match="discriminator cannot start from identity-dlib"):
        build(finetuning("nowhere", "recipe.start_discriminator=identity-dlib", "recipe.crop=0").recipe)
    with pytest.raises(ModelError, match="nosuch"):
        build(finetuning("nowhere", "recipe.start=nosuch").recipe)


def on_prior(path: Path, fixed: bool, *overrides: str) -> Any:
    prior = stored(StyleGAN2Generator(32, 16, 2, channels=SMALL["channels"]), path / "prior.safetensors", flavour="original")
    chosen = ['recipe.start=""', f"recipe.prior={prior}", f"recipe.fix_decoder={str(fixed).lower()}", "recipe.weights.grid=0"]
    return finetuning("nowhere", *chosen, *overrides), prior


@pytest.mark.parametrize("fixed", [True, False])
def test_a_frozen_prior_gets_no_gradient_and_a_joint_one_does(fixed: bool, faces: Path, tmp_path: Path) -> None:
    plan, prior = on_prior(tmp_path, fixed, f"recipe.data={faces}", "run.steps=1", "run.validate_every=0", "run.sample_every=0")
    engine = run(plan, tmp_path / "run")
    generator = engine.recipe.networks["generator"]
    assert isinstance(generator, GFPGAN) and generator.flavour == "original"
    told = {name: parameter.grad for name, parameter in generator.named_parameters()}
    decoder = [gradient for name, gradient in told.items() if name.startswith("stylegan_decoder") and "style_mlp" not in name]
    assert all((gradient is None) == fixed for gradient in decoder)
    assert told["final_linear.weight"] is not None and told["conv_body_first.0.weight"] is not None
    before, after = load_model(prior).net.state_dict(), generator.stylegan_decoder.state_dict()
    assert set(before) == set(after)
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert (not moved) == fixed
    # without its U-Net's conditions the average draws what the prior draws
    averaged = engine.recipe.ema["generator"].network.get_submodule("stylegan_decoder").state_dict()
    assert not fixed or all(torch.allclose(before[name], averaged[name], rtol=1e-5, atol=1e-6) for name in before)


def test_a_frozen_decoder_must_have_learned() -> None:
    with pytest.raises(UsageError, match=r"fix_decoder") as caught:
        finetuning("nowhere", 'recipe.start=""', "recipe.fix_decoder=true")
    assert "recipe.prior" in caught.value.what_to_do
    with pytest.raises(UsageError, match=r"gfpgan-mini with the prior stylegan2-ffhq-512"):
        finetuning("nowhere", "recipe.prior=stylegan2-ffhq-512")


def test_discriminators_start_from_files_too(tmp_path: Path) -> None:
    whole = stored(StyleGAN2Discriminator(64, channels={4: 8, 8: 8, 16: 8, 32: 4, 64: 4}), tmp_path / "d.safetensors")
    mouth = stored(FacialComponentDiscriminator(), tmp_path / "mouth.safetensors")
    chosen = [f"recipe.start_discriminator={whole}", "recipe.crop=0", "recipe.discriminator_channels=[]"]
    chosen += [f"recipe.start_components.mouth={mouth}", "recipe.weights.component=1"]
    built = build(finetuning("nowhere", *chosen).recipe)
    assert built.settings.crop == 64 and built.settings.discriminator_channels == (8, 8, 8, 4, 4)
    assert set(built.by_name) == {"generator", "discriminator", *PARTS}
    for name, file in (("discriminator", whole), ("mouth", mouth)):
        ours, theirs = built.by_name[name].state_dict(), load_model(file).net.state_dict()
        assert all(torch.equal(ours[key], value) for key, value in theirs.items())
        assert all(parameter.requires_grad for parameter in built.by_name[name].parameters())
    assert not torch.equal(built.by_name["left_eye"].state_dict()["conv1.0.weight"], built.by_name["mouth"].state_dict()["conv1.0.weight"])
    with pytest.raises(UsageError, match=r"recipe\.crop cannot be 32"):
        build(finetuning("nowhere", f"recipe.start_discriminator={whole}", "recipe.discriminator_channels=[]").recipe)


@pytest.mark.parametrize("name", ["start_discriminator", "start_components.mouth"])
def test_a_file_that_would_do_nothing_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"recipe.{name} cannot be 'some.pth': recipe.weights"):
        finetuning("nowhere", f"recipe.{name}=some.pth", "recipe.weights.adversarial=0", "recipe.weights.component=0")


def test_the_command_s_function_starts_from_a_name(faces: Path, tmp_path: Path) -> None:
    overrides = [f"recipe.data={faces}", "run.device=cpu", "run.steps=0", "run.tensorboard=false", "recipe.validation_faces=1"]
    assert train("gfpgan", "finetune", overrides, tmp_path).is_file()
