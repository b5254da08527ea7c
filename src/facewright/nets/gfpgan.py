"""GFPGAN: blind face restoration with a generative facial prior.

Wang, Li, Zhang, Shan, "Towards Real-World Blind Face Restoration with Generative Facial Prior", CVPR 2021, arXiv:2101.04061.
A U-Net removes the damage and yields the style (the latents of a StyleGAN2 decoder) and spatial conditions that steer the decoder's
features at each level. Loads the published v1, v1.2, v1.3 and v1.4 files: module names are theirs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.errors import InputError, UsageError
from facewright.nets.blocks.equalized import SLOPE, EqualConv2d, EqualLinear, ScaledLeakyReLU
from facewright.nets.blocks.modulated import Flavour
from facewright.nets.blocks.resample import FIR
from facewright.nets.blocks.residual import CleanResBlock, ConvLayer, ResBlock, ResUpBlock
from facewright.nets.stylegan2 import Noise, StyleGAN2GeneratorSFT, channel_table


class GFPGAN(nn.Module):
    """Restore aligned faces, N x 3 x R x R in [-1, 1], R = out_size (a power of two, at least 8).

    flavour: "original" (v1), "bilinear", "clean" (v1.2 and later). num_style_feat: S, size of a latent.
    channel_multiplier, narrow: the published table of the decoder's channels; the U-Net has half as many.
    channels: {resolution: channels of the decoder} replaces entries of that table (even numbers); the U-Net takes half of them.
    input_is_latent: the U-Net yields w, not z. different_w: one latent for each of the L layers instead of one for all.
    sft_half: conditions steer half of the channels (CS-SFT, eq. 4). fix_decoder: the decoder's parameters do not learn
    (the published training does that; it needs a trained decoder).
    input_skip: ours, not published: a learned 1 x 1 convolution of the input, identity at first, is added to the picture, so that
    a small network only has to learn what is missing.
    """

    def __init__(
        self,
        flavour: Flavour = "clean",
        out_size: int = 512,
        num_style_feat: int = 512,
        channel_multiplier: float = 2,
        narrow: float = 1,
        sft_half: bool = True,
        different_w: bool = True,
        input_is_latent: bool = True,
        num_mlp: int = 8,
        fix_decoder: bool = False,
        channels: Mapping[int, int] | None = None,
        input_skip: bool = False,
        lr_mlp: float = 0.01,
        resample_kernel: Sequence[float] = FIR,
    ) -> None:
        super().__init__()
        if different_w and not input_is_latent and flavour != "clean":
            raise UsageError(
                f'the flavour "{flavour}" cannot map one style a layer',
                "its mapping network is for one style only",
                "use input_is_latent=True",
            )
        self.flavour: Flavour = flavour
        self.out_size, self.num_style_feat, self.different_w, self.input_is_latent = out_size, num_style_feat, different_w, input_is_latent

        c = channel_table(out_size, channel_multiplier, narrow * 0.5, _halved(channels))
        equalised, fir = flavour != "clean", resample_kernel if flavour == "original" else None
        sides = [2**level for level in range(int(math.log2(out_size)), 1, -1)]  # R, R/2, ..., 4
        down, up = list(pairwise(sides)), list(pairwise(sides[::-1]))

        self.conv_body_first = ConvLayer(3, c[out_size], 1) if equalised else nn.Conv2d(3, c[out_size], 1)
        self.conv_body_down = nn.ModuleList(ResBlock(c[a], c[b], fir) if equalised else CleanResBlock(c[a], c[b], "down") for a, b in down)
        self.final_conv = ConvLayer(c[4], c[4], 3) if equalised else nn.Conv2d(c[4], c[4], 3, padding=1)
        self.conv_body_up = nn.ModuleList(ResUpBlock(c[a], c[b]) if equalised else CleanResBlock(c[a], c[b], "up") for a, b in up)
        self.toRGB = nn.ModuleList(EqualConv2d(c[b], 3, 1) if equalised else nn.Conv2d(c[b], 3, 1) for _, b in up)

        self.stylegan_decoder = StyleGAN2GeneratorSFT(
            out_size,
            num_style_feat,
            num_mlp,
            channel_multiplier,
            flavour=flavour,
            narrow=narrow,
            channels=channels,
            lr_mlp=lr_mlp,
            resample_kernel=resample_kernel,
            sft_half=sft_half,
        )
        if fix_decoder:
            self.stylegan_decoder.requires_grad_(False)
        latents = (self.stylegan_decoder.num_latent if different_w else 1) * num_style_feat
        self.final_linear = EqualLinear(c[4] * 16, latents) if equalised else nn.Linear(c[4] * 16, latents)

        widths = {side: c[side] if sft_half else 2 * c[side] for side in sides}
        for side, width in widths.items():
            decoder = self.stylegan_decoder.channels[side]
            if side > 4 and width != (decoder - decoder // 2 if sft_half else decoder):
                raise UsageError(f"the decoder has {decoder} channels at {side} px", "half of them belong to the U-Net", "use even numbers")
        self.condition_scale = nn.ModuleList(_condition(c[b], widths[b], equalised, bias_init=1.0) for _, b in up)
        self.condition_shift = nn.ModuleList(_condition(c[b], widths[b], equalised, bias_init=0.0) for _, b in up)
        self.input_skip: nn.Conv2d | None = None
        if input_skip:
            self.input_skip = nn.Conv2d(3, 3, 1)
            nn.init.dirac_(self.input_skip.weight)
            nn.init.zeros_(self.input_skip.bias)  # type: ignore[arg-type]

    def forward(
        self,
        x: Tensor,
        *,
        return_rgb: bool = True,
        randomize_noise: bool = True,
        noise: Noise | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """x: N x 3 x R x R in [-1, 1]. Returns the picture N x 3 x R x R, not clamped, and the U-Net's own pictures at 8 px .. R.

        return_rgb False leaves the latter out (an empty list). noise: one tensor a decoder layer; else fresh noise (from `generator`)
        if randomize_noise, or the stored noise, which makes the result reproducible. `stylegan_decoder.zero_noise()` is no noise.
        Raises InputError for pictures of another size.
        """
        if x.ndim != 4 or x.shape[1:] != (3, self.out_size, self.out_size):
            raise InputError(
                f"this GFPGAN cannot take pictures of shape {tuple(x.shape)}",
                f"it was made for N x 3 x {self.out_size} x {self.out_size}",
                "align and resize the faces first",
            )
        style, features = self.encode(x)
        conditions: list[Tensor] = []
        rgbs: list[Tensor] = []
        for feature, scale, shift, to_rgb in zip(features, self.condition_scale, self.condition_shift, self.toRGB, strict=True):
            conditions += [scale(feature), shift(feature)]
            if return_rgb:
                rgbs.append(to_rgb(feature))
        picture, _ = self.stylegan_decoder(
            [style],
            conditions,
            input_is_latent=self.input_is_latent,
            noise=noise,
            randomize_noise=randomize_noise,
            generator=generator,
        )
        return picture if self.input_skip is None else picture + self.input_skip(x), rgbs

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The U-Net: the style, N x S or N x L x S, and its features at 8 px .. R, N x c_r x r x r each."""
        feature = self._activated(self.conv_body_first(x))
        skips: list[Tensor] = []
        for block in self.conv_body_down:
            feature = block(feature)
            skips.insert(0, feature)
        feature = self._activated(self.final_conv(feature))
        style: Tensor = self.final_linear(feature.flatten(1))
        if self.different_w:
            style = style.view(style.shape[0], -1, self.num_style_feat)
        features: list[Tensor] = []
        for block, skip in zip(self.conv_body_up, skips, strict=True):
            feature = block(feature + skip)
            features.append(feature)
        return style, features

    def _activated(self, x: Tensor) -> Tensor:
        # The equalised layers bring their activation along.
        return F.leaky_relu(x, SLOPE) if self.flavour == "clean" else x


