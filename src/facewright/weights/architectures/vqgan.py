"""The VQGAN of CodeFormer's first stage, and its discriminator."""

from __future__ import annotations

from math import isqrt
from typing import Any

from facewright.weights.architectures.architecture import Architecture
from facewright.weights.architectures.shapes import DoesNotFit, Shapes

# Where the published network has attention, in pixels of the map; the picture's size shows in nothing else.
ATTENTION_SIDE = 16


def autoencoder(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.vqgan.VQGAN."""
    levels = _levels(shapes)
    counts = [len(level["residual"]) for level in levels]
    if not counts[0] or len(set(counts)) != 1:
        raise DoesNotFit(f"its encoder's levels have {', '.join(map(str, counts))} residual blocks")
    base = shapes.axis("encoder.blocks.0.weight", 0)
    widths = [shapes.axis(f"encoder.blocks.{level['residual'][0]}.conv1.weight", 0) for level in levels]
    if any(width % base for width in widths):
        raise DoesNotFit(f"its widths {', '.join(map(str, widths))} are no multiples of the first one, {base}")
    gumbel = "quantize.embed.weight" in shapes
    book = "quantize.embed.weight" if gumbel else "quantize.embedding.weight"
    return {
        "nf": base,
        "ch_mult": tuple(width // base for width in widths),
        "quantizer": "gumbel" if gumbel else "nearest",
        "res_blocks": counts[0],
        "codebook_size": shapes.axis(book, 0),
        "emb_dim": shapes.axis(book, 1),
        "fold": _fold(shapes),
    }


def _fold(shapes: Shapes) -> int:
    """Our small networks see the picture folded into its channels."""
    colours = shapes.axis("encoder.blocks.0.weight", 1)
    fold = isqrt(colours // 3)
    if colours != 3 * fold**2:
        raise DoesNotFit(f"its encoder takes {colours} channels, which is no folded picture")
    return fold


def attentive(shapes: Shapes) -> list[int]:
    """The encoder's levels with attention, finest first."""
    return [number for number, level in enumerate(_levels(shapes)) if level["attention"]]


def attn_resolutions(shapes: Shapes, arguments: dict[str, Any]) -> tuple[int, ...]:
    return tuple(arguments["img_size"] // arguments["fold"] >> level for level in attentive(shapes))


def _img_size(shapes: Shapes, arguments: dict[str, Any]) -> int:
    levels = attentive(shapes)
    return int(ATTENTION_SIDE << (levels[-1] if levels else len(arguments["ch_mult"]) - 1)) * int(arguments["fold"])


def _levels(shapes: Shapes) -> list[dict[str, list[int]]]:
    """Of each level, finest first, {kind: the numbers of its blocks}; without the middle (residual, attention, residual) and the end."""
    kinds: list[str] = []
    while kind := _kind(shapes, f"encoder.blocks.{1 + len(kinds)}."):
        kinds.append(kind)
    if kinds[-5:] != ["residual", "attention", "residual", "end", "end"]:
        raise DoesNotFit("its encoder does not end as CodeFormer's does")
    levels: list[dict[str, list[int]]] = [{"residual": [], "attention": []}]
    for number, kind in enumerate(kinds[:-5], start=1):
        if kind == "halving":
            levels.append({"residual": [], "attention": []})
        else:
            levels[-1].setdefault(kind, []).append(number)
    return levels


def _kind(shapes: Shapes, block: str) -> str | None:
    """What a block is; None where there is none."""
    ends = {"norm1.weight": "residual", "q.weight": "attention", "conv.weight": "halving", "weight": "end"}
    return next((kind for end, kind in ends.items() if block + end in shapes), None)


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
