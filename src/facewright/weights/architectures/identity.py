"""Embeddings that tell who somebody is."""

from __future__ import annotations

from typing import Any

from facewright.weights.architectures.architecture import Architecture, nothing_to_deduce
from facewright.weights.architectures.shapes import Shapes


def arcface(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.arcface.ResNetArcFace: how many blocks a stage has, and whether they squeeze and excite."""
    return {
        "layers": tuple(shapes.count(f"layer{stage}.{{}}.conv1.weight") for stage in (1, 2, 3, 4)),
        "use_se": "layer1.0.se.fc.0.weight" in shapes,
    }


def mobilefacenet(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.mobilefacenet.MobileFaceNet: how wide it begins, and how many numbers it gives."""
    return {"channels": shapes.axis("stem.0.weight", 0), "embedding": shapes.axis("embed.0.weight", 0)}


IDENTITY = (
    Architecture(
        "identity.dlib",
        "dlib's face embedding",
        ("stem.weight", "stem_affine.weight", "blocks.13.affine2.bias", "embed.weight"),
        "facewright.nets.identity:DlibEmbedding",
        nothing_to_deduce,
    ),
    Architecture(
        "identity.arcface",
        "the face embedding ArcFace",
        ("conv1.weight", "layer1.0.bn0.weight", "layer4.0.bn0.weight", "bn4.weight", "fc5.weight", "bn5.weight"),
        "facewright.nets.arcface:ResNetArcFace",
        arcface,
    ),
    Architecture(
        "identity.mobilefacenet",
        "the face embedding MobileFaceNet",
        ("stem.0.weight", "depthwise.0.weight", "blocks.14.project.0.weight", "gather.0.weight", "embed.1.running_var"),
        "facewright.nets.mobilefacenet:MobileFaceNet",
        mobilefacenet,
    ),
)
