"""What the recipe `identity` can be told, and what it refuses at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from facewright.errors import UsageError
from facewright.train.checks import check_betas, check_damage, check_weights

LOSSES = ("centres", "pairs")


@dataclass(frozen=True)
class IdentitySettings:
    """Network, loss, optimiser and data of the recipe.

    Raises UsageError for what makes no sense.
    """

    # where the faces are: a folder with manifest.csv and aligned crops
    data: str = "../shared/data/faces"
    size: int = 192  # pixels of a crop that is damaged and cut; of 192 the chip is cut without resizing

    # network: MobileFaceNet; 64 channels as published
    channels: int = 64
    embedding: int = 128

    # losses: towards the person's learned centre, and towards the same picture undamaged among those of the batch; s and m of ArcFace.
    # The margin rises from 0 over the first steps, since with it nothing is learned from a random start
    weights: dict[str, float] = field(default_factory=lambda: {"centres": 1.0, "pairs": 1.0})
    scale: float = 64.0
    margin: float = 0.5
    margin_rises: int = 0

    # optimiser: AdamW; scales and shifts do not decay
    rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.05
    warm_up: int = 0
    period: int = 0  # steps in which the rate falls along half a cosine; 0: it does not

    # data: one photograph of most people, so what is done to it has to carry it. Of damage only a little: a judge that learned to see
    # through it finds everybody again in ruins, and can tell no restorer from another
    damage: dict[str, float] = field(default_factory=lambda: {"none": 0.5, "light": 0.5})
    mirror: float = 0.5
    angle: float = 6.0  # degrees
    zoom: float = 0.08
    shift: float = 0.03
    light: float = 0.5  # side light, strongest
    tone: float = 0.5  # probability of another tone curve
    grey: float = 0.2  # probability
    toned: float = 0.1

    # looking at it
    judged: int = 192
    judged_damage: tuple[str, ...] = ("medium", "heavy", "old-photo")

    def __post_init__(self) -> None:
        least = {"size": 32, "channels": 1, "embedding": 2, "judged": 2, "margin_rises": 0, "warm_up": 0, "period": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise UsageError(f"recipe.{name} cannot be {getattr(self, name)}", f"it is at least {low}")
        for name in ("scale", "rate"):
            if not getattr(self, name) > 0:
                raise UsageError(f"recipe.{name} cannot be {getattr(self, name):g}", "it is over 0")
        if not 0 <= self.margin < math.pi / 2:
            raise UsageError(f"recipe.margin cannot be {self.margin:g}", "it is an angle in radians, from 0 to less than a right one")
        for name in ("mirror", "tone", "grey", "toned"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"recipe.{name} cannot be {getattr(self, name):g}", "it is between 0 and 1")
        check_weights(self.weights, LOSSES)
        check_betas(self.betas)
        if sum(self.damage.values()) <= 0 or min(self.damage.values(), default=0) < 0:
            raise UsageError("recipe.damage draws nothing", "its weights are at least 0, and their sum is over 0")
        check_damage(self.damage)
        check_damage(dict.fromkeys(self.judged_damage, 1.0))
