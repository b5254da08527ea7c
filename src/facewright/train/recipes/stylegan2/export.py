"""A trained StyleGAN2 as the file that is shipped."""

from __future__ import annotations

from pathlib import Path

from facewright.nets.gfpgan import clean_state
from facewright.nets.stylegan2 import StyleGAN2Generator
from facewright.train.exporting import save_half


def export(generator: StyleGAN2Generator, path: Path, steps: int) -> None:
    """Write fp16 safetensors that `load_model` recognises. A generator of the flavour "bilinear" is written in its "clean" form.

    Both compute the same; the clean one runs faster, is a decoder for GFPGAN, and shows in its names what it is. The original flavour
    does not show, so that the header says it.
    """
    clean = generator.flavour == "bilinear"
    state = clean_state(generator.state_dict()) if clean else generator.state_dict()
    arguments = {} if clean else {"flavour": generator.flavour}
    save_half(state, path, "stylegan2", arguments, steps=steps, size=generator.out_size)
