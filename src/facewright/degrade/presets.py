"""Named degradations: the published ones, and ours. One entry is a row of the published settings."""

from __future__ import annotations

import math
from difflib import get_close_matches

from facewright.degrade.dfdnet import Dfdnet
from facewright.degrade.grids import Grid
from facewright.degrade.inpainting import Strokes
from facewright.degrade.old_photo import OldPhoto
from facewright.degrade.pipeline import Degradation, FirstOrder
from facewright.degrade.psfrgan import Psfrgan
from facewright.degrade.sampling import KernelMix, Kind
from facewright.degrade.second_order import SecondOrder, Stage
from facewright.degrade.uneven import Uneven
from facewright.errors import UsageError

_QUARTERS = (0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4)
_MIXED: dict[Kind, float] = {
    "iso": 0.45,
    "aniso": 0.25,
    "generalized_iso": 0.12,
    "generalized_aniso": 0.03,
    "plateau_iso": 0.12,
    "plateau_aniso": 0.03,
}
_RESTOREFORMER = FirstOrder(kernel_sizes=(39, 41), sigma=(0.1, 10), scale=(0.8, 8), noise=(0, 20), quality=(60, 100))
_REALESRGAN = (
    Stage(
        kernels=KernelMix(_MIXED, sigma=(0.2, 3), betag=(0.5, 4), betap=(1, 2)),
        sinc_p=0.1,
        blur_p=1.0,
        resize=(0.2, 0.7, 0.1),
        range=(0.15, 1.5),
        gaussian_p=0.5,
        noise=(1, 30),
        poisson=(0.05, 3),
        noise_grey_p=0.4,
        quality=(30, 95),
    ),
    Stage(
        kernels=KernelMix(_MIXED, sigma=(0.2, 1.5), betag=(0.5, 4), betap=(1, 2)),
        sinc_p=0.1,
        blur_p=0.8,
        resize=(0.3, 0.4, 0.3),
        range=(0.3, 1.2),
        gaussian_p=0.5,
        noise=(1, 25),
        poisson=(0.05, 2.5),
        noise_grey_p=0.4,
        quality=(30, 95),
    ),
)

# fmt: off
PRESETS: dict[str, Degradation] = {
    # GFPGAN train_gfpgan_v1.yml (and _simple), and the setting its comment gives for "no colourising"
    "gfpgan-v1": FirstOrder(sigma=(0.1, 10), scale=(0.8, 8), noise=(0, 20), quality=(60, 100), shift_p=0.3, jitter_p=0.3, grey_p=0.01),
    "gfpgan-no-color": FirstOrder(sigma=(0.1, 10), scale=(0.8, 8), noise=(0, 20), quality=(60, 100), grey_p=0.01, grey_target=True),
    # CodeFormer; stage 3 sees every picture twice, with the small damage and with the large
    "codeformer-stage2": FirstOrder(sigma=(1, 15), scale=(4, 30), noise=(0, 20), quality=(30, 80)),
    "codeformer-stage3-small": FirstOrder(sigma=(0.1, 10), scale=(1, 12), noise=(0, 15), quality=(60, 100)),
    "codeformer-stage3-large": FirstOrder(sigma=(1, 15), scale=(4, 30), noise=(0, 20), quality=(30, 80)),
    "codeformer-colorization": FirstOrder(sigma=(1, 15), scale=(4, 30), noise=(0, 20), quality=(30, 80),
                                          shift_p=0.3, jitter_p=0.3, grey_p=0.01),
    "codeformer-inpainting": Strokes(count=(1, 3), vertices=(8, 27), width=(30, 70)),
    # ours, for the same task: the published training shows a grey picture once in a hundred times, a box of old photos holds little else
    "colourless": FirstOrder(sigma=(0.1, 6), scale=(1, 8), noise=(0, 15), quality=(40, 95), shift_p=0.3, jitter_p=0.5, grey_p=0.7),
    # VQFR
    "vqfr-v1": FirstOrder(sigma=(0.1, 10), scale=(0.8, 8), noise=(0, 20), quality=(60, 100)),
    "vqfr-v2": FirstOrder(sigma=(1, 15), scale=(1, 30), noise=(0, 20), quality=(30, 90)),
    # RestoreFormer
    "restoreformer": _RESTOREFORMER,
    "restoreformer++": Uneven(FirstOrder(**{**vars(_RESTOREFORMER), "grey_p": 0.008, "grey_target": True,
                                            "haze_p": 0.008, "haze": (0.75, 0.95)}),
                              displace_p=0.2, displace=32, uneven_p=0.1, square=(128, 256)),
    # DifFace: what its SwinIR estimator is trained on, and the grids that its two test sets walk through
    "difface": FirstOrder(sigma=(0.1, 15), scale=(0.8, 32), noise=(0, 20), quality=(30, 100), grey_p=0.01, grey_target=True),
    "difface-test": Grid(sigmas=(4, 8, 12, 16), scales=tuple(range(4, 41, 4)), noises=(1, 5, 10, 15, 20),
                         qualities=(30, 40, 50, 60, 70), thetas=_QUARTERS),
    "difface-test-iclr": Grid(sigmas=(2, 4, 6, 8, 10, 12, 14), scales=(4, 8, 16, 24, 30), noises=(1, 5, 10, 15, 20),
                              qualities=(30, 40, 50, 60, 70), thetas=_QUARTERS),
    # DFDNet
    "dfdnet": Dfdnet(blur_p=0.9, gaussian_p=0.65, blur_half=(1, 17), sigma10=(3, 20), scale_p=0.95, scale10=(20, 100),
                     noise_p=0.9, noise=(1, 10), quality_p=0.6, quality=(40, 80)),
    # GFRNet, from the paper's words alone: UNVERIFIED, its authors published no program that damages
    "gfrnet": Grid(sigmas=(0, *(n / 10 for n in range(10, 31))), scales=tuple(n / 10 for n in range(10, 81)), noises=tuple(range(8)),
                   qualities=(None, *range(10, 41)), cubic=True, kernel_size=21, size=256),
    # PSFRGAN
    "psfrgan": Psfrgan(grey_p=0.3, blur_p=0.5, sigma=(3, 15), average=(3, 15), median=(3, 15), motion=(5, 25), side=(32, 255),
                       noise_p=0.2, noise=(0, 25.5), compression_p=0.7, compression=(10, 65)),
    # Real-ESRGAN: the damaged picture is a quarter, or half, as large
    "realesrgan-x4": SecondOrder(*_REALESRGAN, scale=4, last_sinc_p=0.8),
    "realesrgan-x2": SecondOrder(*_REALESRGAN, scale=2, last_sinc_p=0.8),
    # ours: what a family album holds, by strength; the numbers are those of a 512 px crop. The README's tables rest on their pixels.
    "light": FirstOrder(sigma=(0.2, 2.0), scale=(1, 3), noise=(0, 6), quality=(80, 98), exact_blur=True),
    "medium": FirstOrder(sigma=(1.0, 5.0), scale=(4, 8), noise=(3, 15), quality=(50, 85), exact_blur=True),
    "heavy": FirstOrder(sigma=(2.0, 8.0), scale=(8, 14), noise=(8, 24), quality=(35, 70), exact_blur=True),
    # ours: an old print and its scan
    "old-photo": OldPhoto(),
}
# fmt: on

