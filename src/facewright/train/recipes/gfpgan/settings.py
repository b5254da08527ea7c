"""What the recipe `gfpgan` can be told, and what it refuses at once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, get_args

from facewright.errors import UsageError
from facewright.nets.blocks.modulated import Flavour
from facewright.train.channels import check_channels
from facewright.train.checks import check_betas, check_choice, check_damage, check_shares, check_weights
from facewright.train.pairs import AUGMENTATIONS

LOSSES = ("pixel", "artifact", "grid", "pyramid", "perceptual", "style", "identity", "adversarial", "component", "component_style")
PARTS = ("left_eye", "right_eye", "mouth")


@dataclass(frozen=True)
class GfpganSettings:
    """Networks, losses, optimisers and data of the recipe.

    A size that is 0, "" or an empty list is not said: files that training starts from decide it, else DEFAULTS. Lists of channels go
    from 4 pixels to `size` / `fold`, or to `crop`. Steps count from 0. Raises UsageError for what cannot be built.
    """

    # where the faces are: a folder of aligned crops, with or without manifest.csv, or WebDataset shards
    data: str = "../shared/data/faces"
    landmarks: str = ""  # a file with the places of eyes and mouth; "": landmarks.json beside the faces, or the manifest's points
    size: int = 0

    # what training starts from, names or files: a whole GFPGAN; or a StyleGAN2 that becomes the decoder (the paper's prior)
    start: str = ""
    prior: str = ""
    start_discriminator: str = ""
    start_components: dict[str, str] = field(default_factory=lambda: dict.fromkeys(PARTS, ""))

    # generator; flavour: the form that is trained; fix_decoder: the decoder does not learn, as in the published training
    flavour: str = ""
    channels: tuple[int, ...] = ()
    style: int = 0
    input_skip: bool = False
    fold: int = 0
    refine: int = 0  # a `start` without it gets it new
    fix_decoder: bool = False

    # discriminator: the published one; on random crops of `crop` pixels where that is less than `size`
    discriminator_channels: tuple[int, ...] = ()
    crop: int = 0
    r1_weight: float = 10.0
    r1_every: int = 16
    r1_first: int = 0  # the first step with R1; published: 15, at the iterations 16, 32, ...
    discriminator_every: int = 1
    # scores count against the same face's other picture; published: each by itself. Where faces are few, a discriminator by itself
    # hardly gets beyond chance: how much a scene differs from the next is more than how a restored picture differs from its truth
    relativistic: bool = False
    adversarial_from: int = 1000

    # optimisers: Adam
    rate: float = 5e-4
    rate_discriminator: float = 5e-4
    rate_component: float = 5e-4
    multiplicative_rate: float = 0.1  # of `rate`, for what multiplies features; published: 1
    betas: tuple[float, ...] = (0.9, 0.99)  # of the generator; published: 0, 0.99
    warm_up: int = 100
    milestones: tuple[int, ...] = ()
    gamma: float = 0.5  # of the rates, from each milestone on
    ema_half_life: float = 10_000.0  # in pictures
    ema_pictures: int = 0  # a step; 0: the batch; published: 32, whatever the batch
    ema_rises: bool = True  # see `Ema`; published: false

    # losses of the generator by name, 0 leaves one out
    weights: dict[str, float] = field(
        default_factory=lambda: {
            "pixel": 1.0,
            "artifact": 0.0,
            "grid": 4.0,  # only of a folded network
            "pyramid": 0.3,
            "perceptual": 0.3,
            "style": 0.0,
            "identity": 1.0,
            "adversarial": 0.05,
            "component": 0.0,
            "component_style": 0.0,
        }
    )
    pyramid_until: int = 50_000
    pyramid_after: float = 0.0  # the pyramid's weight from there on; published: 1e-12

    # who judges, names or files: vgg19 | identity-dlib | none, and arcface-resnet18 | identity-dlib | none
    perceptual: str = "identity-dlib"
    identity: str = "identity-dlib"
    perceptual_layers: dict[str, float] = field(
        default_factory=lambda: {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0}
    )
    guidance_every: int = 1
    taps: tuple[int, ...] = (2, 6, 9)  # of identity-dlib, see `EmbeddingLoss`
    whole_taps: tuple[int, ...] = (0, 2)

    # data
    damage: dict[str, float] = field(default_factory=lambda: {"light": 0.25, "medium": 0.4, "heavy": 0.25, "none": 0.1})
    augmentation: str = "wide"
    stored: int = 320
    least_width: int = 256
    least_sharpness: float = 0.0
    shares: dict[str, float] = field(default_factory=lambda: {"us": 0.34})

    # validation
    validation_faces: int = 32

    def __post_init__(self) -> None:
        self._check_files()
        self._check_sizes()
        self._check_losses()
        self._check_data()

    @property
    def components(self) -> bool:
        """Whether there are component discriminators."""
        return self.weights["component"] > 0

    def following(self, source: str, **found: Any) -> GfpganSettings:
        """These settings with what the file `source` says of them. Raises UsageError where both say something, and not the same."""
        for name, value in found.items():
            mine = getattr(self, name)
            if mine and mine != value:
                raise UsageError(
                    f"recipe.{name} cannot be {_spoken(mine)}",
                    f"{source} has {_spoken(value)}",
                    f"leave recipe.{name} out, or start from another file",
                )
        return replace(self, **found)

    def settled(self) -> GfpganSettings:
        """These settings with DEFAULTS for what neither they say nor a file will."""
        return replace(self, **{name: self._known(name) or getattr(self, name) for name in DEFAULTS})

    def _check_files(self) -> None:
        if self.start and self.prior:
            raise UsageError(
                f"training cannot start from {self.start} with the prior {self.prior}",
                "a whole GFPGAN brings its decoder along",
                "leave out recipe.start or recipe.prior; what a preset says is taken back by recipe.prior='\"\"'",
            )
        if self.fix_decoder and not (self.start or self.prior):
            raise UsageError(
                "recipe.fix_decoder cannot be true",
                "a decoder that does not learn must have learned before",
                "give recipe.prior, a trained StyleGAN2, or recipe.start, a trained GFPGAN",
            )
        if unknown := [name for name in self.start_components if name not in PARTS]:
            raise UsageError(f"there is no component {unknown[0]!r}", what_to_do=f"use: {', '.join(PARTS)}")

    def _check_sizes(self) -> None:
        """As far as they are known: what a file will decide is checked when it has."""
        if self.flavour and self.flavour not in get_args(Flavour):
            raise UsageError(f"recipe.flavour cannot be {self.flavour!r}", what_to_do=f"use one of: {', '.join(get_args(Flavour))}")
        if self.refine < 0:
            raise UsageError(f"recipe.refine cannot be {self.refine}", "it is a number of channels, or 0 for none")
        size, fold, channels = self._known("size"), self._known("fold"), self._known("channels")
        if size and fold and channels:
            check_channels("recipe.channels", channels, size // fold)
        crop, channels = self._known("crop"), self._known("discriminator_channels")
        if crop and channels:
            check_channels("recipe.discriminator_channels", channels, crop)
        if size and crop and crop > size:
            raise UsageError(f"recipe.crop cannot be {crop}", f"a crop is cut from pictures of {size} pixels")
        check_betas(self.betas)

    def _known(self, name: str) -> Any:
        """A setting; its default where it is not said; nothing where a file is to decide it."""
        file = self.start_discriminator if name in ("crop", "discriminator_channels") else self.start or self.prior
        return getattr(self, name) or (None if file else DEFAULTS[name])

    def _check_losses(self) -> None:
        check_weights(self.weights, LOSSES)
        idle = {"start_discriminator": ("adversarial", self.start_discriminator)}
        idle |= {f"start_components.{part}": ("component", file) for part, file in self.start_components.items()}
        for name, (loss, file) in idle.items():
            if file and not self.weights[loss] > 0:
                raise UsageError(
                    f"recipe.{name} cannot be {file!r}",
                    f"recipe.weights.{loss} is 0, so there is no such discriminator",
                    "weigh the loss, or leave the file out",
                )
        if self.weights["component_style"] > 0 and not self.components:
            raise UsageError(
                "recipe.weights.component_style cannot be over 0 where recipe.weights.component is 0",
                "it compares what component discriminators see, and those are learned only with the other",
                "weigh both, or neither",
            )

    def _check_data(self) -> None:
        check_damage(self.damage)
        check_choice("augmentation", self.augmentation, AUGMENTATIONS)
        check_shares(self.shares)


DEFAULTS: dict[str, Any] = {
    "size": 256,
    "flavour": "clean",
    "channels": (128, 128, 128, 128, 96, 48, 24),
    "style": 128,
    "fold": 1,
    "crop": 128,
    "discriminator_channels": (128, 128, 128, 96, 64, 32),
}


def _spoken(value: Any) -> str:
    return repr(list(value)) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else repr(value)
