"""What a clip adds to a photo's way: where the detector looks, cuts, fading, calming, and the two threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from facewright.faces import Face
from facewright.faces.align import TEMPLATE
from facewright.faces.cuts import Cuts
from facewright.media.clips import Frame
from facewright.restore.easing import Easing, Following
from facewright.restore.looking import Seen, look
from facewright.restore.pipes import Ahead, Behind
from facewright.restore.steady import KEPT, Steadier

RATE = 25.0
STEP = 3


class Path:
    """A detector for faces whose places are known: places[index] is a list of x. The frames' first pixel tells their index."""

    def __init__(self, places: list[list[float]]) -> None:
        self.places, self.looks = places, list[int]()

    def detect(self, pixels: NDArray[np.uint8]) -> list[Face]:
        self.looks.append(index := int(pixels[0, 0, 0]))
        points = (TEMPLATE - 256) * (80 / 512) + 100
        moves = [np.array([x - 75, 0]) for x in self.places[index]]
        return [Face(np.array([75.0, 70, 125, 130]) + np.tile(move, 2), points + move, 0.99) for move in moves]

    def seen(self, start: int = 0) -> list[Seen]:
        def frames() -> Iterator[Frame]:
            for index in range(start, len(self.places)):
                pixels = np.full((32, 32, 3), 90, np.uint8)
                pixels[0, 0] = index
                yield Frame(index, index, pixels)

        seen = list(look(frames(), self.detect, RATE))
        assert [each.frame.index for each in seen] == list(range(start, len(self.places)))
        return seen


def test_a_still_face_is_looked_at_every_few_frames() -> None:
    path = Path([[100.0]] * 31)
    seen = path.seen()
    assert path.looks == list(range(0, 31, STEP))
    assert [each.frame.index for each in seen if each.faces is not None] == path.looks


def test_steady_motion_needs_no_more_looks_but_a_turn_does() -> None:
    steady = Path([[100.0 + 3 * t] for t in range(40)])
    steady.seen()
    assert len(steady.looks) <= 40 / STEP + 3
    wild = Path([[100.0 + 30 * np.sin(t)] for t in range(40)])
    wild.seen()
    assert len(set(wild.looks)) > 30


@pytest.mark.parametrize("change", [7, 8, 9, 10])
def test_coming_and_going_is_known_to_the_frame(change: int) -> None:
    path = Path([[100.0] if t < change else [100.0, 300.0] for t in range(20)])
    counts = [None if each.faces is None else len(each.faces) for each in path.seen()]
    assert counts[change - 1] == 1 and counts[change] == 2


def test_a_run_that_begins_in_the_middle_looks_at_the_same_frames() -> None:
    places = [[100.0 + 20 * np.sin(t / 2)] for t in range(60)]
    whole, late = Path(places), Path(places)
    whole.seen(), late.seen(start=24)
    assert [each for each in sorted(whole.looks) if each >= 36] == [each for each in sorted(late.looks) if each >= 36]


