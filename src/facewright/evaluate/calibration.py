"""What w is best for which damage, learned from a sweep, and whether a w for each face is better than one for all.

One number says what is better. `losses`: for each face and w the mean of four distances from the true face, each divided by its spread
over all faces and w: two of identity (dlib's embedding, and O-Net's five points, which no loss of ours saw) and two of quality (what O-Net
sees, and how far the sharpness is off, in logarithms). A picture that is smooth and safe loses by the last, one that is sharp and somebody
else's by the first.

`fit` then finds the rule: w at KNOTS of the index of damage, straight between them, never rising. The best such rule is found exactly. To
tell what it is worth, `crossed` fits on one half of the people and applies it to the other, both ways round.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from facewright.errors import InputError
from facewright.evaluate.evaluation import Choices, Evaluated
from facewright.evaluate.methods import AUTO, ModelMethod, parse_sweep, variant
from facewright.evaluate.statistics import Interval, interval
from facewright.evaluate.suites import Suite
from facewright.faces.identity import SAME_PERSON
from facewright.metrics import Damage, damage
from facewright.restore.fidelity import Kind, Rule, Weights, index

Values = NDArray[np.float64]

DAMAGE = ("none", "light", "medium", "heavy", "old-photo")
METRICS = ("identity[dlib]", "landmarks[onet]", "features[onet]", "sharpness[ratio]")
KNOTS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
"""Of the index: closer where faces need little."""
FINE = 0.05
"""Between two w that are tried; what was not measured is taken straight between its neighbours."""
TOGETHER = 16


@dataclass(frozen=True)
class Curves:
    """One row a face and damage. people, conditions: whose and which. parts: what `metrics.damage` says of the damaged crop. distance: how
    far the damaged face truly is from the clean one, 1 where two people are. values: of the sweep; losses: N x values; auto: N, by
    `--fidelity auto` as it is shipped. scores: METRICS to N x (values, and auto), as measured."""

    people: list[str]
    conditions: list[str]
    parts: list[Damage]
    distance: Values
    values: Values
    losses: Values
    auto: Values
    scores: dict[str, Values]
    kind: Kind

    def part(self, chosen: NDArray[np.bool_]) -> Curves:
        """Some of the rows."""
        rows = np.flatnonzero(chosen)
        return Curves(
            [self.people[row] for row in rows],
            [self.conditions[row] for row in rows],
            [self.parts[row] for row in rows],
            self.distance[rows],
            self.values,
            self.losses[rows],
            self.auto[rows],
            {name: each[rows] for name, each in self.scores.items()},
            self.kind,
        )

    def at(self, w: Values) -> Values:
        """The losses at one w a row, N; straight between the values of the sweep."""
        place = np.clip(np.searchsorted(self.values, w, "right") - 1, 0, len(self.values) - 2)
        part = (w - self.values[place]) / (self.values[place + 1] - self.values[place])
        rows = np.arange(len(self.losses))
        return np.asarray((1 - part) * self.losses[rows, place] + part * self.losses[rows, place + 1])

    @property
    def best_fixed(self) -> float:
        """The one w for all with the least mean loss."""
        return float(min(_fine(), key=lambda w: float(self.at(np.full(len(self.losses), w)).mean())))


def choices(model: str, **more: object) -> Choices:
    """The evaluation that `curves` reads."""
    told: dict[str, object] = {"suite": "val-faces", "damage": DAMAGE, "rivals": ("none",), "sweep": "w=0:1:0.25", "metrics": METRICS}
    return Choices(models=(model,), **{**told, **more})  # type: ignore[arg-type]


def curves(done: Evaluated) -> Curves:
    """From an evaluation by `choices`. Raises InputError where it swept no w."""
    source, results = done.source, done.results
    if not isinstance(source, Suite) or not done.choices.sweep.startswith("w="):
        raise InputError("there is no curve to learn from", "the evaluation swept no w of a suite")
    sweep = parse_sweep(done.choices.sweep)
    name = source.models[0].rpartition(" (")[0]
    method = source.by_name[variant(name, "w", sweep.values[0])]
    assert isinstance(method, ModelMethod)
    every_w: tuple[float | str, ...] = (*sweep.values, AUTO)
    points = [variant(name, "w", value) for value in every_w]
    people, conditions, parts = [], [], []
    for condition in source.conditions:
        for start in range(0, len(results.cases), TOGETHER):
            opened = source.open(results.cases[start : start + TOGETHER])
            people += [case.person for case in opened.cases]
            conditions += [condition] * len(opened.cases)
            parts += [damage(picture) for picture in opened.shown(condition, "damaged")]
    scores = {
        metric: np.concatenate([np.stack([results.scores[each][point][metric] for point in points], 1) for each in source.conditions])
        for metric in METRICS
    }
    unhelped = {metric: np.concatenate([results.scores[each]["damaged"][metric] for each in source.conditions]) for metric in METRICS[:3:2]}
    every = losses(scores)
    kind: Kind = "control" if method.restorer.network.has_fidelity else "blend"
    return Curves(people, conditions, parts, _distance(unhelped), np.array(sweep.values), every[:, :-1], every[:, -1], scores, kind)


def losses(scores: dict[str, Values]) -> Values:
    """scores: METRICS to N faces x W. The mean of the four, each by its spread over all of them; N x W."""
    told = [np.abs(np.log(each)) if metric.startswith("sharpness") else each for metric, each in scores.items()]
    return np.asarray(np.mean([each / max(float(each.std()), 1e-9) for each in told], axis=0))


def weigh(found: Curves) -> Weights:
    """The parts' weights in the index: least squares against the true distance, none below 0."""
    parts = np.array(found.parts, np.float64)
    clean = np.median(parts[np.array(found.conditions) == "none"], axis=0)
    best, least = np.zeros(parts.shape[1]), float("inf")
    for count in range(1, parts.shape[1] + 1):  # so few parts that every choice of those above 0 can be tried
        for some in combinations(range(parts.shape[1]), count):
            solved = np.linalg.lstsq((parts - clean)[:, some], found.distance, rcond=None)[0]
            error = float(np.square((parts - clean)[:, some] @ solved - found.distance).sum())
            if solved.min() >= 0 and error < least:
                best, least = np.zeros(parts.shape[1]), error
                best[list(some)] = solved
    return Weights(Damage(*(round(float(each), 3) for each in clean)), Damage(*(round(float(each), 3) for each in best)))


