"""`--fidelity auto`: each face's own w, from how damaged its crop looks.

Two steps. `index` adds up the parts of `metrics.damage` into one number: 0 for the median clean face of the validation split, 1 where a
face lies about as far from its true picture as two people from one another; the weights were fitted to that distance and have no network
in them. A network's `Rule` then turns the index into w and never gives a more damaged face a larger one. All numbers stand in
fidelity.yaml, written by scripts/calibrate_fidelity.py; docs/restore.md says what they were fitted to and how much better they are than
one w for all.

Networks that nobody calibrated take the rule of their kind, or, where their kind has none, what their publisher takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from facewright.errors import ModelError
from facewright.metrics import Damage, damage

Kind = Literal["control", "blend"]
"""Of networks: with a control of their own; or none, where w is the part of the photo's own face that is left."""

FILE = "fidelity.yaml"
TELLING = 0.08
"""What a part has to add to the index to be named."""
MOST_WORDS = 3


class Chosen(NamedTuple):
    """w in [0, 1]; damage: the index; why: in words, "blurred, noisy"."""

    w: float
    damage: float
    why: str


@dataclass(frozen=True)
class Rule:
    """w at each of some indices of damage, straight between them, level outside. damage rises; w in [0, 1] never does."""

    damage: tuple[float, ...]
    w: tuple[float, ...]

    def __post_init__(self) -> None:
        rises = all(b > a for a, b in zip(self.damage, self.damage[1:], strict=False))
        falls = all(b <= a for a, b in zip(self.w, self.w[1:], strict=False))
        if not (self.damage and len(self.damage) == len(self.w) and rises and falls and min(self.w) >= 0 and max(self.w) <= 1):
            raise ModelError(f"{FILE} holds no rule", f"damage {self.damage} has to rise, w {self.w} to fall from 1 at most to 0 at least")

    def __call__(self, damage: float) -> float:
        return float(np.interp(damage, self.damage, self.w))


@dataclass(frozen=True)
class Weights:
    """Of the index, one a part of `Damage`. clean: the median of clean faces."""

    clean: Damage
    weight: Damage


@dataclass(frozen=True)
class Table:
    """fidelity.yaml. rules: by the network's name; kinds: whose rule serves networks that have none of their own."""

    weights: Weights
    rules: dict[str, Rule]
    kinds: dict[str, str]


def choose(crop: NDArray[Any], rule: Rule) -> Chosen:
    """One face's w. crop: S x S x 3 RGB in [0, 1] or uint8, FFHQ-aligned, any S from 32; nothing but this crop matters."""
    parts = damage(crop)
    how_much = index(parts)
    return Chosen(rule(how_much), how_much, words(parts))


def rule_of(name: str, kind: Kind) -> Rule | None:
    """The network's rule, else that of its kind, else None: nobody measured one."""
    known = table()
    return known.rules.get(name) or known.rules.get(known.kinds.get(kind, ""))


def index(parts: Damage, weights: Weights | None = None) -> float:
    """How damaged a face looks, 0 or more. weights: those of the table, if none are given."""
    return max(0.0, float(sum(added(parts, weights))))


def added(parts: Damage, weights: Weights | None = None) -> Sequence[float]:
    """What each part adds to the index, beyond the median clean face; below it, takes away."""
    known = weights or table().weights
    return [weight * (part - clean) for part, clean, weight in zip(parts, known.clean, known.weight, strict=True)]


def words(parts: Damage) -> str:
    """ "blurred, noisy": the parts that add most, most first; "hardly damaged" where none adds much."""
    told = sorted(zip(added(parts), Damage._fields, strict=True), reverse=True)
    return ", ".join(name for much, name in told[:MOST_WORDS] if much >= TELLING) or "hardly damaged"


@cache
def table() -> Table:
    """Raises ModelError where the file makes no sense."""
    told = yaml.safe_load((files("facewright") / "restore" / FILE).read_text(encoding="utf-8"))
    try:
        weights = Weights(Damage(**told["parts"]["clean"]), Damage(**told["parts"]["weight"]))
        rules = {name: Rule(tuple(map(float, each["damage"])), tuple(map(float, each["w"]))) for name, each in told["rules"].items()}
        return Table(weights, rules, dict(told["kinds"]))
    except (KeyError, TypeError, ValueError) as problem:
        raise ModelError(f"cannot use {FILE}", f"{type(problem).__name__}: {problem}", "install facewright again") from problem
