"""The recipe itself, as `facewright train gfpgan --preset tiny` runs it, on made-up faces."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_faces import ROWS, make_faces
from PIL import Image
from torch import Tensor
from traces import assert_same_state, state_of

from facewright.data import PairStream, read_manifest
from facewright.errors import InputError
from facewright.train import Engine
from facewright.train.recipes.gfpgan import GfpganRecipe
from facewright.train.run import Plan, defaults, train
from facewright.train.settings import resolve
from facewright.weights import load_model


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faces(tmp_path_factory.mktemp("faces"))


def tiny(faces: Path, *overrides: str) -> Plan:
    return resolve(defaults("gfpgan"), "gfpgan", "tiny", [f"recipe.data={faces}", "run.device=cpu", *overrides])


def trained(faces: Path, folder: Path, *overrides: str) -> Engine:
    settings = tiny(faces, *overrides)
    torch.manual_seed(settings.run.seed)
    engine = Engine(GfpganRecipe(settings.recipe, settings.run.batch, settings.run.seed), settings.run, folder)
    engine.run()
    return engine


def test_only_rows_that_may_be_trained_on_are_trained_on(faces: Path, tmp_path: Path) -> None:
    recipe = GfpganRecipe(tiny(faces).recipe, 2, 0)
    Engine(recipe, tiny(faces).run, tmp_path)  # binds
    assert isinstance(recipe.pairs, PairStream)
    used = recipe.pairs.faces.rows
    assert len(used) == sum(count for _, use, split, count in ROWS if (use, split) == ("train-ok", "train")) == 12
    assert {(row.use, row.split) for row in used} == {("train-ok", "train")}
    drawn = recipe.pairs.probabilities
    assert drawn is not None and len(drawn) == len(used)
    assert sum(p for p, row in zip(drawn, used, strict=True) if row.source == "us") == pytest.approx(0.34)
    # what is judged on is never learned from
    judged = {row.person for row in read_manifest(faces, lambda row: row.split == "val")}
    assert not judged & {row.person for row in used}


def test_narrow_and_blurred_crops_are_left_out(faces: Path, tmp_path: Path) -> None:
    for override in ("recipe.least_width=300", "recipe.least_sharpness=101"):
        with pytest.raises(InputError, match="no faces"):
            trained(faces, tmp_path, override)


@pytest.fixture(scope="module")
def straight(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Engine]:
    """The whole preset in one go, with two faces a step."""
    folder = tmp_path_factory.mktemp("straight")
    return folder, trained(faces, folder, "run.batch=2", "run.precision=fp32")


def test_the_tiny_preset_trains_and_exports_what_load_model_reads(straight: tuple[Path, Engine]) -> None:
    folder, engine = straight
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4, 6, 8]
    losses = {name for line in log for name in line}
    assert {
        f"generator/{name}" for name in ("pixel", "pyramid", "perceptual", "identity", "adversarial", "mouth", "component_style")
    } < losses
    assert {f"{part}/logistic" for part in ("left_eye", "right_eye", "mouth")} < losses
    assert {"discriminator/logistic", "discriminator/r1", "val/medium/identity", "val/heavy/psnr", "val/none/sharpness"} < losses
    with Image.open(folder / "samples" / "00000008.jpg") as sheet:
        assert sheet.size == (6 * 32, 6 * 32)  # medium and heavy: damaged, restored, truth; the six of validation

    model = load_model(folder / "export.safetensors")
    assert model.architecture == "gfpgan" and model.arguments["out_size"] == 32
    average = engine.recipe.ema["generator"].network
    rounded = {name: value.half().float() for name, value in average.state_dict().items()}
    picture = torch.rand(2, 3, 32, 32) * 2 - 1
    expected, _ = torch.func.functional_call(average, rounded, (picture,), {"randomize_noise": False})
    torch.testing.assert_close(model.net(picture, randomize_noise=False)[0], expected, atol=1e-6, rtol=0)


def test_eight_steps_bring_the_faces_nearer(straight: tuple[Path, Engine], faces: Path, tmp_path: Path) -> None:
    plan = tiny(faces, "run.batch=2", "run.precision=fp32")
    torch.manual_seed(plan.run.seed)
    new = Engine(GfpganRecipe(plan.recipe, 2, plan.run.seed), plan.run, tmp_path)
    before, after = new.recipe.validate(), straight[1].recipe.validate()
    for damage in ("light", "medium", "heavy"):
        assert after[f"{damage}/psnr"] > before[f"{damage}/psnr"] + 0.2


def test_the_command_s_function_goes_on_with_what_is_there(straight: tuple[Path, Engine], faces: Path, tmp_path: Path) -> None:
    told: list[int] = []
    overrides = [f"recipe.data={faces}", "run.device=cpu", "run.steps=2", "run.batch=2", "run.precision=fp32"]
    exported = train("gfpgan", "tiny", overrides, tmp_path, lambda step, numbers: told.append(step))
    assert told == [2] and exported == tmp_path / "export.safetensors" and exported.is_file()
    first = json.loads((tmp_path / "log.jsonl").read_text())
    same = json.loads((straight[0] / "log.jsonl").read_text().splitlines()[0])
    assert {k: v for k, v in first.items() if k.startswith("generator")} == {k: v for k, v in same.items() if k.startswith("generator")}
    assert train("gfpgan", "tiny", overrides, tmp_path) == exported and told == [2]


def test_half_and_half_is_the_whole_run(straight: tuple[Path, Engine], faces: Path, tmp_path: Path) -> None:
    trained(faces, tmp_path, "run.batch=2", "run.precision=fp32", "run.steps=4")
    torch.manual_seed(12345)
    again = trained(faces, tmp_path, "run.batch=2", "run.precision=fp32")
    recipe, whole = again.recipe, straight[1].recipe
    for name in ("generator", "discriminator", "mouth"):
        assert_same_state(_flat(whole.networks[name].state_dict()), _flat(recipe.networks[name].state_dict()))
        assert_same_state(_flat(whole.optimizers[name].state_dict()["state"]), _flat(recipe.optimizers[name].state_dict()["state"]))
    assert_same_state(_flat(whole.ema["generator"].network.state_dict()), _flat(recipe.ema["generator"].network.state_dict()))


@pytest.mark.slow
def test_half_and_half_in_bf16(faces: Path, tmp_path: Path) -> None:
    chosen = ("run.batch=2", "run.precision=bf16")
    whole = state_of(trained(faces, tmp_path / "straight", *chosen))
    trained(faces, tmp_path / "parts", *chosen, "run.steps=4")
    torch.manual_seed(12345)
    assert_same_state(whole, state_of(trained(faces, tmp_path / "parts", *chosen)))


def test_the_seed_is_the_run(faces: Path, tmp_path: Path) -> None:
    short = ("run.steps=1", "run.batch=1", "run.checkpoint_every=0", "run.validate_every=0", "run.sample_every=0")
    one, again, other = (state_of(trained(faces, tmp_path / n, *short, f"run.seed={s}")) for n, s in (("a", 1), ("b", 1), ("c", 2)))
    assert_same_state(one, again)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_run_of_other_sizes_is_not_gone_on_with(faces: Path, tmp_path: Path) -> None:
    trained(faces, tmp_path, "run.steps=1")
    with pytest.raises(InputError, match="cannot go on from"):
        trained(faces, tmp_path, "recipe.style=8")


def _flat(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    """Tensors by name, also those of an optimiser's slots."""
    found = {}
    for name, value in state.items():
        inner = _flat(value) if isinstance(value, Mapping) else {"": torch.as_tensor(value)}
        found |= {f"{name}.{key}": tensor for key, tensor in inner.items()}
    return found
