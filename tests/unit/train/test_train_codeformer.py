"""The recipe `codeformer` as `facewright train codeformer --preset tiny` runs it, on made-up faces: three stages, one command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from codeformer_runs import SILENT, Killed, all_stages, engine_of, planned, trained
from fake_faces import make_faces
from PIL import Image
from safetensors.torch import load_file
from traces import left_behind

from facewright.errors import ModelError, UsageError
from facewright.nets.codeformer import CodeFormer
from facewright.nets.vqgan import VQGAN
from facewright.train import checkpoint
from facewright.train.recipes.codeformer import STAGES
from facewright.train.recipes.codeformer.networks import load_vqgan, new_codeformer, new_discriminator
from facewright.weights import load_model


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faces(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def run(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stages in one go."""
    folder = tmp_path_factory.mktemp("run")
    assert all_stages(faces, folder) == folder / "fuse" / "export.safetensors"
    return folder


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def told_in(folder: Path) -> set[str]:
    return {name for line in log_of(folder) for name in line}


def test_one_command_trains_all_stages_and_exports_what_load_model_reads(run: Path) -> None:
    for stage in STAGES:
        assert [line["step"] for line in log_of(run / stage)] == [2, 4, 6, 8]
    losses = {stage: {name.removeprefix("generator/") for name in told_in(run / stage)} for stage in STAGES}
    assert {"pixel", "perceptual", "codebook", "perplexity", "adversarial", "adaptive", "discriminator/real"} < losses["vqgan"]
    assert {"feature", "cross_entropy", "right_codes", "val/medium/right_codes"} < losses["transformer"]
    assert not {"pixel", "adversarial"} & losses["transformer"]
    assert {"feature", "cross_entropy", "pixel", "perceptual", "adversarial", "val/heavy/psnr"} < losses["fuse"]

    model = load_model(run / "fuse" / "export.safetensors")
    assert isinstance(model.net, CodeFormer) and model.architecture == "codeformer"
    assert (model.net.img_size, model.net.task, model.net.connect_list) == (32, "restoration", (16, 32))
    assert load_model(run / "vqgan" / "discriminator.safetensors").architecture == "vqgan.discriminator"
    with Image.open(run / "fuse" / "samples" / "00000008.jpg") as sheet:
        assert sheet.size == (6 * 32, 2 * 32)  # medium and heavy: damaged, restored, truth; the two of validation


def test_codes_and_painter_of_the_first_stage_stay_what_they_are(run: Path) -> None:
    first, second, last = (load_model(run / stage / "export.safetensors").net.state_dict() for stage in STAGES)
    for name, value in first.items():
        if not name.startswith("encoder."):
            assert torch.equal(value, second[name]) and torch.equal(value, last[name]), name
    learned = {name for name in second if not torch.equal(second[name], last[name])}
    assert any(name.startswith("fuse_convs_dict") for name in learned) and any(name.startswith("ft_layers") for name in learned)
    assert any(not torch.equal(first[name], second[name]) for name in first if name.startswith("encoder."))


