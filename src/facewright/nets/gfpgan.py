"""GFPGAN: blind face restoration with a generative facial prior.

Wang, Li, Zhang, Shan, "Towards Real-World Blind Face Restoration with Generative Facial Prior", CVPR 2021, arXiv:2101.04061.
A U-Net removes the damage and yields the style (the latents of a StyleGAN2 decoder) and spatial conditions that steer the decoder's
features at each level. Loads the published v1, v1.2, v1.3 and v1.4 files: module names are theirs.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.errors import InputError, UsageError
from facewright.nets.blocks.equalized import SLOPE, EqualConv2d, EqualLinear, ScaledLeakyReLU
from facewright.nets.blocks.frozen import FrozenConv, FrozenDown, FrozenStyleConv, FrozenToRGB, FrozenUp, joined_branches
from facewright.nets.blocks.modulated import Flavour, StyleConv, ToRGB, fresh_noise
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
    a small network only has to learn what is missing; and the U-Net's first features join its last, since nothing else in the
    published U-Net carries the input's finest detail (its skips begin at R / 2), without which noise cannot be taken away.
    fold: ours too: the picture is folded into fold x fold times as many channels (pixel unshuffle) and the network, a GFPGAN of
    R / fold pixels, works on those; on a CPU half the time goes into the largest size, where the channels are fewest. Resolutions
    and `channels` are then those of the folded picture.
    refine: ours too: so many channels between two convolutions, 5 x 5 and 3 x 3, that see the unfolded picture beside the input and
    add to it, nothing at first. Every place of a fold is drawn by filters of its own, so what a folded network draws knows the grid of the
    folds (dots on the eyes, where a discriminator asks for detail); these look across it.
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
        fold: int = 1,
        refine: int = 0,
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
        self.arguments: dict[str, Any] = {
            "flavour": flavour,
            "out_size": out_size,
            "num_style_feat": num_style_feat,
            "channel_multiplier": channel_multiplier,
            "narrow": narrow,
            "sft_half": sft_half,
            "different_w": different_w,
            "input_is_latent": input_is_latent,
            "num_mlp": num_mlp,
            "fix_decoder": fix_decoder,
            "channels": None if channels is None else dict(channels),
            "input_skip": input_skip,
            "fold": fold,
            "refine": refine,
            "lr_mlp": lr_mlp,
            "resample_kernel": tuple(resample_kernel),
        }
        self.flavour: Flavour = flavour
        self.out_size, self.num_style_feat, self.different_w, self.input_is_latent = out_size, num_style_feat, different_w, input_is_latent

        if fold < 1 or out_size % fold:
            raise UsageError(f"fold is {fold}", f"it does not divide out_size {out_size}", "use 1, 2 or 4")
        self.fold = fold
        inner, colours = out_size // fold, 3 * fold**2
        c = channel_table(inner, channel_multiplier, narrow * 0.5, _halved(channels))
        equalised, fir = flavour != "clean", resample_kernel if flavour == "original" else None
        sides = [2**level for level in range(int(math.log2(inner)), 1, -1)]  # R, R/2, ..., 4
        down, up = list(pairwise(sides)), list(pairwise(sides[::-1]))

        self.conv_body_first = ConvLayer(colours, c[inner], 1) if equalised else nn.Conv2d(colours, c[inner], 1)
        self.conv_body_down = nn.ModuleList(ResBlock(c[a], c[b], fir) if equalised else CleanResBlock(c[a], c[b], "down") for a, b in down)
        self.final_conv = ConvLayer(c[4], c[4], 3) if equalised else nn.Conv2d(c[4], c[4], 3, padding=1)
        self.conv_body_up = nn.ModuleList(ResUpBlock(c[a], c[b]) if equalised else CleanResBlock(c[a], c[b], "up") for a, b in up)
        self.toRGB = nn.ModuleList(EqualConv2d(c[b], colours, 1) if equalised else nn.Conv2d(c[b], colours, 1) for _, b in up)

        self.stylegan_decoder = StyleGAN2GeneratorSFT(
            inner,
            num_style_feat,
            num_mlp,
            channel_multiplier,
            flavour=flavour,
            narrow=narrow,
            channels=channels,
            lr_mlp=lr_mlp,
            resample_kernel=resample_kernel,
            sft_half=sft_half,
            colours=colours,
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
            self.input_skip = nn.Conv2d(colours, colours, 1)
            nn.init.dirac_(self.input_skip.weight)
            nn.init.zeros_(self.input_skip.bias)  # type: ignore[arg-type]
        self.refine = Refine(refine) if refine else None

    def forward(
        self,
        x: Tensor,
        *,
        return_rgb: bool = True,
        randomize_noise: bool = True,
        noise: Noise | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """x: N x 3 x R x R in [-1, 1]. Returns the picture N x 3 x R x R, not clamped, and the U-Net's own pictures at 8 * fold .. R px.

        return_rgb False leaves the latter out (an empty list). noise: one tensor a decoder layer; else fresh noise (from `generator`)
        if randomize_noise, or the stored noise, which makes the result reproducible. `stylegan_decoder.zero_noise()` is no noise.
        Raises InputError for pictures of another size.
        """
        _check_size(x, self.out_size)
        whole, x = x, F.pixel_unshuffle(x, self.fold)
        style, features = self.encode(x)
        conditions: list[Tensor] = []
        rgbs: list[Tensor] = []
        for feature, scale, shift, to_rgb in zip(features, self.condition_scale, self.condition_shift, self.toRGB, strict=True):
            conditions += [scale(feature), shift(feature)]
            if return_rgb:
                rgbs.append(F.pixel_shuffle(to_rgb(feature), self.fold))
        picture, _ = self.stylegan_decoder(
            [style],
            conditions,
            input_is_latent=self.input_is_latent,
            noise=noise,
            randomize_noise=randomize_noise,
            generator=generator,
        )
        if self.input_skip is not None:
            picture = picture + self.input_skip(x)
        picture = F.pixel_shuffle(picture, self.fold)
        return picture if self.refine is None else self.refine(picture, whole), rgbs

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The U-Net: the style, N x S or N x L x S, and its features at 8 px .. R, N x c_r x r x r each."""
        first = feature = self._activated(self.conv_body_first(x))
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
        if self.input_skip is not None:
            features[-1] = features[-1] + first
        return style, features

    def make_noise(self, generator: torch.Generator | None = None) -> list[Tensor]:
        """Noise for `forward`, the same for each picture of a batch: one tensor a layer, 1 x 1 x r x r."""
        return self.stylegan_decoder.make_noise(generator)

    def _activated(self, x: Tensor) -> Tensor:
        # The equalised layers bring their activation along.
        return F.leaky_relu(x, SLOPE) if self.flavour == "clean" else x


