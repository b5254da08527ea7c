"""Tracks: who is who from frame to frame, what is bridged, how still a still face is, and how much is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from facewright.faces import Face
from facewright.faces.align import TEMPLATE, similarity
from facewright.faces.track import Moment, Tracker, overlap, pairs, smoothed
from facewright.faces.warp import transform

RATE = 25.0


def face(x: float, y: float = 100, side: float = 80, score: float = 0.99) -> Face:
    """With its template's square of `side` around (x, y)."""
    points = (TEMPLATE - 256) * (side / 512) + [x, y]
    return Face(np.array([x - 0.3 * side, y - 0.3 * side, x + 0.3 * side, y + 0.4 * side]), points, score)


def follow(
    frames: Sequence[Sequence[Face] | None], cuts: Sequence[int] = (), embed: Callable[[Face], NDArray[np.float64]] | None = None
) -> list[Moment]:
    tracker = Tracker(RATE)
    moments = []
    for index, faces in enumerate(frames):
        moments += tracker.add(faces, cut=index in cuts, embed=embed)
        assert index + 1 - len(moments) <= tracker.horizon
    moments += tracker.finish()
    assert [moment.index for moment in moments] == list(range(len(frames)))
    return moments


def centres(moments: list[Moment], track: int = 0) -> NDArray[np.float64]:
    return np.array([each.face.landmarks.mean(axis=0) for moment in moments for each in moment.faces if each.track == track])


@given(x=st.floats(0, 500), speed=st.floats(-5, 5), every=st.integers(1, 6))
@settings(max_examples=12, deadline=None)
def test_steady_motion_is_followed_exactly_whether_looked_at_or_not(x: float, speed: float, every: int) -> None:
    frames = [[face(x + speed * t)] if t % every == 0 else None for t in range(31)]
    moments = follow(frames)
    last = 30 // every * every
    for moment in moments[: last + 1]:
        (only,) = moment.faces
        assert only.track == 0 and only.looked == (moment.index % every == 0)
        expected = face(x + speed * moment.index)
        assert_allclose(only.face.landmarks, expected.landmarks, atol=1e-6)
        assert_allclose(only.face.box, expected.box, atol=1e-6)
        assert only.face.affine is not None
        assert_allclose(transform(only.face.affine, expected.landmarks), TEMPLATE, atol=1e-3)


def test_a_still_face_does_not_tremble_and_a_jerk_is_followed() -> None:
    random = np.random.default_rng(0)
    trembling = []
    for _ in range(60):
        each = face(100)
        each.landmarks = each.landmarks + random.normal(0, 0.1, (5, 2))
        trembling.append([each])
    raw = np.array([each[0].landmarks for each in trembling])
    still = np.array([moment.faces[0].face.landmarks for moment in follow(trembling)])
    assert np.abs(np.diff(still, axis=0)).mean() < 0.15 * np.abs(np.diff(raw, axis=0)).mean()

    # starts to run, and stops, within one frame
    places = np.clip(np.arange(60) - 20, 0, 20) * 6.0
    moving = centres(follow([[face(100 + x)] for x in places]))
    truth = np.array([face(100 + x).landmarks.mean(axis=0) for x in places])
    assert np.abs(moving - truth).max() < 1, "a twentieth of the distance between the eyes"


def test_alignment_does_not_jump_where_the_trusted_points_change() -> None:
    """The points tremble, and with them changes which of them the alignment trusts."""
    frames = []
    random = np.random.default_rng(3)
    for _ in range(60):
        each = face(100)
        each.landmarks += random.normal(0, 0.2, (5, 2))
        frames.append([each])

    def steps(affines: list[NDArray[np.float64]]) -> float:
        corner = np.array([transform(np.asarray(affine), np.array([[100.0, 100]]))[0] for affine in affines])
        return float(np.linalg.norm(np.diff(corner, axis=0), axis=1).mean())

    tracked = [moment.faces[0].face.affine for moment in follow(frames)]
    assert steps(tracked) < 0.2 * steps([similarity(each[0].landmarks) for each in frames])  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", [1, 5, 12])
def test_short_gaps_are_bridged(missing: int) -> None:
    frames = [[face(50 + 3 * t)] if not 10 <= t < 10 + missing else [] for t in range(40)]
    moments = follow(frames)
    assert all([each.track for each in moment.faces] == [0] for moment in moments)
    assert_allclose(centres(moments)[:, 0], [50 + 3 * t + centres([moments[0]])[0, 0] - 50 for t in range(40)], atol=1e-6)


def test_long_absence_is_none_of_ours() -> None:
    moments = follow([[face(50)] if not 10 <= t < 30 else [] for t in range(40)])
    assert [len(moment.faces) for moment in moments] == [1] * 10 + [0] * 20 + [1] * 10
    assert {each.track for moment in moments[30:] for each in moment.faces} == {1}


def test_what_was_seen_once_was_no_face() -> None:
    frames = [[face(50), face(300)] if t == 7 else [face(50)] for t in range(20)]
    assert all(len(moment.faces) == 1 for moment in follow(frames))
    # but where there was no second look, the first counts
    assert [len(moment.faces) for moment in follow([[face(50)]])] == [1]
    assert [len(moment.faces) for moment in follow([[face(50)], [face(51)], [face(300)]], cuts=[2])] == [1, 1, 1]


