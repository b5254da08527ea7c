"""Embeddings that tell who somebody is."""

from __future__ import annotations

from facewright.weights.architectures.architecture import Architecture, nothing_to_deduce

IDENTITY = (
    Architecture(
        "identity.dlib",
        "dlib's face embedding",
        ("stem.weight", "stem_affine.weight", "blocks.13.affine2.bias", "embed.weight"),
        "facewright.nets.identity:DlibEmbedding",
        nothing_to_deduce,
    ),
)
