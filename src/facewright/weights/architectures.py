"""The rules of the recogniser: for each network its tell-tale names and how its arguments follow from the shapes.

A new network is one entry in ARCHITECTURES and one function. Files that facewright knows but cannot use stand in FOREIGN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from math import isqrt, log2
from typing import TYPE_CHECKING, Any

from facewright.errors import UsageError

if TYPE_CHECKING:
    from torch import nn


class DoesNotFit(Exception):
    """The shapes contradict the network that the names promise; the text goes on from "it looks like X, but"."""


class Shapes(dict[str, tuple[int, ...]]):
    """{tensor's name: shape}; a name that is not there is a DoesNotFit."""

    def __missing__(self, name: str) -> tuple[int, ...]:
        raise DoesNotFit(f"{name} is missing")

    def axis(self, name: str, axis: int) -> int:
        shape = self[name]
        if axis >= len(shape):
            raise DoesNotFit(f"{name} has shape {shape}")
        return shape[axis]

    def count(self, pattern: str, start: int = 0) -> int:
        """How many of pattern.format(start), pattern.format(start + 1), ... are there without a gap."""
        number = start
        while pattern.format(number) in self:
            number += 1
        return number - start

    def below(self, prefix: str) -> Shapes:
        return Shapes({name.removeprefix(prefix): shape for name, shape in self.items() if name.startswith(prefix)})


@dataclass(frozen=True)
class Architecture:
    """name: ours. title: for people, goes on from "it is". tells: tensors that together no other network has. network: module:class.

    open: arguments that names and shapes may leave open, with the value taken then.
    """

    name: str
    title: str
    tells: tuple[str, ...]
    network: str
    deduce: Callable[[Shapes], dict[str, Any]]
    open: dict[str, Any] = field(default_factory=dict)

    def matches(self, shapes: Mapping[str, object]) -> bool:
        return all(name in shapes for name in self.tells)

    def left_open(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The clean flavour shows in the names; only the other two are alike."""
        return {name: value for name, value in self.open.items() if not (name == "flavour" and arguments.get("flavour") == "clean")}

    def describe(self, arguments: Mapping[str, Any]) -> str:
        facts = [f"{arguments['flavour']} flavour"] if "flavour" in arguments else []
        facts += [f"{arguments['out_size']} px"] if "out_size" in arguments else []
        return ", ".join([self.title.removeprefix("a "), *facts])

    def build(self, arguments: Mapping[str, Any]) -> nn.Module:
        module, _, name = self.network.partition(":")
        network: nn.Module = getattr(import_module(module), name)(**arguments)
        return network


@dataclass(frozen=True)
class Foreign:
    """A kind of file that people have lying beside the right one. title goes on from "it is", instead from the comma."""

    title: str
    tells: tuple[str, ...]
    instead: str = "which this version cannot run yet"

    def matches(self, shapes: Mapping[str, object]) -> bool:
        return all(name in shapes for name in self.tells)


# GFPGAN and StyleGAN2 ------------------------------------------------------------------------------------------------------------------


def gfpgan(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.gfpgan.GFPGAN."""
    decoder = shapes.below("stylegan_decoder.")
    arguments = stylegan2_generator(decoder)
    clean, out_size, features = arguments["flavour"] == "clean", arguments["out_size"], arguments["num_style_feat"]
    if shapes.count("condition_scale.{}.0.weight") != int(log2(out_size)) - 2:
        raise DoesNotFit(f"its conditions are not those of a decoder of {out_size} px")

    width = "" if clean else ".0"
    unet = {out_size: shapes.axis(f"conv_body_first{width}.weight", 0)}
    for level, side in enumerate(_sides(out_size)[1:]):
        unet[side] = shapes.axis(f"conv_body_down.{level}.conv2{'' if clean else '.1'}.weight", 0)
    arguments |= _channels(_generator_channels(decoder, out_size), unet)

    colours = shapes.axis("conv_body_first" + width + ".weight", 1)
    fold = isqrt(colours // 3)
    if colours != 3 * fold**2:
        raise DoesNotFit(f"its first layer takes {colours} colours")

    latents = shapes.axis("final_linear.weight", 0)
    if latents not in (features, features * _latents(out_size)):
        raise DoesNotFit(f"final_linear has {latents} outputs where {features} or {features * _latents(out_size)} are due")
    scale = shapes["condition_scale.0.2.weight"]
    return arguments | {
        "different_w": latents != features,
        "input_is_latent": True,
        "sft_half": scale[0] == scale[1],
        "input_skip": "input_skip.weight" in shapes,
        # the decoder's size is that of the folded picture, whose colours are in its channels
        "out_size": out_size * fold,
        "fold": fold,
    }


def stylegan2_generator(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.stylegan2.StyleGAN2Generator."""
    out_size = 4 * 2 ** shapes.count("to_rgbs.{}.bias")
    return {
        "flavour": "clean" if "style_conv1.bias" in shapes else "original",
        "out_size": out_size,
        "num_style_feat": shapes.axis("style_conv1.modulated_conv.modulation.weight", 1),
        "num_mlp": sum(name.startswith("style_mlp.") and name.endswith(".weight") for name in shapes),
        **_channels(_generator_channels(shapes, out_size)),
    }


def stylegan2_discriminator(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.stylegan2.StyleGAN2Discriminator."""
    levels = shapes.count("conv_body.{}.conv2.1.weight", start=1)
    sides = _sides(4 * 2**levels)
    channels = {sides[0]: shapes.axis("conv_body.0.0.weight", 0)}
    # Number 0 is the first convolution, the blocks follow.
    for level, side in enumerate(sides[1:], start=1):
        channels[side] = shapes.axis(f"conv_body.{level}.conv2.1.weight", 0)
    return {"out_size": sides[0], **_channels(channels), "stddev_group": 4}


def _latents(out_size: int) -> int:
    """L, the number of latents of a generator."""
    return 2 * int(log2(out_size)) - 2


def _generator_channels(shapes: Shapes, out_size: int) -> dict[int, int]:
    """{4: .., 8: .., ..., out_size: ..} of a generator."""
    channels = {4: shapes.axis("constant_input.weight", 1)}
    for level, side in enumerate(_sides(out_size)[-2::-1]):
        channels[side] = shapes.axis(f"style_convs.{2 * level}.modulated_conv.weight", 1)
    return channels


def _sides(out_size: int) -> list[int]:
    """out_size, out_size / 2, ..., 4."""
    return [2**level for level in range(int(log2(out_size)), 1, -1)]


def _channels(channels: dict[int, int], halves: dict[int, int] | None = None) -> dict[str, Any]:
    """How to ask for these channels: by the published table (channel_multiplier, narrow) where it has them, else one by one.

    halves: the U-Net's channels of a GFPGAN. Where no layer depends on the multiplier (up to 32 px) it is 1.
    """
    from facewright.nets.stylegan2 import channel_table

    out_size = max(channels)
    # The table truncates; half a channel more finds factors such as 0.1.
    for narrow in (channels[4] / 512, (channels[4] + 0.5) / 512):
        for multiplier in (1, 2, 4, 8, 0.5, 0.25):
            try:
                decoder = channel_table(out_size, multiplier, narrow)
                unet = channel_table(out_size, multiplier, narrow * 0.5) if halves else None
            except UsageError:
                continue
            if decoder == channels and unet == halves:
                return {"channel_multiplier": multiplier, "narrow": narrow}
    if halves and halves != {side: count // 2 for side, count in channels.items()}:
        raise DoesNotFit("its U-Net does not have half of the decoder's channels")
    return {"channels": dict(sorted(channels.items()))}


# The rest ------------------------------------------------------------------------------------------------------------------------------


def nothing_to_deduce(shapes: Shapes) -> dict[str, Any]:
    """A network that comes in one size."""
    return {}


ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture(
        "gfpgan",
        "a GFPGAN face restorer",
        ("stylegan_decoder.constant_input.weight", "final_linear.weight", "condition_scale.0.0.weight"),
        "facewright.nets.gfpgan:GFPGAN",
        gfpgan,
        {"flavour": "original", "input_is_latent": True},
    ),
    Architecture(
        "stylegan2",
        "a StyleGAN2 generator",
        ("constant_input.weight", "style_conv1.modulated_conv.weight", "to_rgb1.bias"),
        "facewright.nets.stylegan2:StyleGAN2Generator",
        stylegan2_generator,
        {"flavour": "original"},
    ),
    Architecture(
        "stylegan2.discriminator",
        "a StyleGAN2 discriminator",
        ("conv_body.0.0.weight", "conv_body.1.conv1.0.weight", "final_linear.0.weight", "final_linear.1.weight"),
        "facewright.nets.stylegan2:StyleGAN2Discriminator",
        stylegan2_discriminator,
        {"stddev_group": 4},
    ),
    Architecture(
        "gfpgan.component_discriminator",
        "a GFPGAN discriminator of eyes or mouths",
        ("conv1.0.weight", "conv4.1.weight", "conv5.1.bias", "final_conv.0.bias"),
        "facewright.nets.gfpgan:FacialComponentDiscriminator",
        nothing_to_deduce,
    ),
    Architecture(
        "mtcnn",
        "the face detector MTCNN",
        ("pnet.conv4_1.weight", "rnet.dense5_1.weight", "onet.dense6_1.weight"),
        "facewright.weights.architectures:mtcnn",
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
    Architecture(
        "identity.dlib",
        "dlib's face embedding",
        ("stem.weight", "stem_affine.weight", "blocks.13.affine2.bias", "embed.weight"),
        "facewright.nets.identity:DlibEmbedding",
        nothing_to_deduce,
    ),
)


def mtcnn() -> nn.Module:
    """The three networks as the bundled file has them, under pnet, rnet and onet."""
    from torch import nn

    from facewright.nets.mtcnn import ONet, PNet, RNet

    return nn.ModuleDict({"pnet": PNet(), "rnet": RNet(), "onet": ONet()})


NOT_A_FACE_MODEL = "not a face model"

FOREIGN: tuple[Foreign, ...] = (
    Foreign("a Real-ESRGAN upscaler (RRDBNet)", ("conv_first.weight", "body.0.rdb1.conv1.weight"), NOT_A_FACE_MODEL),
    Foreign("an ESRGAN upscaler", ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"), NOT_A_FACE_MODEL),
    Foreign("a Real-ESRGAN upscaler (compact)", ("body.0.weight", "body.0.bias", "body.2.weight"), NOT_A_FACE_MODEL),
    Foreign("the face detector RetinaFace", ("ClassHead.0.conv1x1.weight", "LandmarkHead.0.conv1x1.weight"), "not a face restorer"),
    Foreign("the face detector YOLOv5-face", ("model.0.stem_1.conv.weight",), "not a face restorer"),
    Foreign("the face parser ParseNet", ("encoder.0.conv2d.weight", "out_mask_conv.conv2d.weight"), "not a face restorer"),
    Foreign("the face parser BiSeNet", ("cp.resnet.conv1.weight", "ffm.convblk.conv.weight"), "not a face restorer"),
    Foreign("the face embedding ArcFace", ("layer1.0.bn0.weight", "bn4.weight", "fc5.weight"), "not a face restorer"),
    Foreign("the face restorer CodeFormer", ("position_emb", "idx_pred_layer.1.weight", "quantize.embedding.weight")),
    Foreign("the face restorer VQFR", ("encoder.conv_in.weight", "inpfeat_extraction.conv.weight")),
    Foreign("the face restorer VQFR", ("encoder.conv_in.weight", "inpfeat_extraction.weight")),
    Foreign("the face restorer RestoreFormer", ("encoder.conv_in.weight", "decoder.mid.attn_1.proj_out.weight", "post_quant_conv.weight")),
    Foreign("a training file of RestoreFormer", ("vqvae.encoder.conv_in.weight", "vqvae.post_quant_conv.weight")),
    Foreign("a VQGAN autoencoder", ("encoder.blocks.0.weight", "generator.blocks.0.weight"), "not a face restorer"),
    Foreign("a VGG feature network", ("features.0.weight", "features.28.weight"), NOT_A_FACE_MODEL),
    Foreign("a StyleGAN2 in NVIDIA's layout", ("synthesis.b4.const",)),
    Foreign("a StyleGAN2 in rosinality's layout", ("style.1.weight", "convs.0.conv.modulation.weight")),
    Foreign("a Stable Diffusion checkpoint", ("model.diffusion_model.input_blocks.0.0.weight",), NOT_A_FACE_MODEL),
    Foreign("a language model", ("model.embed_tokens.weight",), NOT_A_FACE_MODEL),
)
