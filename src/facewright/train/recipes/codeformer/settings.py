"""What the recipe `codeformer` can be told, and what it refuses at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from facewright.degrade import Degradation, FirstOrder, preset
from facewright.errors import UsageError
from facewright.train.checks import check_betas, check_choice, check_damage, check_shares, check_weights
from facewright.train.pairs import AUGMENTATIONS

STAGES = ("vqgan", "transformer", "fuse")
TASKS = ("restoration", "colorization", "inpainting")
LOSSES = ("pixel", "grid", "perceptual", "identity", "codebook", "adversarial", "feature", "cross_entropy")
QUANTIZERS = ("nearest", "gumbel")


@dataclass(frozen=True)
class CodeFormerSettings:
    """Networks, losses, optimisers and data of all three stages; a preset gives each stage its own.

    stage: vqgan learns the codes, transformer predicts them from damaged faces, fuse lets the damaged face back in. Steps count from 0.
    Raises UsageError for what cannot be built.
    """

    stage: str = "vqgan"
    task: str = "restoration"

    # where the faces are: a folder of aligned crops, with or without manifest.csv, or WebDataset shards
    data: str = "../shared/data/faces"

    # what a stage starts from, names or files; "": of a run of all stages, the stages before. vqgan: whose codes are predicted
    vqgan: str = ""
    start: str = ""
    start_discriminator: str = ""

    # networks; the first stage alone decides about the autoencoder
    size: int = 512
    fold: int = 1
    nf: int = 64
    ch_mult: tuple[int, ...] = (1, 2, 2, 4, 4, 8)
    res_blocks: int = 2
    attn_resolutions: tuple[int, ...] = (16,)
    quantizer: str = "nearest"
    codebook_size: int = 1024
    emb_dim: int = 256
    dim_embd: int = 512
    n_head: int = 8
    n_layers: int = 9
    connect_list: tuple[int, ...] = (32, 64, 128, 256)
    ndf: int = 64
    discriminator_layers: int = 4
    crop: int = 0  # the discriminator sees random crops of so many pixels; 0: whole pictures, as published

    # losses of the generator by name, 0 leaves one out; a stage takes those that it has
    weights: dict[str, float] = field(
        default_factory=lambda: {
            "pixel": 1.0,
            "grid": 0.0,  # only of a folded network
            "perceptual": 1.0,
            "identity": 0.0,
            "codebook": 1.0,
            "adversarial": 0.8,  # times the adaptive weight
            "feature": 1.0,
            "cross_entropy": 0.5,
        }
    )
    perceptual: str = "lpips-vgg"  # who judges, a name or a file: lpips-vgg | identity-dlib | none
    adversarial_from: int = 30_001
    largest_adaptive: float = 1.0
    guidance_every: int = 1

    # the codes: published networks start with random ones. codes_from: until then the features go on as they are, then the codes become
    # the centres of one batch's; revive_every: codes that nothing was near to in so many steps are set to features (0: never)
    codes_from: int = 0
    revive_every: int = 0

    # the fuse stage's w, and from which step the second one holds
    w: tuple[float, ...] = (1.0, 1.3)
    second_w_from: int = 40_000
    adain: bool = False  # whether it gives the codes the damaged face's statistics, as restoring does; the published training does not
    # from here on heavily damaged faces of which only the codes are learned (`damage_large`), except every nth step from `large_mixed_from`
    large_from: int = 80_000
    large_mixed_from: int = 120_000
    small_every: int = 15

    # optimisers: Adam
    rate: float = 7e-5
    rate_discriminator: float = 7e-5
    betas: tuple[float, ...] = (0.9, 0.99)
    warm_up: int = 0
    milestones: tuple[int, ...] = ()  # steps at which the rate is halved
    cosine_period: int = 0  # steps in which the rate falls to rate_end; 0: it does not
    rate_end: float = 0.0
    ema_decay: float = 0.995  # a step
    ema_rises: bool = False  # see `Ema`

    # data; damage: {preset of `degrade`, or "none": weight}
    damage: dict[str, float] = field(default_factory=lambda: {"codeformer-stage3-small": 1.0})
    damage_large: dict[str, float] = field(default_factory=lambda: {"codeformer-stage3-large": 1.0})
    augmentation: str = "mirror"
    # the codes of the true faces are looked up once and kept beside the run, or read from the published latent_gt file; both need every
    # face to be the same, or mirrored, each time it comes
    cached: bool = True
    codes: str = ""
    stored: int = 512
    least_width: int = 256
    least_sharpness: float = 0.0
    shares: dict[str, float] = field(default_factory=lambda: {"us": 0.34})
    validation_faces: int = 32

    def __post_init__(self) -> None:
        for name, choices in (("stage", STAGES), ("task", TASKS), ("augmentation", AUGMENTATIONS), ("quantizer", QUANTIZERS)):
            check_choice(name, getattr(self, name), choices)
        check_weights(self.weights, LOSSES)
        check_damage(self.damage | self.damage_large)
        if self.cached or self.codes:
            self._check_codes_stay(sorted({*self.damage, *self.damage_large} - {"none"}))
        reduction = self.fold << (len(self.ch_mult) - 1)
        if self.size % reduction:
            raise UsageError(f"recipe.size cannot be {self.size}", f"the network makes one code of {reduction} pixels")
        if not 0 <= self.crop <= self.size:
            raise UsageError(f"recipe.crop cannot be {self.crop}", f"a crop is cut from pictures of {self.size} pixels; 0: none")
        check_betas(self.betas)
        if len(self.w) != 2 or not all(0 < w <= 2 for w in self.w):
            raise UsageError(f"recipe.w cannot be {list(self.w)}", "it is two numbers over 0; at 0 nothing of the damaged face is fused in")
        if not 0 <= self.ema_decay < 1:
            raise UsageError(f"recipe.ema_decay cannot be {self.ema_decay:g}", "it is from 0 to less than 1")
        check_shares(self.shares)

    def _check_codes_stay(self, damages: list[str]) -> None:
        """Raises UsageError where a face's codes are not the same each time, so that they cannot be looked up beforehand."""
        told = "recipe.codes cannot be used" if self.codes else "recipe.cached cannot be true"
        leave = 'recipe.codes=""' if self.codes else "recipe.cached=false"
        if self.augmentation == "wide":
            raise UsageError(told, "with recipe.augmentation=wide no face is the same twice", f"set recipe.augmentation=mirror, or {leave}")
        if changing := [name for name in damages if _changes_truth(name)]:
            raise UsageError(told, f"the damage {changing[0]} changes the true face, too", f"set {leave}, or take another damage")


def _changes_truth(name: str) -> bool:
    damage = preset(name)
    if isinstance(damage, FirstOrder):
        return damage.grey_target and damage.grey_p > 0
    return type(damage).truth is not Degradation.truth
