"""What a sweep says, and the rule that is learned from one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewright.evaluate import Evaluation
from facewright.evaluate.calibration import KNOTS, METRICS, Curves, choices, compared, crossed, curves, fit, indices, losses, weigh
from facewright.evaluate.catalogue import METRICS as CATALOGUE
from facewright.evaluate.sweeping import Course, markdown, spearman
from facewright.metrics import Damage
from facewright.restore.fidelity import Rule

VALUES = np.linspace(0, 1, 21)


def course(*means: float, auto: float | None = None) -> Course:
    values = tuple(float(each) for each in np.linspace(0, 1, len(means)))
    return Course("heavy", "mini", CATALOGUE["identity[dlib]"], values, means, auto)


@pytest.mark.parametrize(
    ("means", "words", "rank"),
    [
        ((0.1, 0.2, 0.4), "rises", 1),
        ((0.4, 0.2, 0.1), "falls", -1),
        ((0.2, 0.1, 0.4), "turns at 0.5", 0.5),
        ((0.1, 0.1, 0.3), "rises", np.sqrt(3) / 2),
    ],
)
def test_a_course_tells_where_it_goes(means: tuple[float, ...], words: str, rank: float) -> None:
    assert course(*means).words == words and course(*means).rank == pytest.approx(rank)


def test_what_does_not_move_has_no_rank() -> None:
    assert course(0.1, 0.1, 0.1).words == "stays" and np.isnan(course(0.1, 0.1, 0.1).rank)


@settings(deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=9, unique=True))
def test_ranks_do_not_know_the_scale(values: list[float]) -> None:
    places = list(range(len(values)))
    assert spearman(places, values) == pytest.approx(spearman(places, np.argsort(np.argsort(values)).tolist()))
    assert -1 - 1e-9 <= spearman(places, values) <= 1 + 1e-9


def test_the_table_has_auto_beside_the_values() -> None:
    told = markdown([course(0.4, 0.2, 0.1, auto=0.15)], "w").splitlines()
    assert told[0] == "| damage |  | w 0 | w 0.5 | w 1 | auto | as w rises | Spearman |"
    assert told[2] == "| heavy | identity[dlib]* ↓ | 0.400 | 0.200 | 0.100 | 0.150 | falls | -1.00 |"


def made_up(seed: int, *, matters: bool, faces: int = 120) -> Curves:
    """Faces of which the blurred ones want w 0 and the clear ones w 1, if it matters; else all want 0.5."""
    random = np.random.default_rng(seed)
    blur = random.uniform(0, 1, faces)
    blur[:20] = 0
    wanted = 1 - blur if matters else np.full(faces, 0.5)
    table = np.abs(VALUES - wanted[:, None]) + 0.05 * random.standard_normal((faces, 1))
    return Curves(
        [f"p{index // 2}" for index in range(faces)],
        ["none"] * 20 + ["light"] * (faces - 20),
        [Damage(0.3 + each, 1.2, 5.0, 3.0 + 0.01 * each, 0.5) for each in blur],
        blur,
        VALUES,
        table,
        table[:, 2],
        {},
        "control",
    )


def test_the_index_finds_what_the_distance_follows() -> None:
    found = made_up(0, matters=True)
    weights = weigh(found)
    assert min(weights.weight) >= 0 and weights.weight.soft == pytest.approx(1, abs=0.02)
    assert np.abs(indices(found, weights) - found.distance).max() < 0.02


def test_a_rule_is_found_that_gives_each_face_its_own() -> None:
    found = made_up(0, matters=True)
    rule = fit(found, weigh(found))
    assert rule.damage == KNOTS and all(b <= a for a, b in zip(rule.w, rule.w[1:], strict=False))
    assert all(abs(rule(each) - (1 - each)) < 0.06 for each in (0, 0.1, 0.3, 0.6, 0.9))
    worth = compared(found, 7)
    assert worth.crossed.high < 0 and worth.crossed.mean < -0.1


def test_where_nothing_is_to_be_gained_it_says_so() -> None:
    found = made_up(1, matters=False)
    assert found.best_fixed == 0.5
    worth = compared(found, 7)
    assert worth.crossed.mean >= 0 and not worth.crossed.high < 0
    assert set(fit(found, weigh(found)).w) == {0.5}


def test_the_other_half_is_judged_by_what_it_did_not_teach() -> None:
    """Turning one person's wishes round changes the rules that others get, never this person's own."""
    found = made_up(2, matters=True)
    own = np.array([person == "p30" for person in found.people])
    turned = found.losses.copy()
    turned[own] = turned[own][:, ::-1]
    other = Curves(**{**vars(found), "losses": turned})
    assert np.array_equal(crossed(found, 7)[0][own], crossed(other, 7)[0][own])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_no_rule_that_falls_is_better(seed: int) -> None:
    random = np.random.default_rng(seed)
    found = made_up(seed, matters=True, faces=40)
    found = Curves(**{**vars(found), "losses": random.uniform(0, 1, (40, len(VALUES)))})
    weights = weigh(found)
    damages = indices(found, weights)

    def loss(rule: Rule) -> float:
        return float(found.at(np.array([rule(each) for each in damages])).mean())

    best = loss(fit(found, weights))
    for _ in range(30):
        w = np.sort(random.integers(0, 21, len(KNOTS)))[::-1] / 20
        assert loss(Rule(KNOTS, tuple(map(float, w)))) >= best - 1e-9


def test_losses_weigh_the_four_alike() -> None:
    random = np.random.default_rng(0)
    scores = {name: random.uniform(0.5, 2, (50, 3)) for name in METRICS}
    scaled = {name: each * (100 if name.startswith("landmarks") else 1) for name, each in scores.items()}
    assert losses(scaled) == pytest.approx(losses(scores))
    exact = {name: np.ones((2, 3)) if name.startswith("sharp") else np.zeros((2, 3)) for name in METRICS}
    assert not losses(exact).any()


def test_an_evaluation_gives_curves(faces_folder: Path, tiny: str) -> None:
    asked = choices(tiny, data=faces_folder, size=64, limit=4, damage=("none", "heavy"), sweep="w=0:1:0.5")
    done = Evaluation(asked).run()
    found = curves(done)
    assert found.kind == "blend" and found.losses.shape == (8, 3) and found.auto.shape == (8,) and len(found.parts) == 8
    assert found.conditions == ["none"] * 4 + ["heavy"] * 4 and found.people[:4] == found.people[4:]
    # a picture that is left alone is as far from the truth as it was; a clean one is the truth
    assert not found.distance[:4].any() and (found.distance[4:] > 0.05).all()
    assert not found.losses[:4, 2].any() and (found.losses[:4, 0] > 0).all()
    # nobody calibrated this network: auto is 0
    np.testing.assert_allclose(found.auto, found.losses[:, 0])
    assert "| none | identity[dlib]* ↓ |" in done.swept and done.swept.count("\n| heavy |") == 3