def test_a_cut_ends_all_tracks_and_mixes_nothing() -> None:
    moments = follow([[face(100)]] * 10 + [[face(108)]] * 10, cuts=[10])
    assert [moment.cut for moment in moments] == [index == 10 for index in range(20)]
    assert [moment.faces[0].track for moment in moments] == [0] * 10 + [1] * 10
    places = np.concatenate([centres(moments, 0), centres(moments, 1)])[:, 0]
    assert_allclose(places - places[0], [0] * 10 + [8] * 10, atol=1e-6)


PEOPLE = {0.97: np.array([0.0, 0, 0]), 0.98: np.array([0.8, 0, 0])}
"""Embeddings by score, which here tells the people apart; trackers do not look at it."""


def crossing(hidden: range, turn: bool = False) -> list[list[Face]]:
    """Two people walk past each other, 4 px a frame; the one behind is not seen in `hidden`. turn: they turn back where they meet."""
    frames = []
    for t in range(60):
        way = 4 * (30 - abs(30 - t)) if turn else 4 * t
        here = [face(100 + way, score=0.97)]
        if t not in hidden:
            here.append(face(340 - way, score=0.98))
        frames.append(here if t % 2 else here[::-1])
    return frames


def truth_of(moments: list[Moment], frames: list[list[Face]]) -> list[set[float]]:
    """For each track the people whose places it took, where both were seen."""
    people: dict[int, set[float]] = {}
    for moment in moments:
        if len(frames[moment.index]) < 2:
            continue
        for each in moment.faces:
            near = [one for one in frames[moment.index] if np.abs(one.landmarks - each.face.landmarks).max() < 2]
            if len(near) == 1:
                people.setdefault(each.track, set()).add(near[0].score)
    return list(people.values())


@pytest.mark.parametrize("turn", [False, True], ids=["walk past", "meet and turn"])
@pytest.mark.parametrize("hidden", [range(0), range(27, 34), range(25, 36)])
def test_two_people_who_cross_stay_who_they_are(hidden: range, turn: bool) -> None:
    frames = crossing(hidden, turn)
    moments = follow(frames, embed=lambda each: PEOPLE[each.score] + 0.1)
    assert truth_of(moments, frames) == [{0.97}, {0.98}] or truth_of(moments, frames) == [{0.98}, {0.97}]


def test_places_alone_cannot_tell_who_turned_back() -> None:
    """The test above asks for identity: without it, people who turn back where they meet are mistaken for each other."""
    frames = crossing(range(25, 36), turn=True)
    assert any(len(people) > 1 for people in truth_of(follow(frames), frames))


def test_identity_is_asked_only_where_it_is_needed() -> None:
    asked = []

    def embed(each: Face) -> NDArray[np.float64]:
        asked.append(each)
        return PEOPLE[each.score]

    follow([[face(100 + t, score=0.97)] for t in range(100)], embed=embed)
    assert not asked
    follow([[face(100, score=0.97), face(400, score=0.98)] for _ in range(100)], embed=embed)
    assert len(asked) <= 2 * 100 / (0.5 * RATE) + 2


def test_somebody_who_comes_back_into_the_shot_keeps_the_number() -> None:
    def frames(who: float) -> list[list[Face]]:
        other = [face(600, score=0.98)]
        return [[face(100, score=0.97), *other]] * 20 + [other] * 30 + [[face(200, score=who), *other]] * 20

    embed = PEOPLE.__getitem__
    back = follow(frames(0.97), embed=lambda each: embed(each.score))
    assert {each.track for moment in back for each in moment.faces} == {0, 1}
    PEOPLE[0.96] = np.array([0, 0.9, 0])
    stranger = follow(frames(0.96), embed=lambda each: embed(each.score))
    assert {each.track for moment in stranger for each in moment.faces} == {0, 1, 2}


def test_memory_does_not_grow_with_the_clip() -> None:
    tracker = Tracker(RATE)
    random = np.random.default_rng(1)
    sizes = []
    for t in range(300):
        shown = [face(100 * n + 20 * np.sin(t / 9 + n)) for n in range(4) if random.random() > 0.1]
        tracker.add(shown if t % 3 == 0 else None, cut=t % 97 == 0, embed=lambda each: np.zeros(3))
        sizes.append(sum(len(track.finds) for track in tracker._tracks))
    assert max(sizes[150:]) <= max(sizes[:150]) <= 4 * 2 * tracker.horizon
    assert len(tracker._tracks) < 12


@given(st.permutations(range(5)))
def test_pairs_find_each_face_whatever_the_order(order: list[int]) -> None:
    before = [face(100 * n) for n in range(5)]
    after = [face(100 * n + 10) for n in order]
    assert sorted(pairs(before, after)) == [(n, order.index(n)) for n in range(5)]
    assert pairs(before, [face(5000)]) == [] and pairs([], after) == []


def test_overlap_is_of_areas() -> None:
    box = np.array([0.0, 0, 10, 10])
    assert overlap(box, box) == 1 and overlap(box, box + 10) == 0
    assert overlap(box, np.array([5.0, 0, 15, 10])) == pytest.approx(1 / 3)


@given(slope=st.floats(-20, 20), start=st.integers(-6, 0), end=st.integers(0, 6))
def test_smoothing_leaves_lines_alone(slope: float, start: int, end: int) -> None:
    offsets = np.arange(start, end + 1)
    assert_allclose(smoothed(offsets, (3 + slope * offsets)[:, None], 2.0, 0.1), [3], atol=1e-6)