def indices(found: Curves, weights: Weights) -> Values:
    return np.array([index(each, weights) for each in found.parts])


def fit(found: Curves, weights: Weights) -> Rule:
    """The rule with the least mean loss, of all that never rise: knot by knot, keeping for each w the best way to come there."""
    damages, fine = indices(found, weights), _fine()
    # beyond the last knot w is level: those faces sit on it
    place = np.clip(np.searchsorted(KNOTS, damages, "right") - 1, 0, len(KNOTS) - 2)
    part = np.clip((damages - np.array(KNOTS)[place]) / np.diff(KNOTS)[place], 0, 1)
    totals, ways = np.zeros(len(fine)), []
    for knot in range(len(KNOTS) - 1):
        rows = place == knot
        segment = found.part(rows)
        costs = np.full((len(fine), len(fine)), np.inf)  # from the w at this knot to that at the next
        for before in range(len(fine)):
            for after in range(before + 1):
                w = (1 - part[rows]) * fine[before] + part[rows] * fine[after]
                costs[before, after] = segment.at(w).sum() if rows.any() else 0.0
        reached = totals[:, None] + costs
        # of equal ways the flattest: no faces between two knots are no reason to fall there
        ways.append(reached.argmin(0))
        totals = reached.min(0)
    at = int(totals.argmin())
    path = [at]
    for way in reversed(ways):
        path.append(int(way[path[-1]]))
    return Rule(KNOTS, tuple(round(float(fine[each]), 2) for each in reversed(path)))


def crossed(found: Curves, seed: int) -> tuple[Values, Values]:
    """(w, loss) of every row by a rule and weights that were fitted to the other half of the people."""
    names = sorted(set(found.people))
    np.random.default_rng([seed, 3]).shuffle(names)
    half = set(names[::2])
    first = np.array([person in half for person in found.people])
    w = np.zeros(len(first))
    for learned in (first, ~first):
        own = found.part(learned)
        weights = weigh(own)
        rule = fit(own, weights)
        other = found.part(~learned)
        w[~learned] = [rule(each) for each in indices(other, weights)]
    return w, found.at(w)


@dataclass(frozen=True)
class Compared:
    """crossed: auto as `crossed` has it, less the best single w: the paired interval of the mean loss over people; below 0 auto is better.
    shipped: the same of auto as it is shipped, whose rule saw these very faces. fixed: that best single w. markdown: by damage."""

    crossed: Interval
    shipped: Interval
    fixed: float
    markdown: str


def compared(found: Curves, seed: int) -> Compared:
    """Each w for all beside auto, in mean losses."""
    w, crossing = crossed(found, seed)
    fixed = found.best_fixed
    single = found.at(np.full(len(w), fixed))
    own = found.losses.min(1)
    heads = [
        "damage",
        "faces",
        *(f"w {value:g}" for value in found.values),
        f"best one, w {fixed:g}",
        "auto",
        "its mean w",
        "auto, shipped",
    ]
    heads.append("each its best")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    conditions = np.array(found.conditions)
    for condition in [*dict.fromkeys(found.conditions), "all"]:
        rows = (conditions == condition) | (condition == "all")
        numbers = [*found.losses[rows].mean(0), single[rows].mean(), crossing[rows].mean()]
        cells = [*(f"{each:.3f}" for each in numbers), f"{w[rows].mean():.2f}", f"{found.auto[rows].mean():.3f}", f"{own[rows].mean():.3f}"]
        lines.append(f"| {condition} | {rows.sum()} | {' | '.join(cells)} |")
    learned, shipped = (interval(each - single, found.people, seed) for each in (crossing, found.auto))
    return Compared(learned, shipped, fixed, "\n".join(lines) + "\n")


def shown(gain: Interval) -> str:
    return f"{gain.mean:+.4f} (95 % {gain.low:+.4f} to {gain.high:+.4f})"


def _distance(unhelped: dict[str, Values]) -> Values:
    """How far the damaged faces are: dlib's distance in parts of the one that two people have, and O-Net's scaled to the same mean."""
    people, features = unhelped["identity[dlib]"] / SAME_PERSON, unhelped["features[onet]"]
    return np.asarray((people + features * people.mean() / max(float(features.mean()), 1e-9)) / 2)


def _fine() -> Values:
    return np.asarray(np.round(np.arange(0, 1 + FINE / 2, FINE), 6))
