"""What the recipe `stylegan2` can be told, and what it refuses at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from facewright.errors import UsageError
from facewright.train.channels import check_channels
from facewright.train.checks import check_shares
from facewright.train.diffaugment import check_policy

FLAVOURS = ("original", "bilinear")


@dataclass(frozen=True)
class StyleGAN2Settings:
    """Networks, game, optimisers and data of the recipe; lists of channels go from 4 pixels to `size`.

    Raises UsageError for what cannot be built.
    """

    # where the faces are: a folder with manifest.csv and aligned crops
    data: str = "../shared/data/faces"
    size: int = 256

    # generator: original is the published one; bilinear is quicker, and is exported in the clean form, as a prior of GFPGAN needs it
    flavour: str = "bilinear"
    style: int = 256
    mlp: int = 8
    channels: tuple[int, ...] = (256, 256, 256, 256, 128, 64, 32)
    mixing: float = 0.9  # probability of two styles in one picture
    path_weight: float = 2.0
    path_every: int = 4
    path_shrink: int = 2  # the path length is measured on so many times fewer pictures

    # discriminator
    discriminator_channels: tuple[int, ...] = (256, 256, 256, 256, 128, 64, 32)
    r1_weight: float = 10.0  # gamma
    r1_every: int = 16
    augment: str = ""  # DiffAugment, for small sets: color,translation,cutout

    # optimisers: Adam, beta1 0, beta2 0.99 to the power of the lazy steps' part
    rate: float = 2e-3
    rate_discriminator: float = 2e-3
    milestones: tuple[int, ...] = ()  # steps at which the rates are halved
    ema_half_life: float = 10_000.0  # pictures
    ema_rises: bool = True  # published: false

    # data
    mirror: float = 0.5
    least_width: int = 0
    least_inside: float = 0.0  # part of the crop that the photo covers
    grey: bool = False  # whether grey photographs are learned from
    shares: dict[str, float] = field(default_factory=lambda: {"us": 0.34})

    # looking at it
    judged: int = 64
    truncation: float = 0.7  # of the sheet of samples

    def __post_init__(self) -> None:
        if self.flavour not in FLAVOURS:
            clean = "the clean one has no rates that fit each other; it is what bilinear is exported as"
            raise UsageError(
                f"recipe.flavour cannot be {self.flavour!r}", clean if self.flavour == "clean" else "", f"use one of: {', '.join(FLAVOURS)}"
            )
        check_channels("recipe.channels", self.channels, self.size)
        check_channels("recipe.discriminator_channels", self.discriminator_channels, self.size)
        check_policy(self.augment)
        for name in ("style", "mlp", "path_every", "path_shrink", "r1_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"recipe.{name} cannot be {getattr(self, name)}", "it is at least 1")
        for name in ("mixing", "mirror", "least_inside"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"recipe.{name} cannot be {getattr(self, name):g}", "it is between 0 and 1")
        if self.judged < 2:
            raise UsageError(f"recipe.judged cannot be {self.judged}", "pictures are compared with each other: at least 2")
        check_shares(self.shares)
