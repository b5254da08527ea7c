"""A trained StyleGAN2 as the file that is shipped."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from facewright.nets.gfpgan import clean_state
from facewright.nets.stylegan2 import StyleGAN2Generator


def export(generator: StyleGAN2Generator, path: Path, steps: int) -> None:
    """Write fp16 safetensors that `load_model` recognises. A generator of the flavour "bilinear" is written in its "clean" form.

    Both compute the same; the clean one runs faster, is a decoder for GFPGAN, and shows in its names what it is. The original flavour
    does not show, so that the header says it.
    """
    state, told = generator.state_dict(), {"facewright": "stylegan2", "steps": str(steps), "size": str(generator.out_size)}
    if generator.flavour == "bilinear":
        state = clean_state(state)
    else:
        told["arguments"] = json.dumps({"flavour": generator.flavour})
    save_file({name: value.detach().to("cpu", torch.float16).contiguous() for name, value in state.items()}, path, metadata=told)