ABOUT: dict[str, str] = {
    "gfpgan-v1": "GFPGAN's training (v1)",
    "gfpgan-no-color": "GFPGAN's training without colourising (v1.2 and later)",
    "codeformer-stage2": "CodeFormer, stage 2",
    "codeformer-stage3-small": "CodeFormer, stage 3, the smaller damage",
    "codeformer-stage3-large": "CodeFormer, stage 3, the larger damage",
    "codeformer-colorization": "CodeFormer for colouring",
    "codeformer-inpainting": "CodeFormer for inpainting: white brush strokes",
    "colourless": "ours, for colouring: grey or faded, and a little worn",
    "vqfr-v1": "VQFR's training (v1)",
    "vqfr-v2": "VQFR's training (v2)",
    "restoreformer": "RestoreFormer's training",
    "restoreformer++": "RestoreFormer++: haze, displacement, uneven damage",
    "difface": "DifFace's training",
    "difface-test": "DifFace's test set of the journal paper, 4,000 cells",
    "difface-test-iclr": "DifFace's earlier test set, 3,500 cells",
    "dfdnet": "DFDNet's training, with stand-ins for its recorded camera shakes",
    "gfrnet": "GFRNet's training, from the paper's words alone (unverified)",
    "psfrgan": "PSFRGAN's training",
    "realesrgan-x4": "Real-ESRGAN's training, second order; a quarter of the size",
    "realesrgan-x2": "Real-ESRGAN's training, second order; half the size",
    "light": "ours: a good print, well scanned",
    "medium": "ours: a small print",
    "heavy": "ours: a tiny or worn print",
    "old-photo": "ours: an old print with its stains, folds, scratches and dust; old-photo+NAME scans it worse",
}

OVER = "old-photo+"
"""`old-photo+NAME`: the print, under a first-order degradation instead of its scan."""


def preset(name: str) -> Degradation:
    """The degradation of that name; `old-photo+medium` lays an old print under the first-order "medium".

    UsageError names the nearest ones.
    """
    if name.startswith(OVER):
        scan = preset(name.removeprefix(OVER))
        if not isinstance(scan, FirstOrder):
            what = f"{name.removeprefix(OVER)} cannot follow old-photo"
            raise UsageError(what, "it is no first-order degradation", "use one such as light, medium, heavy or gfpgan-v1")
        return OldPhoto().over(scan)
    if name not in PRESETS:
        near = get_close_matches(name, PRESETS, 3) or sorted(PRESETS)
        raise UsageError(f"there is no degradation called {name!r}", what_to_do=f"use one of: {', '.join(near)}")
    return PRESETS[name]
