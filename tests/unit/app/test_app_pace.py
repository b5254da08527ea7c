"""How long photos take here, limits, and what is counted."""

from __future__ import annotations

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from facewright.app import Limits
from facewright.app.measures import Measures
from facewright.app.pace import Pace
from facewright.errors import UsageError


def test_nothing_is_promised_before_a_photo_was_seen() -> None:
    pace = Pace(2)
    assert pace.of_photos(3) is None and pace.of_one(2, 0.0) is None


def test_photos_side_by_side_take_their_share() -> None:
    pace = Pace(4)
    pace.photo(2.0)
    assert pace.of_photos(1) == pace.of_photos(4) == 2.0
    assert pace.of_photos(12) == 6.0


def test_what_was_seen_last_counts_most() -> None:
    pace = Pace(1)
    pace.photo(1.0)
    for _ in range(30):
        pace.photo(5.0)
    assert pace.of_photos(1) == pytest.approx(5.0, abs=0.01)
    pace.photo(1.0)
    assert 4.0 < (pace.of_photos(1) or 0) < 4.5, "one odd photo does not turn it over"


def test_what_is_left_of_a_photo_falls_as_it_goes_on() -> None:
    pace = Pace(1)
    pace.photo(10.0)
    pace.face(2.0)
    assert pace.of_one(3, 5) == 8.0, "two of ten seconds are for what is around the faces"
    told = [pace.of_one(None, 0), pace.of_one(None, 4), pace.of_one(2, 5), pace.of_one(1, 9), pace.of_one(0, 9.5)]
    assert told == [10.0, 6.0, 6.0, 4.0, 2.0]
    assert pace.of_one(None, 100.0) == 0.0, "never less than nothing"


@pytest.mark.parametrize("name", list(vars(Limits())))
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_limits_that_let_nothing_through_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        Limits(**{name: value})


def test_measures_ask_when_somebody_reads() -> None:
    queued = [3]
    measures = Measures(lambda: queued[0], lambda: 2, lambda: 1, lambda: 0)

    def read() -> dict[str, float]:
        return {
            sample.name: sample.value for family in text_string_to_metric_families(measures.read().decode()) for sample in family.samples
        }

    assert (read()["facewright_queue_photos"], read()["facewright_working_photos"], read()["facewright_jobs"]) == (3, 2, 1)
    queued[0] = 0
    assert read()["facewright_queue_photos"] == 0
    assert Measures(lambda: 0, lambda: 0, lambda: 0, lambda: 0).registry is not measures.registry, "several services may live in a process"
