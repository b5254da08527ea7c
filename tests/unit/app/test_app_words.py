"""What a service says: its own words for the command's, and an answer's status."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facewright.app.words import Cancelled, Refused, spoken, status_of, told
from facewright.errors import FacewrightError, InputError, ModelError, OutputError, UsageError
from facewright.weights.cache import cache_folder


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not chosen (--faces 0,2)", "not chosen (faces 0,2)"),
        ("smaller than --min-face 24", "smaller than min_face 24"),
        ("--max-identity-drift cannot be 3", "max_identity_drift cannot be 3"),
        ("copy it again, or add --salvage to restore it", "copy it again, or turn on salvage to restore it"),
        ("raise --pixel-limit if you trust the file", "make it smaller; whoever runs the service sets the limit"),
        ("see: facewright models list; or give the path of a weight file", "see the list of models"),
        ("facewright models get codeformer", "fetch codeformer first"),
        ("use one of: lanczos, none, or the path of a weight file", "use one of: lanczos, none"),
        ("cannot read trip--beach.jpg", "cannot read trip--beach.jpg"),
        ("cannot read a-w b -- c.jpg", "cannot read a-w b -- c.jpg"),
        ("", ""),
    ],
)
def test_options_have_the_services_names(text: str, said: str) -> None:
    assert spoken(text) == said


def test_where_models_lie_is_nobodys_business() -> None:
    assert str(cache_folder()) not in spoken(f"it is not in {cache_folder()} or {cache_folder()}/x")


@given(st.text(st.characters(exclude_characters="-")))
def test_what_names_no_option_stays(text: str) -> None:
    if "facewright models" not in text and "weight file" not in text and str(cache_folder()) not in text:
        assert spoken(text) == text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UsageError("a"), 400, 2),
        (InputError("a"), 422, 3),
        (ModelError("a"), 409, 4),
        (OutputError("a"), 507, 5),
        (FacewrightError("a"), 500, 1),
        (Refused(413, "a"), 413, 1),
    ],
)
def test_each_kind_has_its_status(error: FacewrightError, status: int, code: int) -> None:
    assert status_of(error) == status
    assert told(error) == {"what": "a", "why": "", "what_to_do": "", "code": code}


def test_who_cancelled_is_no_fault_of_the_service() -> None:
    assert 400 <= status_of(Cancelled("a.jpg")) < 500
    assert "a.jpg" in json.dumps(told(Cancelled("a.jpg")))
