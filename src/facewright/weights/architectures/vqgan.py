"""The VQGAN of CodeFormer's first stage, and its discriminator."""

from __future__ import annotations

from typing import Any

from facewright.weights.architectures.architecture import Architecture
from facewright.weights.architectures.shapes import DoesNotFit, Shapes

# Where the published network has attention, in pixels of the map; the picture's size shows in nothing else.
ATTENTION_SIDE = 16


def autoencoder(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.vqgan.VQGAN."""
    levels = _levels(shapes)
    blocks = {level.count("residual") for level in levels}
    if len(blocks) != 1 or 0 in blocks:
        raise DoesNotFit(f"its encoder's levels have {', '.join(str(level.count('residual')) for level in levels)} residual blocks")
    base, widths = shapes.axis("encoder.blocks.0.weight", 0), _widths(shapes)
    if any(width % base for width in widths):
        raise DoesNotFit(f"its widths {', '.join(map(str, widths))} are no multiples of the first one, {base}")
    gumbel = "quantize.embed.weight" in shapes
    book = "quantize.embed.weight" if gumbel else "quantize.embedding.weight"
    return {
        "nf": base,
        "ch_mult": tuple(width // base for width in widths),
        "quantizer": "gumbel" if gumbel else "nearest",
        "res_blocks": blocks.pop(),
        "codebook_size": shapes.axis(book, 0),
        "emb_dim": shapes.axis(book, 1),
    }


def attentive(shapes: Shapes) -> list[int]:
    """The encoder's levels with attention, finest first."""
    return [number for number, level in enumerate(_levels(shapes)) if "attention" in level]


def attn_resolutions(shapes: Shapes, arguments: dict[str, Any]) -> tuple[int, ...]:
    return tuple(arguments["img_size"] >> level for level in attentive(shapes))


def _img_size(shapes: Shapes, arguments: dict[str, Any]) -> int:
    levels = attentive(shapes)
    return int(ATTENTION_SIDE << (levels[-1] if levels else len(arguments["ch_mult"]) - 1))


def _kinds(shapes: Shapes) -> list[str]:
    """What each of the encoder's blocks is, from the first behind conv_in."""
    found: list[str] = []
    for number in range(1, 1 + len(shapes)):
        block = f"encoder.blocks.{number}."
        ends = {"norm1.weight": "residual", "q.weight": "attention", "conv.weight": "halving", "weight": "end"}
        kind = next((kind for end, kind in ends.items() if block + end in shapes), None)
        if kind is None:
            return found
        found.append(kind)
    return found


def _levels(shapes: Shapes) -> list[list[str]]:
    """The kinds of each level's blocks, without the middle, which is residual, attention, residual, and the two of the end."""
    kinds = _kinds(shapes)
    if kinds[-5:] != ["residual", "attention", "residual", "end", "end"]:
        raise DoesNotFit("its encoder does not end as CodeFormer's does")
    levels: list[list[str]] = [[]]
    for kind in kinds[:-5]:
        if kind == "halving":
            levels.append([])
        else:
            levels[-1].append(kind)
    return levels


def _widths(shapes: Shapes) -> list[int]:
    """Channels of each level."""
    widths, new = [], True
    for number, kind in enumerate(_kinds(shapes)[:-5], start=1):
        if kind == "residual" and new:
            widths.append(shapes.axis(f"encoder.blocks.{number}.conv1.weight", 0))
        new = kind == "halving" or (new and kind != "residual")
    return widths


def discriminator(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.vqgan.PatchDiscriminator: a normalisation at every third place."""
    layers = 0
    while f"main.{3 * (layers + 1)}.running_mean" in shapes:
        layers += 1
    return {"nc": shapes.axis("main.0.weight", 1), "ndf": shapes.axis("main.0.weight", 0), "n_layers": layers}


TELLS = ("encoder.blocks.0.weight", "generator.blocks.0.weight")
OPEN: dict[str, Any] = {
    "img_size": _img_size,
    "attn_resolutions": attn_resolutions,
    "beta": 0.25,
    "gumbel_straight_through": False,
    "gumbel_kl_weight": 1e-8,
}

VQGAN = (
    Architecture("vqgan", "a VQGAN autoencoder of CodeFormer's kind", TELLS, "facewright.nets.vqgan:VQGAN", autoencoder, OPEN),
    Architecture(
        "vqgan.discriminator",
        "the discriminator of CodeFormer's training",
        ("main.0.weight", "main.0.bias", "main.2.weight", "main.3.running_mean"),
        "facewright.nets.vqgan:PatchDiscriminator",
        discriminator,
    ),
)
