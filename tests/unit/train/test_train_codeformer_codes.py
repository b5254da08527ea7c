"""Codes of the true faces that are looked up once, and codes of the codebook that nothing is near to."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from codeformer_runs import SILENT, Killed, engine_of, trained
from fake_faces import make_faces
from torch import Tensor
from traces import assert_same_state, state_of

from facewright.data import Batch
from facewright.errors import InputError
from facewright.nets.blocks.codebook import NearestCode
from facewright.train import checkpoint
from facewright.train.recipes.codeformer import codes as codes_module
from facewright.train.recipes.codeformer.codebook import CodeUse, revive, settle
from facewright.train.recipes.codeformer.codes import CODES, TrueCodes
from facewright.train.recipes.codeformer.transformer import TransformerRecipe

GIVEN = ("recipe.validation_faces=1", *SILENT)


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faces(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def run(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A first stage, with codes that differ."""
    folder = tmp_path_factory.mktemp("run")
    trained(faces, folder, "vqgan", "run.steps=3", "recipe.weights.perceptual=0", *GIVEN)
    return folder


def second(faces: Path, run: Path, into: Path, *overrides: str) -> TransformerRecipe:
    """The second stage, begun: its codes are there."""
    into.mkdir(exist_ok=True)
    engine = engine_of(faces, run, "transformer", *GIVEN, *overrides, into=into)
    recipe = engine.recipe
    assert isinstance(recipe, TransformerRecipe)
    recipe.batches(0)
    return recipe


@pytest.mark.parametrize("augmentation", ["mirror", "none"])
def test_kept_codes_are_those_that_the_encoder_finds(augmentation: str, faces: Path, run: Path, tmp_path: Path) -> None:
    recipe = second(faces, run, tmp_path, f"recipe.augmentation={augmentation}", "run.batch=8")
    codes = recipe.codes
    assert codes is not None and codes.numbers.shape == (12, 2, 8, 8) and len(np.unique(codes.numbers)) > 4
    seen: set[tuple[int, bool]] = set()
    for step in range(4):
        assert recipe.pairs is not None
        batch = next(recipe.pairs(step))
        assert batch.faces is not None and batch.mirrored is not None
        seen |= set(zip(batch.faces.tolist(), batch.mirrored.tolist(), strict=True))
        features = recipe.vqgan.encode(batch.clean)
        assert torch.equal(recipe._true_codes(batch), recipe.vqgan.quantize.nearest(features))  # type: ignore[union-attr]
    assert {mirrored for _, mirrored in seen} == ({True, False} if augmentation == "mirror" else {False})


def test_with_and_without_them_the_training_is_the_same(faces: Path, run: Path, tmp_path: Path) -> None:
    few = (*GIVEN, "run.steps=3", "run.accumulate=2")
    kept = trained(faces, run, "transformer", *few, into=tmp_path / "kept")
    each = trained(faces, run, "transformer", *few, "recipe.cached=false", into=tmp_path / "each")
    assert (tmp_path / "kept" / CODES).is_file() and not (tmp_path / "each" / CODES).exists()
    assert_same_state(state_of(kept), state_of(each))