def test_what_is_finished_costs_nothing_and_what_is_missing_is_made(faces: Path, run: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(copied / "fuse")
    before = {stage: (copied / stage / "log.jsonl").read_bytes() for stage in STAGES[:2]}
    all_stages(faces, copied, "run.steps=0", stage="fuse")
    assert (copied / "fuse" / "export.safetensors").is_file()
    assert {stage: (copied / stage / "log.jsonl").read_bytes() for stage in STAGES[:2]} == before
    # the last stage starts from the second one's average, and from the first one's discriminator
    start = load_model(copied / "fuse" / "export.safetensors").net.state_dict()
    second = load_model(copied / "transformer" / "export.safetensors").net.state_dict()
    assert all(torch.equal(start[name], second[name]) for name in second)
    kept = checkpoint.newest(copied / "fuse")
    assert kept is not None
    judge = load_model(copied / "vqgan" / "discriminator.safetensors").net.state_dict()
    assert all(torch.equal(value, judge[name]) for name, value in kept[1]["networks"]["discriminator"].items())


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_in_the_middle_goes_on_bit_for_bit(stage: str, faces: Path, run: Path, tmp_path: Path) -> None:
    # where codes come in, are revived, the game begins and the damage changes
    with pytest.raises(Killed):
        trained(faces, run, stage, into=tmp_path, dies_at=5)
    found = checkpoint.newest(tmp_path)
    assert found is not None and found[1]["step"] == 4
    torch.manual_seed(12345)
    trained(faces, run, stage, into=tmp_path)
    one, other = left_behind(tmp_path), left_behind(run / stage)
    exports = [load_file(folder / "export.safetensors") for folder in (tmp_path, run / stage)]
    # safetensors writes what is told of a file in any order
    assert exports[0].keys() == exports[1].keys() and all(torch.equal(value, exports[1][name]) for name, value in exports[0].items())
    assert {name: one[name] for name in one if name != "export"} == {name: other[name] for name in other if name != "export"}


@pytest.mark.parametrize("stage", STAGES)
def test_parts_of_a_batch_learn_what_the_whole_teaches(stage: str, faces: Path, run: Path, tmp_path: Path) -> None:
    """Without the discriminator, whose normalisation sees each part alone; by gradient descent, which makes nothing of rounding."""
    chosen = ["recipe.perceptual=none", "recipe.weights.adversarial=0", "recipe.codes_from=0", "recipe.revive_every=0", "recipe.rate=0.01"]
    states = []
    for parts in (1, 2):
        few = [*SILENT, "recipe.validation_faces=1", "run.batch=4", "run.steps=2", f"run.accumulate={parts}"]
        engine = engine_of(faces, run, stage, *chosen, *few, into=tmp_path / str(parts))
        recipe = engine.recipe
        start = {name: value.clone() for name, value in recipe.networks["generator"].state_dict().items()}
        recipe.optimizers = {name: torch.optim.SGD(adam.param_groups[0]["params"], 0.01) for name, adam in recipe.optimizers.items()}
        engine.run()
        states.append(recipe.networks["generator"].state_dict())
    whole, halves = states
    assert max(float((whole[name] - halves[name]).abs().max()) for name in whole) < 2e-6
    assert max(float((whole[name] - start[name]).abs().max()) for name in whole) > 2e-5


@pytest.mark.parametrize(("stage", "lacks"), [("transformer", "vqgan"), ("fuse", "vqgan")])
def test_a_stage_alone_says_what_it_lacks(stage: str, lacks: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"the stage {stage} has nothing to start from") as caught:
        all_stages("nowhere", tmp_path, stage=stage)
    assert str(tmp_path / lacks) in caught.value.why and f"recipe.{lacks}" in caught.value.what_to_do


def test_the_last_stage_lacks_the_second_or_the_discriminator(run: Path, tmp_path: Path) -> None:
    given = f"recipe.vqgan={run / 'vqgan' / 'export.safetensors'}"
    with pytest.raises(UsageError, match=r"transformer.export\.safetensors"):
        all_stages("nowhere", tmp_path, given, stage="fuse")
    with pytest.raises(UsageError, match=r"discriminator\.safetensors") as caught:
        all_stages("nowhere", tmp_path, given, f"recipe.start={run / 'transformer' / 'export.safetensors'}", stage="fuse")
    assert "recipe.start_discriminator" in caught.value.what_to_do


def test_stages_that_a_preset_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the recipe codeformer has no stage 'third'"):
        all_stages("nowhere", tmp_path, stage="third")
    with pytest.raises(UsageError, match="the preset colorization has no stage 'fuse'"):
        all_stages("nowhere", tmp_path, preset="colorization", stage="fuse")
    mine = tmp_path / "mine.yaml"
    mine.write_text("stages: {painter: {}}\n")
    with pytest.raises(UsageError, match="'painter', which is no stage of codeformer"):
        all_stages("nowhere", tmp_path, preset=str(mine))


def test_gumbel_codes_train_and_cannot_be_predicted(faces: Path, tmp_path: Path) -> None:
    engine = trained(faces, tmp_path, "vqgan", "recipe.quantizer=gumbel", "recipe.codes_from=0", "run.steps=3", *SILENT)
    quantizer = engine.recipe.networks["generator"].get_submodule("quantize")
    assert quantizer.temperature == pytest.approx(1 - 3 / 160_000)  # of its third iteration
    assert quantizer.proj.weight.grad is not None
    with pytest.raises(ModelError, match="cannot be predicted: it draws them at random"):
        engine_of(faces, tmp_path, "transformer")


def test_wrong_files_are_refused_by_name(run: Path) -> None:
    restorer, vqgan = (str(run / stage / "export.safetensors") for stage in ("transformer", "vqgan"))
    with pytest.raises(ModelError, match="prediction of codes cannot start from identity-dlib"):
        load_vqgan("identity-dlib")
    with pytest.raises(ModelError, match=r"prediction of codes cannot start from .*transformer"):
        load_vqgan(restorer)
    with pytest.raises(ModelError, match=r"generator cannot start from .*vqgan"):
        new_codeformer(planned("nowhere", "fuse", f"recipe.start={vqgan}").recipe, load_vqgan(vqgan))
    with pytest.raises(ModelError, match=r"discriminator cannot start from .*vqgan"):
        new_discriminator(planned("nowhere", "fuse", f"recipe.start_discriminator={vqgan}").recipe)
    with pytest.raises(ModelError, match="nosuch"):
        load_vqgan("nosuch")


@pytest.mark.parametrize(
    "geometry",
    [
        ("size=48", "fold=2", "ch_mult=[1, 2, 2]", "attn_resolutions=[6]", "connect_list=[12, 24]"),
        ("size=40", "fold=1", "ch_mult=[1, 1, 1]", "attn_resolutions=[]", "connect_list=[40]"),
        ("size=56", "fold=2", "ch_mult=[1, 2, 1]", "attn_resolutions=[7, 14]", "connect_list=[7]"),
    ],
)
def test_other_sizes_and_folds_are_recognised_and_gone_on_from(geometry: tuple[str, ...], faces: Path, tmp_path: Path) -> None:
    chosen = [f"recipe.{setting}" for setting in geometry]
    few = ["run.steps=0", "recipe.validation_faces=1"]
    vqgan = trained(faces, tmp_path, "vqgan", *chosen, *few)
    restorer = trained(faces, tmp_path, "transformer", *chosen, *few)
    for stage, engine in (("vqgan", vqgan), ("transformer", restorer)):
        net = engine.recipe.ema["generator"].network
        assert isinstance(net, VQGAN)
        found = load_model(tmp_path / stage / "export.safetensors").net
        assert isinstance(found, type(net)) and (found.img_size, found.fold) == (net.img_size, net.fold)
        rounded = {name: value.half().float() for name, value in net.state_dict().items()}
        picture = torch.rand(1, 3, net.img_size, net.img_size) * 2 - 1
        with torch.no_grad():
            torch.testing.assert_close(found(picture), torch.func.functional_call(net, rounded, (picture,)), rtol=0, atol=1e-4)
