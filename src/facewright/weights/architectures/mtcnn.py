"""MTCNN: its three networks, one by one or together as the bundled file has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facewright.weights.architectures.architecture import Architecture, nothing_to_deduce

if TYPE_CHECKING:
    from torch import nn


def joined() -> nn.Module:
    """The three networks as the bundled file has them, under pnet, rnet and onet."""
    from torch import nn

    from facewright.nets.mtcnn import ONet, PNet, RNet

    return nn.ModuleDict({"pnet": PNet(), "rnet": RNet(), "onet": ONet()})


MTCNN = (
    Architecture(
        "mtcnn",
        "the face detector MTCNN",
        ("pnet.conv4_1.weight", "rnet.dense5_1.weight", "onet.dense6_1.weight"),
        "facewright.weights.architectures.mtcnn:joined",
        nothing_to_deduce,
    ),
    Architecture(
        "mtcnn.pnet", "a P-Net", ("conv4_1.weight", "conv4_2.weight", "prelu3.weight"), "facewright.nets.mtcnn:PNet", nothing_to_deduce
    ),
    Architecture(
        "mtcnn.rnet", "an R-Net", ("dense5_1.weight", "dense5_2.weight", "prelu4.weight"), "facewright.nets.mtcnn:RNet", nothing_to_deduce
    ),
    Architecture(
        "mtcnn.onet", "an O-Net", ("dense6_1.weight", "dense6_3.weight", "prelu5.weight"), "facewright.nets.mtcnn:ONet", nothing_to_deduce
    ),
)
