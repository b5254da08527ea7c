"""CodeFormer, for restoration, colorization and inpainting."""

from __future__ import annotations

from math import isqrt
from typing import Any

from facewright.weights.architectures import vqgan
from facewright.weights.architectures.architecture import Architecture
from facewright.weights.architectures.shapes import DoesNotFit, Shapes

CONNECTION = "fuse_convs_dict."
# Of the published files only those of colorization and inpainting have these three connections, and only the latter so few codes.
SPECIALISTS, FEW_CODES = (32, 64, 128), 512


def restorer(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.codeformer.CodeFormer."""
    arguments = vqgan.autoencoder(shapes)
    if arguments.pop("quantizer") != "nearest":
        raise DoesNotFit("its codebook is not one of nearest codes")
    tokens, halvings = shapes.axis("position_emb", 0), len(arguments["ch_mult"]) - 1
    side = isqrt(tokens)
    if side**2 != tokens:
        raise DoesNotFit(f"its {tokens} positions make no square")
    arguments["img_size"] = (side << halvings) * arguments["fold"]
    arguments["attn_resolutions"] = vqgan.attn_resolutions(shapes, arguments)
    connections = {name.removeprefix(CONNECTION).partition(".")[0] for name in shapes if name.startswith(CONNECTION)}
    sides = [side << level for level in range(halvings + 1)]
    if strange := sorted(connections - set(map(str, sides))):
        raise DoesNotFit(f"it is connected at {', '.join(strange)} px, where its maps have {', '.join(map(str, sides))}")
    return arguments | {
        "dim_embd": shapes.axis("position_emb", 1),
        "n_layers": shapes.count("ft_layers.{}.norm1.weight"),
        "connect_list": tuple(side for side in sides if str(side) in connections),
    }


def _heads(shapes: Shapes, arguments: dict[str, Any]) -> int:
    return next(heads for heads in (8, 4, 2, 1) if arguments["dim_embd"] % heads == 0)


def _task(shapes: Shapes, arguments: dict[str, Any]) -> str:
    if arguments["img_size"] != 512 or arguments["connect_list"] != SPECIALISTS:
        return "restoration"
    return "inpainting" if arguments["codebook_size"] == FEW_CODES else "colorization"


CODEFORMER = (
    Architecture(
        "codeformer",
        "a CodeFormer",
        ("position_emb", "idx_pred_layer.1.weight", *vqgan.TELLS),
        "facewright.nets.codeformer:CodeFormer",
        restorer,
        {"n_head": _heads, "task": _task},
    ),
)
