"""Presets, overrides, and what is refused."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewright.errors import FacewrightError, InputError, UsageError
from facewright.train.recipes.gfpgan import GfpganSettings
from facewright.train.run import defaults
from facewright.train.settings import resolve


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    steps: int = 10
    loud: bool = False
    name: str = "a"
    sizes: tuple[int, ...] = (1, 2)
    weights: dict[str, float] = field(default_factory=lambda: {"pixel": 1.0, "style": 0.5})


@dataclass(frozen=True)
class Outer:
    run: Inner = field(default_factory=Inner)
    seed: int = 0


def overridden(*overrides: str, preset: str | None = None) -> Outer:
    return resolve(Outer(), "gfpgan", preset, list(overrides))


def test_values_take_the_kind_of_what_they_replace() -> None:
    run = overridden("run.rate=5e-4", "run.steps=20", "run.loud=true", "run.name=12", "run.sizes=[4, 8.0]", "seed=1_0").run
    assert (run.rate, run.steps, run.loud, run.name, run.sizes) == (5e-4, 20, True, "12", (4, 8))
    assert isinstance(overridden("run.rate=3").run.rate, float) and isinstance(overridden("run.steps=3.0").run.steps, int)
    assert overridden("seed=9007199254740993").seed == 9007199254740993
    assert overridden("run.name=a=b").run.name == "a=b"


def test_a_map_is_replaced_whole_and_an_entry_alone(tmp_path: Path) -> None:
    assert overridden("run.weights={pixel: 2}").run.weights == {"pixel": 2.0}
    assert overridden("run.weights.pixel=2").run.weights == {"pixel": 2.0, "style": 0.5}
    assert overridden("run.weights.edges=1", "run.weights.pixel=0").run.weights == {"pixel": 0.0, "style": 0.5, "edges": 1.0}
    preset = tmp_path / "my.yaml"
    preset.write_text("run:\n  weights: {edges: 3}\n  steps: 7\n")
    assert overridden("run.weights.pixel=2", preset=str(preset)).run.weights == {"edges": 3.0, "pixel": 2.0}
    assert overridden("run.steps=8", preset=str(preset)).run.steps == 8
    assert Outer() == overridden()


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("run.stpes=3", "did you mean run.steps?"),
        ("sede=3", "did you mean seed?"),
        ("run.zzzz=3", "one of: "),
        ("run=3", "it is a map of settings"),
        ("seed.part=3", "seed cannot be"),
        ("run.steps=3.5", "a whole number"),
        ("run.steps=many", "a whole number"),
        ("run.steps=true", "a whole number"),
        ("run.steps=", "a whole number"),
        ("run.rate=.nan", "a number"),
        ("run.rate=[1]", "a number"),
        ("run.loud=1", "true or false"),
        ("run.name=", "a text"),
        ("run.name=true", "a text"),
        ("run.sizes=abc", "a list of whole numbers"),
        ("run.sizes=7", "a list of whole numbers"),
        ("run.sizes=[1, x]", "a whole number"),
        ("run.weights=5", "a map of numbers"),
        ("run.weights={pixel: much}", "run.weights.pixel cannot be 'much'"),
        ("run.sizes=[1, 2", "not valid YAML"),
        ("run.steps", "key=value"),
        ("=5", "there is no setting"),
    ],
)
def test_what_does_not_fit_is_refused(override: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        overridden(override)
    assert told in f"{caught.value} {caught.value.what_to_do}"


@settings(max_examples=40)
@given(key=st.text(max_size=12), value=st.text(max_size=12))
def test_no_text_breaks_it(key: str, value: str) -> None:
    for text in (f"{key}={value}", f"run.{key}={value}", f"run.weights.{key}={value}", f"run.sizes={value}"):
        with contextlib.suppress(FacewrightError):
            overridden(text)


def test_every_preset_can_be_read() -> None:
    folder = files("facewright.train") / "presets"
    names = [p.name.removeprefix("gfpgan-").removesuffix(".yaml") for p in folder.iterdir() if p.name.startswith("gfpgan-")]
    assert {"mini", "tiny"} <= set(names)
    for name in names:
        found = resolve(defaults("gfpgan"), "gfpgan", name, ["recipe.data=elsewhere", "run.steps=3"])
        assert found.recipe.data == "elsewhere" and found.run.steps == 3
        assert found.recipe.shares["us"] <= 0.34


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2", "just words"])
def test_a_preset_file_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"bad\.yaml"):
        overridden(preset=str(path))
    with pytest.raises(UsageError, match="no preset file"):
        overridden(preset=str(tmp_path / "none.yaml"))
    with pytest.raises(UsageError, match="has no preset 'maxi'") as caught:
        overridden(preset="maxi")
    assert "mini" in caught.value.what_to_do


def test_an_empty_preset_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert overridden(preset=str(tmp_path / "empty.yaml")) == Outer()


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["recipe.size=512"], "recipe.channels does not fit"),
        (["recipe.channels=[]"], "recipe.channels does not fit"),
        (["recipe.discriminator_channels=[8, 8]"], "recipe.discriminator_channels does not fit"),
        (["recipe.flavour=murky"], "recipe.flavour"),
        (["recipe.weights.perceptal=1"], "no loss 'perceptal'"),
        (["recipe.weights={pixel: 1}"], "the loss artifact has no weight"),
        (["recipe.damage.heavvy=1"], "no degradation called 'heavvy'"),
        (["recipe.shares.us=1.2"], "nothing for the other sources"),
    ],
)
def test_a_recipe_that_cannot_be_built_is_refused_at_once(overrides: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        resolve(defaults("gfpgan"), "gfpgan", "tiny", overrides)


def test_settings_that_fit_only_together_are_set_together() -> None:
    recipe = resolve(
        defaults("gfpgan"), "gfpgan", "tiny", ["recipe.size=64", "recipe.channels=[16, 16, 16, 8, 8]", "recipe.crop=32"]
    ).recipe
    assert isinstance(recipe, GfpganSettings) and recipe.size == 64
