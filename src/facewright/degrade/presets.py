"""Named degradations: the published ones, and the three strengths that facewright measures with."""

from __future__ import annotations

from difflib import get_close_matches

from facewright.degrade.pipeline import Degradation, FirstOrder
from facewright.errors import UsageError

PRESETS: dict[str, Degradation] = {
    # GFPGAN train_gfpgan_v1.yml and the setting its comment gives for "no colourising"
    "gfpgan-v1": FirstOrder(shift_p=0.3, jitter_p=0.3, grey_p=0.01),
    "gfpgan-no-color": FirstOrder(grey_p=0.01, grey_target=True),
    # ours: what a family album holds, by strength; the numbers are those of a 512 px crop
    "light": FirstOrder(sigma=(0.2, 2.0), scale=(1, 3), noise=(0, 6), quality=(80, 98), exact_blur=True),
    "medium": FirstOrder(sigma=(1.0, 5.0), scale=(4, 8), noise=(3, 15), quality=(50, 85), exact_blur=True),
    "heavy": FirstOrder(sigma=(2.0, 8.0), scale=(8, 14), noise=(8, 24), quality=(35, 70), exact_blur=True),
}


def preset(name: str) -> Degradation:
    """The degradation of that name; UsageError names the nearest ones."""
    if name not in PRESETS:
        near = get_close_matches(name, PRESETS, 3) or sorted(PRESETS)
        raise UsageError(f"there is no degradation called {name!r}", what_to_do=f"use one of: {', '.join(near)}")
    return PRESETS[name]
