"""Makes one test of each reference case that an adapter handles, and says at the end which ones nobody handles."""

from __future__ import annotations

from functools import lru_cache

import pytest

from parity.registry import Collected, collect, is_slow


@lru_cache(maxsize=1)
def collected() -> Collected:
    return collect()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "reference_case" in metafunc.fixturenames:
        marked = [
            pytest.param((fixture, adapter), id=fixture.name, marks=[pytest.mark.slow] if is_slow(fixture, adapter) else [])
            for fixture, adapter in collected().handled
        ]
        metafunc.parametrize("reference_case", marked)
