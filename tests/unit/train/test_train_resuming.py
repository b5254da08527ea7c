"""Going on with a run whose settings have changed since, or with a checkpoint of something else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from toy_recipe import ToyRecipe, ToySettings, toy_engine, toy_run
from traces import assert_same_state, state_of

from facewright.errors import InputError
from facewright.train import checkpoint
from facewright.train.resuming import changes, sizes, that_change_the_course


class OtherRecipe(ToyRecipe):
    """Of another name, and otherwise the same."""


def of(**settings: Any) -> ToyRecipe:
    return ToyRecipe(settings=ToySettings(**settings))


def test_a_changed_course_is_told_and_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    toy_run(tmp_path, 4)
    with caplog.at_level(logging.INFO):
        engine = toy_run(tmp_path, 8, of(rate=0.01), clip_norm=3.0, seed=5, log_every=4)
    (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert f"going on from {tmp_path / 'step-00000004.pt'} with other settings" in warning
    assert warning.endswith("recipe.rate 0.05 -> 0.01, run.seed 0 -> 5, run.clip_norm 10.0 -> 3.0")
    (info,) = [r.getMessage() for r in caplog.records if r.getMessage().startswith("also changed")]
    assert "run.log_every 2 -> 4" in info and "run.steps 4 -> 8" in info
    assert engine.recipe.optimizers["generator"].param_groups[0]["lr"] == 0.01
    assert yaml.safe_load((tmp_path / "settings.yaml").read_text())["recipe"]["rate"] == 0.01


def test_what_does_no_harm_is_not_warned_of_and_does_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    straight = state_of(toy_run(tmp_path / "straight", 8, batch=2))
    toy_run(tmp_path / "run", 4)
    harmless = {"log_every": 1, "sample_every": 0, "validate_every": 3, "checkpoint_every": 3, "keep_checkpoints": 5, "on_nan": "skip"}
    assert_same_state(straight, state_of(toy_run(tmp_path / "run", 8, best="weight", **harmless)))
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_recipe_can_say_what_does_no_harm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    toy_run(tmp_path, 4)
    recipe = of(rate=0.01)
    recipe.harmless = ("recipe.rate",)  # type: ignore[attr-defined]
    toy_run(tmp_path, 8, recipe)
    assert not caplog.records


def test_other_sizes_are_refused_by_their_settings(tmp_path: Path) -> None:
    toy_run(tmp_path, 4)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    with pytest.raises(InputError) as caught:
        toy_run(tmp_path, 8, of(width=6, rate=0.01), batch=4)
    told = str(caught.value)
    assert f"cannot go on from {tmp_path / 'step-00000004.pt'}" in told
    assert "critic: 0.weight is 4 x 3 x 3 x 3 there and 6 x 3 x 3 x 3 here (and 2 more)" in told
    assert "changed since: recipe.width 4 -> 6" in told and "rate" not in told
    assert "set recipe.width=4" in caught.value.what_to_do
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before, "nothing is touched"


def test_settings_that_were_edited_do_not_deceive(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What the checkpoint was made with counts, also where settings.yaml is gone, unreadable or newer."""
    toy_run(tmp_path, 4)
    for text in ("recipe: {rate: 0.01}", "recipe: [", "- 1"):
        (tmp_path / "settings.yaml").write_text(text)
        toy_engine(tmp_path, 8, of(rate=0.01)).resume(tmp_path / "step-00000004.pt")
        with pytest.raises(InputError, match="width 4 -> 6"):
            toy_run(tmp_path, 8, of(width=6))
    (tmp_path / "settings.yaml").unlink()
    toy_run(tmp_path, 8, of(rate=0.01))
    assert "recipe.rate 0.05 -> 0.01" in caplog.text


def test_a_checkpoint_from_before_settings_were_in_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    straight = state_of(toy_run(tmp_path / "straight", 8))
    folder = tmp_path / "run"
    toy_run(folder, 4)
    path, state = checkpoint.newest(folder) or (folder, {})
    old = {name: state[name] for name in ("step", "networks", "optimizers", "ema")}
    checkpoint.save(path, old | {"random": state["random"][0], "random_cuda": []})
    assert_same_state(straight, state_of(toy_run(folder, 8)))
    with pytest.raises(InputError, match="width 4 -> 6"):
        toy_run(folder, 9, of(width=6))


SPOILT: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda state: state.update(recipe="other"), "it is of the recipe other, this is toy"),
    (lambda state: state["networks"].pop("critic"), "another recipe: its networks are generator, here generator, critic"),
    (lambda state: state["ema"].update(critic={}), "another recipe: its ema are generator, critic, here generator"),
    (lambda state: state["networks"]["generator"].pop("bias"), "generator: it has no bias"),
    (lambda state: state["networks"]["critic"].update(more=torch.zeros(1)), "critic: there is no more here"),
    (lambda state: state["ema"]["generator"].update(bias=torch.zeros(4)), "average of generator: bias is 4 there and 3 here"),
    (lambda state: state["optimizers"]["critic"]["param_groups"][0]["params"].pop(), r"optimizer of critic: groups of \[3\] .* \[4\]"),
    (lambda state: [state.pop(name) for name in list(state) if name != "step"], "no checkpoint of a run: it has no networks"),
]


@pytest.mark.parametrize(("spoil", "told"), SPOILT)
def test_a_checkpoint_of_something_else_is_refused_by_name(tmp_path: Path, spoil: Callable[[dict[str, Any]], object], told: str) -> None:
    toy_run(tmp_path, 4)
    path, state = checkpoint.newest(tmp_path) or (tmp_path, {})
    spoil(state)
    checkpoint.save(path, state)
    engine = toy_engine(tmp_path, 8)
    before = state_of(engine)
    with pytest.raises(InputError, match=told) as caught:
        engine.run()
    assert caught.value.what == f"cannot go on from {path}" and caught.value.what_to_do
    assert_same_state(before, state_of(engine))  # nothing is half loaded
    with pytest.raises(InputError, match=told):
        engine.resume(path)


def test_another_recipe_is_named(tmp_path: Path) -> None:
    toy_run(tmp_path, 4)
    with pytest.raises(InputError, match=r"it is of the recipe toy, this is other$"):
        toy_run(tmp_path, 8, OtherRecipe(settings=ToySettings(width=6)))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
TREES = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@given(tree=TREES)
def test_nothing_has_changed_from_itself(tree: dict[str, Any]) -> None:
    assert changes(tree, tree) == {}


@given(one=TREES, other=TREES)
def test_changes_go_both_ways(one: dict[str, Any], other: dict[str, Any]) -> None:
    there, back = changes(one, other), changes(other, one)
    assert {name: (new, old) for name, (old, new) in there.items()} == back


def test_rates_and_weights_are_no_sizes() -> None:
    before = {"recipe": {"rate": 1.0, "style": 16, "channels": [1, 2], "weights": {"a": 1.0}, "flavour": "clean"}, "run": {"steps": 3}}
    now = {"recipe": {"rate": 2.0, "style": 8, "channels": [1, 3], "weights": {"b": 1.0}, "flavour": "bilinear"}, "run": {"steps": 4}}
    found = changes(before, now)
    assert set(that_change_the_course(found)) == {f"recipe.{n}" for n in ("rate", "style", "channels", "weights.a", "weights.b", "flavour")}
    assert set(sizes(that_change_the_course(found))) == {"recipe.style", "recipe.channels", "recipe.flavour"}
