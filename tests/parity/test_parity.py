"""Our code against what the published programs computed: one test a reference case."""

from __future__ import annotations

from types import ModuleType

import pytest

from parity.reading import SELECTION, Fixture, cases
from parity.registry import collect


def test_reference(reference_case: tuple[Fixture, ModuleType]) -> None:
    fixture, adapter = reference_case
    adapter.run(fixture)


def test_all_adapters_can_be_imported() -> None:
    assert collect().broken == {}


def test_every_selected_case_is_handled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWRIGHT_REFERENCE", str(SELECTION))
    found = collect()
    assert not [fixture.name for fixture in found.unhandled]
    assert len(found.handled) == len(list(cases(SELECTION))) > 0
