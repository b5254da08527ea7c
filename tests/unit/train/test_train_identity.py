"""The recipe identity: whom it learns from and whom it must never see, that it learns, and that it goes on where it stopped."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_faces import face, make_faces, row, write_manifest
from PIL import Image
from traces import assert_same_state, state_of

from facewright.data import read_manifest
from facewright.errors import InputError, UsageError
from facewright.losses import angular_margin_softmax
from facewright.train.engine import Engine
from facewright.train.recipes.identity.recipe import IdentityRecipe, Learner, pairs_softmax
from facewright.train.recipes.identity.settings import IdentitySettings
from facewright.train.run import Plan, defaults
from facewright.train.settings import resolve
from facewright.weights import load_model


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faces(tmp_path_factory.mktemp("faces"), 96)


def tiny(faces: Path, *overrides: str) -> Plan:
    return resolve(defaults("identity"), "identity", "tiny", [f"recipe.data={faces}", "run.device=cpu", *overrides])


def trained(faces: Path, folder: Path, *overrides: str) -> Engine:
    plan = tiny(faces, *overrides)
    torch.manual_seed(plan.run.seed)
    engine = Engine(IdentityRecipe(plan.recipe, plan.run.batch, plan.run.seed), plan.run, folder)
    engine.run()
    return engine


@pytest.fixture(scope="module")
def straight(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Engine]:
    folder = tmp_path_factory.mktemp("straight")
    return folder, trained(faces, folder)


def test_the_tiny_preset_makes_a_model_that_is_recognised(straight: tuple[Path, Engine]) -> None:
    folder, engine = straight
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert {"embedding/centres", "embedding/pairs", "embedding/right", "val/rank1/heavy", "val/rank1", "val/different"} <= lines[-1].keys()

    model = load_model(folder / "export.safetensors")
    assert (model.architecture, model.arguments) == ("identity.mobilefacenet", {"channels": 4, "embedding": 16})
    learner = engine.recipe.networks["embedding"]
    assert isinstance(learner, Learner)
    chips = torch.rand(3, 3, 112, 112, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        ours, theirs = learner.network.eval()(chips), model.net(chips)
    assert (ours - theirs).abs().max() < 2e-2 * ours.abs().max()  # float16 weights


def test_going_on_is_the_same_as_never_having_stopped(faces: Path, tmp_path: Path, straight: tuple[Path, Engine]) -> None:
    trained(faces, tmp_path, "run.steps=4")
    assert_same_state(state_of(trained(faces, tmp_path)), state_of(straight[1]))


def test_nobody_held_out_is_seen(faces: Path, tmp_path: Path, straight: tuple[Path, Engine]) -> None:
    """Without any picture but those that may be trained on it learns the very same, to the bit; and it names no row of the others."""
    alone = make_faces(tmp_path / "alone", 96)
    learnt = {row.file.name for row in read_manifest(alone, lambda row: (row.split, row.use) == ("train", "train-ok"))}
    assert len(learnt) == 12
    for file in alone.glob("*.png"):
        if file.name not in learnt:
            file.unlink()
    engine = trained(alone, tmp_path / "run")
    assert_same_state(state_of(engine), state_of(straight[1]))
    recipe = engine.recipe
    assert isinstance(recipe, IdentityRecipe) and recipe.validation is None
    assert {row.file.name for row in recipe.people.faces.rows} == learnt


def test_it_is_judged_on_the_validation_split_alone(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: set[str] = set()
    from facewright.data.picture import Picture

    whole = Picture.pixels
    monkeypatch.setattr(Picture, "pixels", lambda self, size=None: opened.add(self.row.split + self.row.use) or whole(self, size))
    trained(faces, tmp_path, "run.steps=1", "run.validate_every=1")
    assert opened == {"traintrain-ok", "valtrain-ok", "valeval-only"}


def test_people_are_drawn_alike_however_many_photographs_there_are(tmp_path: Path) -> None:
    rows = []
    for number, person in enumerate(["us-a"] * 6 + ["us-b", "us-c"]):
        Image.fromarray(face(number, 96)).save(tmp_path / f"{number}.png")
        rows.append(row(f"{number}.png", person, "train-ok", "train", 96))
    write_manifest(tmp_path, rows)
    plan = tiny(tmp_path, "recipe.damage={none: 1}", "run.batch=16")
    recipe = IdentityRecipe(plan.recipe, plan.run.batch, 0)
    assert recipe.people.count == 3
    Engine(recipe, plan.run, tmp_path / "run")
    drawn: Counter[int] = Counter()
    for batch in islice(recipe.batches(0), 20):
        assert batch.faces is not None
        drawn.update(recipe.people.shown[batch.faces].tolist())
    assert all(0.25 < drawn[person] / 320 < 0.42 for person in range(3)), drawn


def test_one_person_alone_is_no_set(tmp_path: Path) -> None:
    Image.fromarray(face(0, 96)).save(tmp_path / "0.png")
    write_manifest(tmp_path, [row("0.png", "us-a", "train-ok", "train", 96)])
    with pytest.raises(InputError, match="cannot learn from"):
        IdentityRecipe(tiny(tmp_path).recipe, 4, 0)


def test_pairs_are_arcface_among_the_batch_and_a_person_drawn_twice_is_no_stranger() -> None:
    g = torch.Generator().manual_seed(0)
    damaged, clean = torch.randn(4, 8, generator=g), torch.randn(4, 8, generator=g)
    among = pairs_softmax(damaged, clean, torch.tensor([9, 2, 5, 7]), scale=8.0, margin=0.2)
    assert float(among) == pytest.approx(float(angular_margin_softmax(damaged, clean, torch.arange(4), scale=8.0, margin=0.2)), rel=1e-5)
    twice = pairs_softmax(damaged, clean, torch.tensor([9, 2, 9, 7]), scale=8.0, margin=0.2)
    expected = angular_margin_softmax(damaged, clean[[0, 1, 3]], torch.tensor([0, 1, 0, 2]), scale=8.0, margin=0.2)
    assert float(twice) == pytest.approx(float(expected), rel=1e-5)


def test_it_learns_to_tell_the_people_it_is_shown(faces: Path, tmp_path: Path) -> None:
    told: list[float] = []
    changes = ("angle", "zoom", "shift", "light", "tone", "grey", "toned", "mirror", "margin")
    still = [f"recipe.{name}=0" for name in changes]
    still += ["recipe.damage={light: 1}", "recipe.rate=5.0e-3", "recipe.weights={centres: 1, pairs: 0}", "recipe.channels=8"]
    plan = tiny(faces, *still, "run.steps=50", "run.batch=8", "run.validate_every=0", "run.log_every=1", "run.checkpoint_every=0")
    torch.manual_seed(0)
    recipe = IdentityRecipe(plan.recipe, plan.run.batch, 0)
    Engine(recipe, plan.run, tmp_path, lambda step, numbers: told.append(numbers["embedding/right"])).run()
    assert sum(told[:5]) / 5 < 0.3 < 0.7 < sum(told[-5:]) / 5, told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"channels": 0}, "recipe.channels cannot be 0"),
        ({"margin": 2.0}, "recipe.margin cannot be 2"),
        ({"scale": 0.0}, "recipe.scale cannot be 0"),
        ({"grey": 1.5}, "recipe.grey cannot be 1.5"),
        ({"damage": {"hevy": 1.0}}, "heavy"),
        ({"damage": {"none": 0.0}}, "recipe.damage draws nothing"),
        ({"damage": {}}, "recipe.damage draws nothing"),
        ({"weights": {"centres": 1.0}}, "pairs has no weight"),
        ({"weights": {"centres": 1.0, "pears": 1.0}}, "use: pairs"),
        ({"betas": (0.9, 1.0)}, "recipe.betas cannot be"),
        ({"judged_damage": ("hevy",)}, "heavy"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        replace(IdentitySettings(), **changes)
    assert told in f"{refused.value} {refused.value.what_to_do}"


def test_the_mini_preset_fits_together(faces: Path) -> None:
    plan = resolve(defaults("identity"), "identity", "mini", [f"recipe.data={faces}"])
    learner = IdentityRecipe(plan.recipe, plan.run.batch, 0).networks["embedding"]
    assert sum(parameter.numel() for parameter in learner.network.parameters()) < 1_100_000  # type: ignore[union-attr]
    assert plan.run.best == "rank1"