class FacialComponentDiscriminator(nn.Module):
    """Judges crops of eyes and mouth (section 3.3 of the paper): N x 3 x h x w to raw score maps N x 1 x h/4 x w/4."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvLayer(3, 64, 3)
        self.conv2 = ConvLayer(64, 128, 3, down=True)
        self.conv3 = ConvLayer(128, 128, 3)
        self.conv4 = ConvLayer(128, 256, 3, down=True)
        self.conv5 = ConvLayer(256, 256, 3)
        self.final_conv = ConvLayer(256, 1, 3, activate=False)

    def forward(self, x: Tensor, *, return_feats: bool = False) -> tuple[Tensor, list[Tensor] | None]:
        """Also returns the features behind conv3 and conv5 (the style loss compares them), or None."""
        third = self.conv3(self.conv2(self.conv1(x)))
        fifth = self.conv5(self.conv4(third))
        return self.final_conv(fifth), [third, fifth] if return_feats else None


def _condition(in_channels: int, out_channels: int, equalised: bool, bias_init: float) -> nn.Sequential:
    """Two 3 x 3 convolutions that make a scale or shift of the decoder's features. A scale starts at 1, a shift at 0."""
    if equalised:
        last: EqualConv2d | nn.Conv2d = EqualConv2d(in_channels, out_channels, 3, padding=1)
        layers = [EqualConv2d(in_channels, in_channels, 3, padding=1), ScaledLeakyReLU(), last]
    else:
        last = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        layers = [nn.Conv2d(in_channels, in_channels, 3, padding=1), nn.LeakyReLU(SLOPE), last]
    if equalised or bias_init:
        nn.init.constant_(last.bias, bias_init)  # type: ignore[arg-type]
    return nn.Sequential(*layers)


def _halved(channels: Mapping[int, int] | None) -> dict[int, int] | None:
    return None if channels is None else {side: count // 2 for side, count in channels.items()}