def test_they_are_looked_up_once(faces: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = second(faces, run, tmp_path).codes
    monkeypatch.setattr(codes_module, "_looked_up", lambda *_: pytest.fail("looked up again"))
    again = second(faces, run, tmp_path).codes
    assert first is not None and again is not None and np.array_equal(first.numbers, again.numbers)


def test_a_kill_while_they_are_looked_up_leaves_nothing_half(
    faces: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = second(faces, run, tmp_path / "whole").codes
    save = codes_module.save_file

    def torn(tensors: Any, path: Path, **told: Any) -> None:
        save(tensors, path, **told)
        path.write_bytes(path.read_bytes()[:200])
        raise Killed

    monkeypatch.setattr(codes_module, "save_file", torn)
    with pytest.raises(Killed):
        second(faces, run, tmp_path / "killed")
    assert not (tmp_path / "killed" / CODES).exists()
    monkeypatch.undo()
    again = second(faces, run, tmp_path / "killed").codes
    assert whole is not None and again is not None and np.array_equal(whole.numbers, again.numbers)


@pytest.mark.parametrize("fault", ["broken", "cut", "empty", "other network", "other faces", "another size of picture"])
def test_stale_and_broken_ones_are_made_again_and_it_is_said(
    fault: str, faces: Path, run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = second(faces, run, tmp_path)
    kept, right = tmp_path / CODES, recipe.codes
    assert right is not None
    if fault in ("broken", "cut", "empty"):
        data = kept.read_bytes()
        kept.write_bytes({"broken": b"\xff" * 64 + data[64:], "cut": data[:-9], "empty": b""}[fault])
    elif fault == "other network":
        with torch.no_grad():
            recipe.vqgan.quantize.embedding.weight.neg_()  # type: ignore[union-attr]
        recipe.codes = None
    else:
        assert recipe.faces is not None
        name = {"other faces": "pictures", "another size of picture": "size"}[fault]
        setattr(recipe.faces, name, recipe.faces.pictures[::-1] if name == "pictures" else 63)
        recipe.faces._kept = recipe.faces._kept[::-1]
    with caplog.at_level(logging.WARNING):
        if fault in ("broken", "cut", "empty"):
            found = second(faces, run, tmp_path).codes
            assert found is not None and np.array_equal(found.numbers, right.numbers)
        else:
            recipe.batches(0)
    assert caplog.text.count("looked up again") == 1 and CODES in caplog.text
    caplog.clear()
    recipe.batches(0) if fault not in ("broken", "cut", "empty") else second(faces, run, tmp_path)
    assert "looked up again" not in caplog.text


def test_a_disk_that_does_not_take_them_is_complained_of(
    faces: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(codes_module, "save_file", full)
    assert second(faces, run, tmp_path).codes is not None
    assert "No space left on device" in caplog.text and not (tmp_path / CODES).exists()


def published(path: Path, recipe: TransformerRecipe, **changes: Any) -> Path:
    """As generate_latent_gt writes it, by the names of the pictures."""
    assert recipe.codes is not None and recipe.faces is not None
    tables: dict[str, dict[str, Any]] = {"orig": {}, "hflip": {}}
    for index in range(len(recipe.faces)):
        for way, table in enumerate(tables.values()):
            table[Path(recipe.faces.name(index)).stem] = recipe.codes.numbers[index, way].astype(np.int64)
    torch.save(tables | changes, path)
    return path


def test_the_published_file_takes_their_place(faces: Path, run: Path, tmp_path: Path) -> None:
    own = second(faces, run, tmp_path / "own")
    file = published(tmp_path / "latent_gt.pth", own)
    given = second(faces, run, tmp_path / "given", f"recipe.codes={file}", "recipe.cached=false").codes
    assert own.codes is not None and given is not None and np.array_equal(own.codes.numbers, given.numbers)
    assert not (tmp_path / "given" / CODES).exists()

    with pytest.raises(InputError, match="no part 'hflip'"):
        second(faces, run, tmp_path / "given", f"recipe.codes={published(tmp_path / 'a.pth', own, hflip=3)}")
    with pytest.raises(InputError, match="it has none of "):
        second(faces, run, tmp_path / "given", f"recipe.codes={published(tmp_path / 'b.pth', own, orig={})}")
    strange = {Path(own.faces.name(i)).stem: np.full((8, 8), 32) for i in range(len(own.faces))}  # type: ignore[union-attr, arg-type]
    with pytest.raises(InputError, match="codes up to 32, where the network has 8 x 8 of 32"):
        second(faces, run, tmp_path / "given", f"recipe.codes={published(tmp_path / 'c.pth', own, hflip=strange)}")
    with pytest.raises(InputError, match="no such file"):
        second(faces, run, tmp_path / "given", "recipe.codes=nosuch.pth")


def test_a_batch_finds_its_own_codes() -> None:
    numbers = np.arange(3 * 2 * 2 * 2, dtype=np.uint16).reshape(3, 2, 2, 2)
    found = TrueCodes(numbers).of(torch.tensor([2, 0]), torch.tensor([True, False]))
    assert found.dtype == torch.int64 and found.tolist() == [numbers[2, 1].tolist(), numbers[0, 0].tolist()]
    batch = Batch(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), None, torch.tensor([2, 0]), torch.tensor([True, False])).to("cpu")
    assert batch.faces is not None and batch.faces.tolist() == [2, 0]


# The codebook's own codes --------------------------------------------------------------------------------------------------------------


def test_codes_settle_in_the_middle_of_what_is_near_to_them() -> None:
    torch.manual_seed(0)
    middles = torch.tensor([[-5.0, 0.0], [5.0, 0.0], [0.0, 7.0]])
    features = (middles[torch.arange(300) % 3] + 0.1 * torch.randn(300, 2)).T.reshape(1, 2, 15, 20)
    codebook = NearestCode(12, 2)
    settle(codebook, features)
    found = codebook.embedding.weight[codebook.nearest(features)].detach().reshape(-1, 2)
    places = features.flatten(2)[0].T
    assert float((found - places).norm(dim=1).max()) < 0.5
    assert not torch.isnan(codebook.embedding.weight).any()


def test_fewer_places_than_codes_settle_too() -> None:
    codebook = NearestCode(7, 2)
    settle(codebook, torch.randn(1, 2, 1, 2))
    assert torch.isfinite(codebook.embedding.weight).all()


def test_only_codes_that_nothing_took_are_revived() -> None:
    codebook, features = NearestCode(5, 3), torch.randn(2, 3, 4, 4)
    before = codebook.embedding.weight.detach().clone()
    revive(codebook, torch.tensor([3.0, 0.0, 1.0, 0.0, 2.0]), features)
    after = codebook.embedding.weight.detach()
    assert torch.equal(after[[0, 2, 4]], before[[0, 2, 4]])
    places = features.transpose(0, 1).flatten(1).T
    assert all(bool((places == row).all(dim=1).any()) for row in after[[1, 3]])


def test_the_counts_are_kept_with_the_run_and_dead_codes_come_back(faces: Path, tmp_path: Path) -> None:
    chosen = ("recipe.codes_from=1", "recipe.revive_every=3", "recipe.weights.perceptual=0", "recipe.rate=0", *GIVEN)
    engine = engine_of(faces, tmp_path, "vqgan", *chosen, "run.steps=4")
    book = engine.recipe.networks["generator"].get_submodule("quantize")
    assert isinstance(book, NearestCode)
    seen: dict[int, Tensor] = {}
    step = engine.recipe.step

    def watched(batch: Batch) -> None:
        if engine.step == 3:  # far from everything: nothing has taken it when the next count is due
            with torch.no_grad():
                book.embedding.weight[5] = 1e4
        step(batch)
        seen[engine.step] = book.embedding.weight.detach().clone()

    engine.recipe.step = watched  # type: ignore[method-assign]
    engine.run()
    kept = checkpoint.newest(tmp_path / "vqgan")
    assert kept is not None
    places = 2 * 8 * 8
    # the codes come in at step 1, which empties the count; steps 2 and 3 are counted
    assert float(kept[1]["networks"]["use"]["count"].sum()) == 2 * places
    assert not torch.equal(seen[0], seen[1]) and math.isclose(float(seen[3][5, 0]), 1e4)

    with torch.no_grad():
        assert float(kept[1]["networks"]["use"]["count"].min()) == 0
    engine = trained(faces, tmp_path, "vqgan", *chosen, "run.steps=5")
    revived = engine.recipe.networks["generator"].get_submodule("quantize.embedding").weight
    dead = kept[1]["networks"]["use"]["count"] == 0
    changed = (revived.detach() != kept[1]["networks"]["generator"]["quantize.embedding.weight"]).any(dim=1)
    use = engine.recipe.networks["use"]
    assert isinstance(use, CodeUse) and float(use.count.sum()) == 0
    assert not (changed & ~dead).any() and changed.any()
