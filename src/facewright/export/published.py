"""Files laid out as the publishers lay out theirs, so that their programs read them."""

from __future__ import annotations

import io
from collections import OrderedDict

import torch
from torch import Tensor

from facewright.errors import UsageError
from facewright.weights import Model

# The part of the file that holds the tensors, or None where they lie in it bare.
LAYOUTS: dict[str, str | None] = {
    "gfpgan": "params_ema",
    "stylegan2": "params_ema",
    "stylegan2.discriminator": "params",
    "gfpgan.component_discriminator": "params",
    "codeformer": "params_ema",
    "vqgan": "params_ema",
    "vqgan.discriminator": "params",
    "restoreformer": "params",
    "realesrgan": "params_ema",
    "realesrgan.compact": "params",
    "identity.arcface": None,
    "retinaface": None,
    "parsenet": None,
    "bisenet": None,
    "yolov5face": None,
}
# Networks that are cut out of a published file under names of their own.
PARTS_OF_A_FILE = ("vgg19", "vgg16")
# What only our GFPGAN and CodeFormer have, and the value that leaves it out.
OURS = {"fold": 1, "input_skip": False, "refine": 0}


def serialised(model: Model, state: dict[str, Tensor]) -> bytes:
    """Raises UsageError for a network that no published program knows."""
    if model.architecture not in LAYOUTS:
        raise no_layout(model)
    extras = [name for name, plain in OURS.items() if model.arguments.get(name, plain) != plain]
    extras += ["channels"] if "channels" in model.arguments else []
    if extras:
        name = model.info["name"]
        raise UsageError(f"cannot write {name} as .pth", f"published programs do not know its {' and '.join(extras)}", "use .safetensors")
    part = LAYOUTS[model.architecture]
    tensors = OrderedDict((name, value.contiguous()) for name, value in state.items())
    stream = io.BytesIO()
    torch.save(tensors if part is None else {part: tensors}, stream)
    return stream.getvalue()


def no_layout(model: Model) -> UsageError:
    if model.architecture in PARTS_OF_A_FILE:
        return UsageError(f"cannot export {model.info['name']}", "only a part of it is loaded", "use the published file itself")
    why = f"there is no published program that reads {model.info['title']}"
    return UsageError(f"cannot write {model.info['name']} as .pth", why, "use .safetensors")