def prepare(net: GFPGAN, dtype: torch.dtype = torch.float32) -> PreparedGFPGAN:
    """The same network for inference, faster: same `forward`, no gradients, an independent copy of the weights.

    dtype: of the large pictures; up to `PreparedGFPGAN.EXACT_SIDE` px and for the output all stays in float32.
    "bilinear" networks are converted to "clean" first; raises UsageError for "original", which has no clean form.
    """
    clean = clean_of(net)
    # parts that keep their type would be shared with the network
    return PreparedGFPGAN(copy.deepcopy(clean) if clean is net else clean, dtype)


class PreparedGFPGAN(nn.Module):
    """What `prepare` makes: the arithmetic of GFPGAN's clean flavour with everything folded that does not depend on the input.

    The samples of a batch are restored one after the other, level by level, so that little memory is in use at a time.
    """

    EXACT_SIDE = 32
    MERGE_SIDE = 256  # from here on one transposed convolution is faster than enlarging and convolving
    FOLD_SIDE = 64  # from here on modulating the weights is cheaper than modulating the activations

    def __init__(self, net: GFPGAN, dtype: torch.dtype) -> None:
        super().__init__()
        self.out_size, self.fold, self.num_style_feat, self.different_w = net.out_size, net.fold, net.num_style_feat, net.different_w
        decoder = net.stylegan_decoder
        self.num_latent, self.sft_half = decoder.num_latent, decoder.sft_half

        def kind(side: int) -> torch.dtype:
            return torch.float32 if side <= self.EXACT_SIDE else dtype

        top, low = net.out_size // net.fold, kind(4)
        self.first = FrozenConv.of(net.conv_body_first, kind(top), activate=True)
        self.down, self.up, self.conditions = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        self.rgbs, self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for j, block in enumerate(net.conv_body_down):
            self.down.append(FrozenDown(cast(CleanResBlock, block), kind(top >> j), kind(top >> (j + 1))))
        self.bottom = FrozenConv.of(net.final_conv, low, activate=True)
        self.final_linear = copy.deepcopy(net.final_linear)
        self.style_mlp = nn.Identity() if net.input_is_latent else copy.deepcopy(decoder.style_mlp)

        self.constant = nn.Parameter(decoder.constant_input.weight.detach().clone(memory_format=torch.channels_last))
        self.convs.append(FrozenStyleConv(decoder.style_conv1, low, fold=False))
        self.to_rgbs.append(FrozenToRGB(decoder.to_rgb1, low))
        for j, block in enumerate(net.conv_body_up):
            side = 8 << j
            merge, fold = side >= self.MERGE_SIDE, side >= self.FOLD_SIDE
            first, second = (cast(StyleConv, decoder.style_convs[2 * j + k]) for k in (0, 1))
            self.up.append(FrozenUp(cast(CleanResBlock, block), kind(side // 2), kind(side), merge=merge))
            self.conditions.append(joined_branches(net.condition_scale[j], net.condition_shift[j], kind(side)))
            self.rgbs.append(FrozenConv.of(net.toRGB[j], kind(side)))
            self.convs.append(FrozenStyleConv(first, kind(side), fold=fold, merge=merge))
            self.convs.append(FrozenStyleConv(second, kind(side), fold=fold))
            self.to_rgbs.append(FrozenToRGB(cast(ToRGB, decoder.to_rgbs[j]), kind(side)))
        self.noises = copy.deepcopy(decoder.noises)
        self.input_skip, self.refine = copy.deepcopy(net.input_skip), copy.deepcopy(net.refine)
        if self.refine is not None:
            self.refine.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(
        self,
        x: Tensor,
        *,
        return_rgb: bool = True,
        randomize_noise: bool = True,
        noise: Noise | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """As GFPGAN.forward."""
        _check_size(x, self.out_size)
        whole = x.float()
        x = F.pixel_unshuffle(whole, self.fold)
        stored = [self.noises.get_buffer(f"noise{i}") for i in range(len(self.convs))]
        chosen: list[Tensor] = []
        for i, buffer in enumerate(stored):
            given = noise[i] if noise is not None else None if randomize_noise else buffer
            # Drawn for the whole batch, layer by layer, so that a seed gives the same noise as in the network this was made from.
            chosen.append(fresh_noise(buffer.expand(x.shape[0], -1, -1, -1), generator) if given is None else given)
        pictures, rgbs = [], []
        for n in range(x.shape[0]):
            one = [each[n : n + 1] if each.shape[0] > 1 else each for each in chosen]
            picture, own = self._restore(x[n : n + 1].contiguous(memory_format=torch.channels_last), one, return_rgb)
            pictures.append(picture)
            rgbs.append(own)
        pyramid = [F.pixel_shuffle(torch.cat(level), self.fold) for level in zip(*rgbs, strict=True)]
        unfolded = [F.pixel_shuffle(picture, self.fold) for picture in pictures]
        if self.refine is not None:
            unfolded = [self.refine(picture, whole[n : n + 1]) for n, picture in enumerate(unfolded)]
        return torch.cat(unfolded), pyramid

    def make_noise(self, generator: torch.Generator | None = None) -> list[Tensor]:
        """As GFPGAN.make_noise; a seed gives the same."""
        return [fresh_noise(buffer, generator) for buffer in self.noises.buffers()]

    def _restore(self, x: Tensor, noise: list[Tensor], return_rgb: bool) -> tuple[Tensor, list[Tensor]]:
        first = feature = self.first(x)
        skips = []
        for block in self.down:
            feature = block(feature)
            skips.append(feature)
        feature = self.bottom(feature)
        style = self.final_linear(feature.float().flatten(1))
        style = self.style_mlp(style.view(1, -1, self.num_style_feat) if self.different_w else style)
        w = style[0].expand(self.num_latent, -1).split(1)

        y = self.convs[0](self.constant, w[0], noise[0])
        picture: Tensor = self.to_rgbs[0](y, w[1])
        rgbs: list[Tensor] = []
        for j, (block, conditions) in enumerate(zip(self.up, self.conditions, strict=True)):
            i = 2 * j + 1
            feature = block(feature.add_(skips.pop()))
            if self.input_skip is not None and j == len(self.up) - 1:
                feature = feature.add_(first)
            if return_rgb:
                rgbs.append(self.rgbs[j](feature).float())
            y = self.convs[i](y, w[i], noise[i])
            scale, shift = conditions(feature).chunk(2, dim=1)
            steered = y[:, y.shape[1] // 2 :] if self.sft_half else y
            torch.addcmul(shift, steered, scale, out=steered)
            y = self.convs[i + 1](y, w[i + 1], noise[i + 1])
            picture = self.to_rgbs[j + 1](y, w[i + 2], picture)
        if self.input_skip is not None:
            picture = picture.add_(self.input_skip(x))
        return picture, rgbs


def clean_of(net: GFPGAN) -> GFPGAN:
    """The "clean" network that computes what this "bilinear" one does. Raises UsageError for "original", which has no such form."""
    if net.flavour == "clean":
        return net
    if net.flavour == "original":
        raise UsageError('a network of the flavour "original" has no clean form', "it resamples by FIR filters", "use it as it is")
    clean = GFPGAN(**{**net.arguments, "flavour": "clean"})
    clean.load_state_dict(clean_state(net.state_dict(), net.arguments["lr_mlp"]))
    return clean.train(net.training)


def bilinear_of(net: GFPGAN) -> GFPGAN:
    """The "bilinear" network that computes what this "clean" one does: the form that is trained, since equalised weights learn evenly.

    The inverse of `clean_of`. Raises UsageError for "original", which is trained as it is and has no other form.
    """
    if net.flavour == "bilinear":
        return net
    if net.flavour == "original":
        raise UsageError('a network of the flavour "original" has no bilinear form', "it resamples by FIR filters", "train it as it is")
    arguments = {**net.arguments, "flavour": "bilinear"}
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in GFPGAN(**arguments).state_dict().items()}
    bilinear = GFPGAN(**arguments)
    bilinear.load_state_dict(bilinear_state(net.state_dict(), shapes, net.arguments["lr_mlp"]))
    return bilinear.train(net.training)


def refined(net: GFPGAN, channels: int) -> GFPGAN:
    """A network without `refine`, with so many channels of it: it computes the same until they have learned."""
    grown = GFPGAN(**{**net.arguments, "refine": channels})
    grown.load_state_dict(net.state_dict(), strict=False)
    return grown.train(net.training)


def clean_state(state: Mapping[str, Tensor], lr_mlp: float = 0.01) -> dict[str, Tensor]:
    """A state of the "bilinear" flavour as one of the "clean" flavour: run-time scales and gains are folded into the weights.

    Exact in real arithmetic but for the epsilon of the demodulation. A state of the "original" flavour would pass and be wrong.
    """
    clean = {}
    for name, value in state.items():
        target, factor = _clean_form(name, value.shape, lr_mlp)
        value = value.clone() if factor == 1 else value * factor
        clean[target] = value.view(1, -1, 1, 1) if "activate.bias" in name else value
    return clean


def bilinear_state(state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size], lr_mlp: float = 0.01) -> dict[str, Tensor]:
    """The inverse of `clean_state`. shapes: {name: shape} of the bilinear network that is wanted."""
    bilinear = {}
    for name, shape in shapes.items():
        target, factor = _clean_form(name, shape, lr_mlp)
        value = state[target].view(shape)
        bilinear[name] = value.clone() if factor == 1 else value / factor
    return bilinear


def _clean_form(name: str, shape: torch.Size, lr_mlp: float) -> tuple[str, float]:
    """Of a parameter of the "bilinear" flavour: its name in the "clean" one, and what it is multiplied by on the way there."""
    rule = next((rule for rule in CLEAN_RULES if re.search(rule[0], name)), None)
    if rule is None:
        return name, 1.0
    pattern, target, scaled, gain = rule
    if "style_mlp" in name:
        gain *= lr_mlp
        target = f"style_mlp.{2 * int(name.split('.')[-2]) - 1}." + name.rsplit(".", 1)[-1]
    fan_in = math.prod(shape[2:] if len(shape) == 5 else shape[1:])  # modulated weights have a leading 1
    return re.sub(pattern, target, name), gain / math.sqrt(fan_in) if scaled else gain


_R2 = math.sqrt(2)
# (pattern of the bilinear name, clean name, divided by the root of its fan-in?, gain); the first match wins, others stay as they are.
# The gain of an activation moves into the weights before it; in a residual block it cancels the division of the sum by sqrt(2).
CLEAN_RULES: list[tuple[str, str, bool, float]] = [
    (r"style_mlp\.\d+\.weight$", "", True, _R2),  # with positions of its own, and lr_mlp
    (r"style_mlp\.\d+\.bias$", "", False, _R2),
    (r"modulation\.weight$", r"modulation.weight", True, 1),
    (r"modulated_conv\.weight$", r"modulated_conv.weight", True, 1),
    (r"(style_conv1|style_convs\.\d+)\.weight$", r"\1.weight", False, _R2),
    (r"activate\.bias$", r"bias", False, _R2),
    (r"^(conv_body_first|final_conv|conv_body_\w+\.\d+\.conv1)\.0\.weight$", r"\1.weight", True, _R2),
    (r"^(conv_body_first|final_conv|conv_body_\w+\.\d+\.conv1)\.1\.bias$", r"\1.bias", False, _R2),
    (r"^(conv_body_\w+\.\d+\.conv2)(\.1)?\.weight$", r"\1.weight", True, 1),
    (r"^(conv_body_\w+\.\d+\.conv2)\.(2|activation)\.bias$", r"\1.bias", False, 1),
    (r"^(conv_body_\w+\.\d+\.skip)(\.1)?\.weight$", r"\1.weight", True, 1 / _R2),
    (r"^(condition_\w+\.\d+)\.0\.weight$", r"\1.0.weight", True, _R2),
    (r"^(condition_\w+\.\d+)\.0\.bias$", r"\1.0.bias", False, _R2),
    (r"^(condition_\w+\.\d+\.2|toRGB\.\d+|final_linear)\.weight$", r"\1.weight", True, 1),
]


class Refine(nn.Module):
    """What `refine` of GFPGAN adds to a picture: N x 3 x R x R, the input likewise."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(6, channels, 5, padding=2)
        self.draw = nn.Conv2d(channels, 3, 3, padding=1)
        nn.init.zeros_(self.draw.weight)
        nn.init.zeros_(self.draw.bias)  # type: ignore[arg-type]

    def forward(self, picture: Tensor, x: Tensor) -> Tensor:
        change: Tensor = self.draw(F.leaky_relu(self.look(torch.cat([picture, x], 1)), SLOPE))
        return picture + change


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


def _check_size(x: Tensor, side: int) -> None:
    if x.ndim != 4 or x.shape[1:] != (3, side, side):
        raise InputError(
            f"this GFPGAN cannot take pictures of shape {tuple(x.shape)}",
            f"it was made for N x 3 x {side} x {side}",
            "align and resize the faces first",
        )


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