def scenery(seed: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    colours = random.uniform(0, 255, (1, 1, 3)) * 0.5 + cv2.resize(
        random.uniform(0, 120, (9, 12, 3)), (800, 400), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(np.clip(colours, 0, 255), np.uint8)


def cuts_in(pictures: list[NDArray[np.uint8]]) -> list[int]:
    cuts = Cuts()
    return [index for index, each in enumerate(pictures) if cuts.begins(each)]


def test_cuts_are_found_and_nothing_else() -> None:
    a, b = scenery(0), scenery(5)
    random = np.random.default_rng(0)
    pan = [a[50:230, 20 * t : 20 * t + 320] for t in range(20)]
    assert cuts_in(pan) == [] and cuts_in([*pan, *[b[:180, :320]] * 5, *pan]) == [20, 25]
    noisy = [np.clip(a[:180, :320] + random.normal(0, 25, (180, 320, 3)), 0, 255).astype(np.uint8) for _ in range(10)]
    assert cuts_in(noisy) == []
    fading = [np.asarray(a[:180, :320] * (1 - t / 12) + b[:180, :320] * (t / 12), np.uint8) for t in range(13)]
    assert cuts_in(fading) == []


@given(there=st.lists(st.sets(st.integers(0, 2)), min_size=1, max_size=40), cuts=st.sets(st.integers(1, 39)))
@settings(max_examples=60, deadline=None)
def test_easing_tells_the_distance_to_where_a_track_is_not(there: list[set[int]], cuts: set[int]) -> None:
    easing: Easing[int] = Easing(RATE)
    given = []
    for index, tracks in enumerate(there):
        given += easing.add(index, tracks, index in cuts)
        assert index + 1 - len(given) <= easing.reach
    given += easing.finish()
    assert [index for index, _ in given] == list(range(len(there)))
    shots = np.cumsum([index in cuts for index in range(len(there))])
    for index, parts in given:
        assert set(parts) == there[index]
        for track, part in parts.items():
            away = [abs(other - index) for other in range(len(there)) if shots[other] == shots[index] and track not in there[other]]
            assert part == min([easing.reach + 1, *away]) / (easing.reach + 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_following_never_jumps_and_arrives(wishes: list[float]) -> None:
    following = Following(RATE)
    at = [following.next({3: wish})[3] for wish in [*wishes, *[wishes[-1]] * 10]]
    assert at[0] == wishes[0] and at[-1] == pytest.approx(wishes[-1])
    assert max(np.abs(np.diff(at)), default=0) <= following.step + 1e-9
    following = Following(RATE)
    assert all(following.next({3: wish}, falls_at_once=True)[3] <= wish + 1e-9 for wish in wishes)
    following.next({})
    assert following.next({3: 0.5})[3] == 0.5, "a track that comes back begins anew"


def crop(seed: int = 0, side: int = 96) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    return np.asarray(cv2.resize(random.uniform(0.2, 0.8, (12, 12, 3)), (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def test_what_is_drawn_anew_each_frame_is_calmed() -> None:
    random, steadier = np.random.default_rng(0), Steadier()
    still = crop()
    drawn = [np.asarray(still + random.normal(0, 0.03, still.shape), np.float32) for _ in range(20)]
    shown = [steadier.steadied(0, t, still, each) for t, each in enumerate(drawn)]
    assert_allclose(shown[0], drawn[0])
    ratio = np.std(shown[-1] - still) / np.std(drawn[-1] - still)
    assert ratio == pytest.approx(((1 - KEPT) / (1 + KEPT)) ** 0.5, rel=0.1), "what an exponential mean leaves of noise"


def test_what_changes_is_shown_at_once() -> None:
    steadier, before, after = Steadier(), crop(0), crop(1)
    for t in range(5):
        steadier.steadied(0, t, before, before)
    assert np.abs(steadier.steadied(0, 5, after, after) - after).mean() < 0.01
    # after a gap, and for another track, nothing is remembered
    assert_allclose(steadier.steadied(0, 7, before, before * 0.5), before * 0.5)
    assert_allclose(steadier.steadied(1, 8, before, before * 0.5), before * 0.5)
    steadier.forget_before(8)
    assert list(steadier._last) == [1]


def test_calming_follows_the_motion() -> None:
    wide = crop(3, 160)
    steadier = Steadier()
    for t in range(6):
        view = np.ascontiguousarray(wide[20 : 20 + 96, 10 + 2 * t : 10 + 2 * t + 96])
        shown = steadier.steadied(0, t, view, view)
        assert np.abs(shown - view)[8:-8, 8:-8].mean() < 0.004, "nothing is smeared"


def test_ahead_reads_ahead_so_far_and_no_further() -> None:
    given = []

    def source() -> Iterator[int]:
        for number in range(100):
            given.append(number)
            yield number

    with Ahead(source(), 3) as ahead:
        coming = iter(ahead)
        assert next(coming) == 0
        time.sleep(0.1)
        assert len(given) <= 6
    assert len(given) < 10 and threading.active_count() < 20
    with Ahead(source(), 3) as ahead:
        assert list(ahead) == list(range(100))


def test_what_the_source_raises_comes_in_its_place() -> None:
    def source() -> Iterator[int]:
        yield from range(5)
        raise ValueError("broken")

    got = []
    with pytest.raises(ValueError, match="broken"), Ahead(source(), 2) as ahead:
        got.extend(iter(ahead))
    with Ahead(source(), 2) as ahead:
        coming = iter(ahead)
        assert [next(coming) for _ in range(5)] == list(range(5))


def test_behind_keeps_the_order_and_tells_what_went_wrong() -> None:
    done: list[int] = []
    with Behind(done.append, 2) as behind:
        for number in range(50):
            behind.put(number)
    assert done == list(range(50))

    def fails(number: int) -> None:
        if number == 3:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), Behind(fails, 2) as behind:
        for number in range(1000):
            behind.put(number)
        pytest.fail("it was never told")
    with pytest.raises(OSError, match="disk full"), Behind(fails, 8) as behind:
        for number in range(4):
            behind.put(number)
    with pytest.raises(KeyError), Behind(done.append, 8) as behind:
        behind.put(0)
        raise KeyError
