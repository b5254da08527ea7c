"""RestoreFormer and RestoreFormer++: an autoencoder with a dictionary, whose decoder looks at the damaged face."""

from __future__ import annotations

from typing import Any

from facewright.weights.architectures.architecture import Architecture, State
from facewright.weights.architectures.shapes import DoesNotFit, Shapes

# Where the published networks have attention, in pixels of the map; the picture's size shows in nothing else.
ATTENTION_SIDE = 16
# The published training files, from pytorch-lightning, hold the network under this name, and the losses' networks beside it.
PREFIX, BESIDE = "vqvae.", "loss."


def restorer(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.restoreformer.RestoreFormer."""
    shapes = shapes.below(PREFIX) or shapes
    levels = shapes.count("encoder.down.{}.block.0.conv1.weight")
    base = shapes.axis("encoder.conv_in.weight", 0)
    widths = [shapes.axis(f"encoder.down.{level}.block.0.conv1.weight", 0) for level in range(levels)]
    if any(width % base for width in widths):
        raise DoesNotFit(f"its widths {', '.join(map(str, widths))} are no multiples of the first one, {base}")
    encoder, decoder = (_attentive(shapes, side) for side in ("encoder.down", "decoder.up"))
    finer = [encoder[-1] - 1] if encoder else []
    if decoder not in (encoder, sorted({*encoder, *finer})):
        raise DoesNotFit(f"its decoder has attention at the levels {decoder}, its encoder at {encoder}")
    return {
        "n_embed": shapes.axis("quantize.embedding.weight", 0),
        "embed_dim": shapes.axis("quantize.embedding.weight", 1),
        "ch": base,
        "out_ch": shapes.axis("decoder.conv_out.weight", 0),
        "ch_mult": tuple(width // base for width in widths),
        "num_res_blocks": shapes.count("encoder.down.0.block.{}.conv1.weight"),
        "in_channels": shapes.axis("encoder.conv_in.weight", 1),
        "z_channels": shapes.axis("post_quant_conv.weight", 0),
        "ex_multi_scale_num": int(decoder != encoder),
    }


def _attentive(shapes: Shapes, part: str) -> list[int]:
    """The levels with attention, finest first."""
    return [level for level in range(shapes.count(part + ".{}.block.0.conv1.weight")) if f"{part}.{level}.attn.0.q.weight" in shapes]


def _resolution(shapes: Shapes, arguments: dict[str, Any]) -> int:
    levels = _attentive(shapes.below(PREFIX) or shapes, "encoder.down")
    return int(ATTENTION_SIDE << (levels[-1] if levels else len(arguments["ch_mult"]) - 1))


def _attn_resolutions(shapes: Shapes, arguments: dict[str, Any]) -> tuple[int, ...]:
    return tuple(arguments["resolution"] >> level for level in _attentive(shapes.below(PREFIX) or shapes, "encoder.down"))


def _heads(shapes: Shapes, arguments: dict[str, Any]) -> int:
    return 4 if arguments["ex_multi_scale_num"] else 8


def _without_the_losses(state: State, arguments: dict[str, Any]) -> State:
    return {name.removeprefix(PREFIX): value for name, value in state.items() if not name.startswith(BESIDE)}


TELLS = ("encoder.conv_in.weight", "encoder.mid.attn_1.norm1.weight", "decoder.up.0.block.0.conv1.weight", "quantize.embedding.weight")
OPEN = {"resolution": _resolution, "attn_resolutions": _attn_resolutions, "head_size": _heads, "cross_attention": True}
TITLE, NETWORK = "the face restorer RestoreFormer", "facewright.nets.restoreformer:RestoreFormer"

RESTOREFORMER = (
    Architecture("restoreformer", TITLE, TELLS, NETWORK, restorer, OPEN),
    Architecture("restoreformer", TITLE, tuple(PREFIX + tell for tell in TELLS), NETWORK, restorer, OPEN, fit=_without_the_losses),
)
