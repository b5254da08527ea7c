"""One network in memory for all who ask for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from facewright.app.options import Options
from facewright.app.restorers import NETWORKS, VARIANTS, Restorers
from facewright.faces.identity import Identity
from facewright.restore import Restorer


@pytest.fixture
def restorers(monkeypatch: pytest.MonkeyPatch) -> Restorers:
    monkeypatch.setattr(Identity, "load", lambda device: None)
    return Restorers(device="cpu")


def test_choices_share_the_network_and_the_detector(restorers: Restorers) -> None:
    plain = restorers.of(Options())
    assert restorers.of(Options()) is plain
    for other in ({"strength": 0.5}, {"faces": "0"}, {"fidelity": 0.3}, {"mask": "hull"}, {"upscale": 2.0}, {"model": "GFPGAN-Mini"}):
        changed = restorers.of(Options(**other))
        assert changed.network is plain.network and changed.detector is plain.detector
        assert {name: getattr(changed.settings, name) for name in other} == other | ({"model": "gfpgan-mini"} if "model" in other else {})
    assert restorers.loaded == 1 and plain.settings.strength == 1.0


def test_what_is_no_choice_of_the_restorer_makes_no_new_one(restorers: Restorers) -> None:
    assert restorers.of(Options(format="webp", quality=50, metadata="strip", salvage=True)) is restorers.of(Options())


def test_all_who_come_at_once_get_one_network(restorers: Restorers, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    init = Restorer.__init__
    monkeypatch.setattr(Restorer, "__init__", lambda self, *a, **k: (made.append("one"), init(self, *a, **k))[1])
    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(restorers.of, [Options(strength=number % 4 / 4) for number in range(32)]))
    assert made == ["one"] and len({id(each.network) for each in got}) == 1


def test_only_so_many_networks_stay(restorers: Restorers) -> None:
    first = restorers.of(Options()).network
    second = restorers.of(Options(seed=1)).network
    restorers.of(Options(strength=0.5))  # the first was used last
    third = restorers.of(Options(model="codeformer-mini")).network
    assert len({id(each) for each in (first, second, third)}) == 3
    assert restorers.loaded == NETWORKS == 2
    assert restorers.of(Options(strength=0.2)).network is first, "the one used longest ago went"
    assert restorers.of(Options(seed=1)).network is not second
    assert restorers.loaded == NETWORKS


def test_what_is_used_stays(restorers: Restorers) -> None:
    first = restorers.of(Options())
    second = restorers.of(Options(seed=1))
    assert restorers.of(Options()) is first
    restorers.of(Options(seed=2))
    assert restorers.of(Options()) is first
    assert restorers.of(Options(seed=1)) is not second


def test_only_so_many_variants_stay(restorers: Restorers) -> None:
    for number in range(3 * VARIANTS):
        restorers.of(Options(strength=number / 1000))
    assert len(restorers._known) == VARIANTS and restorers.loaded == 1
