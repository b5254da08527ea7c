"""VQFR, both versions."""

from __future__ import annotations

from typing import Any

from facewright.weights.architectures.architecture import Architecture
from facewright.weights.architectures.shapes import DoesNotFit, Shapes

# Numbers of a deformable convolution's guide: down, along and weight for each of 3 x 3 taps.
GUIDE = 27


def second(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.vqfr.VQFRv2."""
    # all levels but the first begin with the halving
    levels = 1 + shapes.count("encoder.blocks.{}.1.norm1.weight", start=1)
    widths = [shapes.axis(f"encoder.blocks.{level}.{min(level, 1)}.conv1.weight", 0) for level in range(levels)]
    return _channels(shapes, widths) | {
        "num_enc_blocks": shapes.count("encoder.blocks.0.{}.norm1.weight"),
        "num_dec_blocks": shapes.count(f"decoder.blocks.{levels - 1}.{{}}.norm1.weight", start=1),
        "code_dim": shapes.axis("quantizer.embedding.weight", 1),
        "inpfeat_dim": shapes.axis("inpfeat_extraction.weight", 0),
        "code_selection_mode": "Predict" if "feat2index.1.weight" in shapes else "Nearest",
        "num_code": shapes.axis("quantizer.embedding.weight", 0),
        "deformable_groups": _groups(shapes, "main_branch"),
    }


def first(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.vqfr.VQFRv1, whose levels are numbered by their reduction."""
    widths: list[int] = []
    while (name := f"encoder.encoder_dict.Level_{2 ** len(widths)}.0.conv1.weight") in shapes:
        widths.append(shapes.axis(name, 0))
    book = f"quantizer.quantize_dict.Level_{2 ** (len(widths) - 1)}.embedding.weight"
    return _channels(shapes, widths) | {
        "encoder_num_blocks": shapes.count("encoder.encoder_dict.Level_1.{}.norm1.weight"),
        "decoder_num_blocks": shapes.count("decoder.decoder_dict.Level_1.{}.norm1.weight"),
        "inpfeat_dim": shapes.axis("inpfeat_extraction.conv.weight", 0),
        "num_code": shapes.axis(book, 0),
        "code_dim": shapes.axis(book, 1),
        "deformable_groups": _groups(shapes, "main_decoder"),
    }


def _channels(shapes: Shapes, widths: list[int]) -> dict[str, Any]:
    base = shapes.axis("encoder.conv_in.weight", 0)
    if any(width % base for width in widths):
        raise DoesNotFit(f"its widths {', '.join(map(str, widths))} are no multiples of the first one, {base}")
    return {"base_channels": base, "channel_multipliers": tuple(width // base for width in widths)}


def _groups(shapes: Shapes, part: str) -> int:
    guide = shapes.axis(f"{part}.align_func_dict.Level_1.dcn.conv_offset.weight", 0)
    if guide % GUIDE:
        raise DoesNotFit(f"its guide of {guide} numbers is no multiple of {GUIDE}")
    return guide // GUIDE


TITLE, OPEN = "the face restorer VQFR", {"resolution": 512}

VQFR = (
    Architecture(
        "vqfr.v2",
        TITLE + ", version 2",
        (
            "encoder.conv_in.weight",
            "encoder.mid_blocks.0.norm1.weight",
            "inpfeat_extraction.weight",
            "main_branch.align_func_dict.Level_1.dcn.weight",
        ),
        "facewright.nets.vqfr:VQFRv2",
        second,
        OPEN,
    ),
    Architecture(
        "vqfr.v1",
        TITLE + ", version 1",
        (
            "encoder.conv_in.weight",
            "encoder.encoder_dict.Level_1.0.norm1.weight",
            "inpfeat_extraction.conv.weight",
            "main_decoder.conv_out_1.0.weight",
        ),
        "facewright.nets.vqfr:VQFRv1",
        first,
        OPEN,
    ),
)
