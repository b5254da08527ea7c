"""Options from strangers: either they are good, or they are refused in words."""

from __future__ import annotations

import builtins
import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from facewright.app.options import NAMES, Options, from_json
from facewright.errors import ModelError, UsageError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6
)
OBJECTS = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=12), VALUES, max_size=5)

GOOD = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["gfpgan-mini", "codeformer-mini"]),
        "faces": st.sampled_from(["all", "largest", "center", "none", "0,2"]),
        "min_face": st.integers(0, 500),
        "fidelity": st.just("auto") | st.floats(0, 1),
        "strength": st.floats(0, 1),
        "upscale": st.floats(1, 8),
        "mask": st.sampled_from(["ellipse", "hull"]),
        "max_identity_drift": st.none() | st.floats(0, 2),
        "seed": st.integers(-(10**8), 10**8),
        "salvage": st.booleans(),
        "format": st.none() | st.sampled_from(["jpeg", ".png", "WebP"]),
        "quality": st.none() | st.integers(1, 100),
        "metadata": st.sampled_from(["keep", "basic", "strip"]),
    },
)


@given(OBJECTS)
@example({"seed": 10**400})
@example({"strength": float("nan")})
@example({"faces": [10**30]})
@example({"faces": "\ud800"})
@example({"model": "a\0b"})
@example({"format": "." * 300})
@example({"background": "~root/x:flavour=bilinear"})
@example({"quality": "5e-1"})
@example({"salvage": []})
def test_any_object_gives_options_or_words(given_options: dict[str, Any]) -> None:
    try:
        options = Options().changed(given_options)
    except (UsageError, ModelError) as refusal:
        assert refusal.what and "\n" not in refusal.what
        json.dumps({"what": refusal.what, "why": refusal.why, "what_to_do": refusal.what_to_do}, ensure_ascii=False).encode()
        return
    assert set(given_options) <= set(NAMES)
    assert Options(**asdict(options)) == options


@given(st.text(max_size=40) | st.binary(max_size=40))
@example('{"a":' * 100_000)
@example("[" * 100_000)
@example("1e999")
@example(b"\xff\xfe\x00")
def test_any_text_gives_an_object_or_words(text: str | bytes) -> None:
    try:
        assert isinstance(from_json(text), dict)
    except UsageError as refusal:
        assert "JSON" in refusal.what


@given(GOOD)
def test_good_options_go_round(chosen: dict[str, Any]) -> None:
    options = Options().changed(chosen)
    assert {name: getattr(options, name) for name in chosen} == chosen
    told = json.loads(json.dumps(asdict(options)))
    assert Options().changed(told) == options == Options(**told)
    # as a query says it: in words
    words = {name: "" if value is None else json.dumps(value) if not isinstance(value, str) else value for name, value in chosen.items()}
    assert Options().changed(words) == options


@given(GOOD, GOOD)
def test_what_is_not_named_stays(first: dict[str, Any], then: dict[str, Any]) -> None:
    assert Options().changed(first).changed(then) == Options().changed(first | then)


@pytest.mark.parametrize(("numbers", "faces"), [([0, 2], "0,2"), ([], "none"), ([7], "7")])
def test_faces_may_be_a_list(numbers: list[int], faces: str) -> None:
    assert Options().changed({"faces": numbers}).faces == faces


@pytest.mark.parametrize("numbers", [[-1], [True], [0.5], ["0"], [None], [[0]]])
def test_faces_are_numbers(numbers: list[Any]) -> None:
    with pytest.raises(UsageError, match="faces"):
        Options().changed({"faces": numbers})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strength", True),
        ("strength", "half"),
        ("strength", [1]),
        ("strength", 1.01),
        ("strength", None),
        ("seed", 0.5),
        ("seed", "1e300"),
        ("quality", 0),
        ("quality", False),
        ("upscale", 9),
        ("salvage", "perhaps"),
        ("salvage", 2),
        ("metadata", "some"),
        ("format", "gif"),
        ("mask", 1),
        ("faces", "0,x"),
        ("fidelity", "Auto"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(UsageError) as refusal:
        Options().changed({name: value})
    assert name in refusal.value.what.replace("-", "_") or value == "gif"


@pytest.mark.parametrize("model", ["GFPGAN-Mini", " gfpgan-mini ", "gfpgan-mini.safetensors"])
def test_other_names_of_a_model_stand_for_its_own(model: str) -> None:
    assert Options(model=model) == Options()


@pytest.mark.parametrize("name", ["/etc/passwd", "./x.pth", "~/x.pth", "x.pth", "gfpgan-mini:flavour=x", "file:///etc/passwd", "\0"])
@pytest.mark.parametrize("option", ["model", "background"])
def test_no_path_is_looked_at(name: str, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def asks(path: Any, *rest: Any, **more: Any) -> Any:
            asked.append(str(path))
            return function(path, *rest, **more)

        return asks

    places = ((os, "stat"), (os, "lstat"), (os.path, "isfile"), (os.path, "exists"), (builtins, "open"), (io, "open"), (os, "open"))
    with monkeypatch.context() as patches:
        for where, what in places:
            patches.setattr(where, what, watched(getattr(where, what)))
        Path("/etc/hosts").is_file()
        with pytest.raises((ModelError, UsageError)):
            Options().changed({option: name})
    assert "/etc/hosts" in asked, "it is seen when the disk is asked"
    assert not [path for path in asked if path.endswith(name.removeprefix("file://").lstrip("~.")) or name in path]


def test_the_nearest_name_is_told() -> None:
    with pytest.raises(UsageError) as refusal:
        Options().changed({"fidelty": 1})
    assert refusal.value.what == "there is no option 'fidelty'" and refusal.value.what_to_do == "use: fidelity"
