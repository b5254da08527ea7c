"""StyleGAN2: generator, its variant with spatial feature transforms, and discriminator.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, arXiv:1912.04958; the spatial feature transform
(SFT) of the generator is GFPGAN's, arXiv:2101.04061.

Three flavours share the module names of the published files: "original" (FIR resampling, equalised learning rate), "bilinear"
(bilinear resampling, equalised) and "clean" (bilinear, plain weights). S: size of a style; L = 2 log2(out_size) - 2: number of latents.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from facewright.errors import UsageError
from facewright.nets.blocks.equalized import SLOPE, EqualLinear
from facewright.nets.blocks.modulated import Flavour, StyleConv, ToRGB
from facewright.nets.blocks.resample import FIR, fir_upsample
from facewright.nets.blocks.residual import ConvLayer, ResBlock

Noise = Sequence["Tensor | None"]


class StyleGAN2Generator(nn.Module):
    """Styles to pictures.

    out_size: a power of two, at least 8. num_style_feat: S. channel_multiplier, narrow: the published table of channels, see
    `channel_table`; `channels` ({resolution: channels}) replaces entries of it. lr_mlp: learning rate factor of the mapping network
    ("original" and "bilinear"). resample_kernel: FIR taps ("original"). colours: channels of the picture.
    """

    def __init__(
        self,
        out_size: int,
        num_style_feat: int = 512,
        num_mlp: int = 8,
        channel_multiplier: float = 2,
        *,
        flavour: Flavour = "original",
        narrow: float = 1,
        channels: Mapping[int, int] | None = None,
        lr_mlp: float = 0.01,
        resample_kernel: Sequence[float] = FIR,
        colours: int = 3,
    ) -> None:
        super().__init__()
        self.flavour: Flavour = flavour
        self.num_style_feat, self.out_size, self.log_size = num_style_feat, out_size, _log2(out_size)
        self.channels = channel_table(out_size, channel_multiplier, narrow, channels)
        self.num_latent, self.num_layers = self.log_size * 2 - 2, (self.log_size - 2) * 2 + 1

        self.style_mlp = mapping_network(num_style_feat, num_mlp, flavour, lr_mlp)
        c = self.channels[4]
        self.constant_input = ConstantInput(c)
        self.style_conv1 = StyleConv(c, c, num_style_feat, flavour=flavour)
        self.to_rgb1 = ToRGB(c, num_style_feat, flavour=flavour, colours=colours)

        self.style_convs, self.to_rgbs, self.noises = nn.ModuleList(), nn.ModuleList(), nn.Module()
        for layer in range(self.num_layers):
            side = 2 ** ((layer + 5) // 2)
            self.noises.register_buffer(f"noise{layer}", torch.randn(1, 1, side, side))
        for level in range(3, self.log_size + 1):
            before, c = c, self.channels[2**level]
            self.style_convs.append(StyleConv(before, c, num_style_feat, flavour=flavour, sampling="up", resample_kernel=resample_kernel))
            self.style_convs.append(StyleConv(c, c, num_style_feat, flavour=flavour))
            upsample = fir_upsample(resample_kernel) if flavour == "original" else None
            self.to_rgbs.append(ToRGB(c, num_style_feat, flavour=flavour, upsample=upsample, colours=colours))

    def forward(
        self,
        styles: Sequence[Tensor],
        *,
        input_is_latent: bool = False,
        noise: Noise | None = None,
        randomize_noise: bool = True,
        generator: torch.Generator | None = None,
        truncation: float = 1.0,
        truncation_latent: Tensor | None = None,
        inject_index: int | None = None,
        return_latents: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """styles: one or two tensors, N x S (or N x L x S for one latent a layer). Returns (picture N x 3 x R x R, not clamped; latents).

        noise: a list of `num_layers` tensors N x 1 x r x r (None among them: fresh); else fresh noise from `generator` if
        `randomize_noise`, or the noise stored in the file. Two styles are mixed at layer `inject_index` (random if None).
        """
        latent = self.latents(
            styles,
            input_is_latent=input_is_latent,
            truncation=truncation,
            truncation_latent=truncation_latent,
            inject_index=inject_index,
            generator=generator,
        )
        picture = self.synthesis(latent, self.choose_noise(noise, randomize_noise), generator=generator)
        return picture, latent if return_latents else None

    def latents(
        self,
        styles: Sequence[Tensor],
        *,
        input_is_latent: bool = False,
        truncation: float = 1.0,
        truncation_latent: Tensor | None = None,
        inject_index: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The latents of all layers, N x L x S, of one style or a mixture of two."""
        w = list(styles) if input_is_latent else [self.style_mlp(style) for style in styles]
        if truncation < 1:
            if truncation_latent is None:
                raise UsageError(
                    "cannot truncate the styles", "no latent to pull them to", "pass truncation_latent=generator.mean_latent(4096)"
                )
            w = [truncation_latent + truncation * (each - truncation_latent) for each in w]
        if len(w) == 1:
            return w[0] if w[0].ndim == 3 else w[0][:, None].expand(-1, self.num_latent, -1)
        if inject_index is None:
            inject_index = int(torch.randint(1, self.num_latent, (1,), generator=generator, device=generator.device if generator else None))
        first = w[0][:, None].expand(-1, inject_index, -1)
        rest = w[1][:, None].expand(-1, self.num_latent - inject_index, -1)
        return torch.cat([first, rest], dim=1)

    def synthesis(
        self,
        latent: Tensor,
        noise: Noise,
        conditions: Sequence[Tensor] = (),
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """latent: N x L x S; noise: `num_layers` tensors or None; returns the picture N x 3 x R x R."""
        x = self.constant_input(latent.shape[0])
        x = self.style_conv1(x, latent[:, 0], noise[0], generator)
        picture: Tensor = self.to_rgb1(x, latent[:, 1])
        # One latent serves a level's ToRGB and the first convolution of the next.
        for level, to_rgb in enumerate(self.to_rgbs):
            i = 2 * level + 1
            x = self.style_convs[i - 1](x, latent[:, i], noise[i], generator)
            if i < len(conditions):
                x = self.transform(x, conditions[i - 1], conditions[i])
            x = self.style_convs[i](x, latent[:, i + 1], noise[i + 1], generator)
            picture = to_rgb(x, latent[:, i + 2], picture)
        return picture

    def transform(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """What conditions do to the features of their level: spatial feature transform of all channels."""
        return x * scale + shift

    def choose_noise(self, noise: Noise | None, randomize_noise: bool) -> Noise:
        """The given noise, or Nones (fresh noise at each layer), or the stored buffers."""
        if noise is not None:
            if len(noise) != self.num_layers:
                raise UsageError(
                    f"noise has {len(noise)} layers", f"this generator has {self.num_layers}", "pass one tensor or None a layer"
                )
            return noise
        return [None] * self.num_layers if randomize_noise else [self.noises.get_buffer(f"noise{i}") for i in range(self.num_layers)]

    def make_noise(self, generator: torch.Generator | None = None) -> list[Tensor]:
        """Fresh noise for all layers, each 1 x 1 x r x r."""
        where = self.constant_input.weight.device
        device = generator.device if generator is not None else where
        sides = [2 ** ((layer + 5) // 2) for layer in range(self.num_layers)]
        return [torch.randn(1, 1, side, side, device=device, generator=generator).to(where) for side in sides]

    def zero_noise(self) -> list[Tensor]:
        """No noise at any layer: the smoothest, reproducible picture."""
        return [self.constant_input.weight.new_zeros(1, 1, 1, 1)] * self.num_layers

    @torch.no_grad()
    def mean_latent(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """The mean of `count` mapped normals, 1 x S."""
        where = self.constant_input.weight.device
        z = torch.randn(count, self.num_style_feat, device=generator.device if generator is not None else where, generator=generator)
        mean: Tensor = self.style_mlp(z.to(where)).mean(0, keepdim=True)
        return mean

    def get_latent(self, z: Tensor) -> Tensor:
        """The latent w of a style z, N x S."""
        w: Tensor = self.style_mlp(z)
        return w


class StyleGAN2GeneratorSFT(StyleGAN2Generator):
    """The generator as GFPGAN's decoder: features of each level are scaled and shifted by spatial conditions.

    conditions: [scale_8, shift_8, scale_16, shift_16, ...], each N x C_r x r x r (with `sft_half`: N x C_r/2 x r x r, for the second
    half of the channels; the first half passes through). Levels without conditions pass through.
    """

    def __init__(
        self,
        out_size: int,
        num_style_feat: int = 512,
        num_mlp: int = 8,
        channel_multiplier: float = 2,
        *,
        flavour: Flavour = "clean",
        narrow: float = 1,
        channels: Mapping[int, int] | None = None,
        lr_mlp: float = 0.01,
        resample_kernel: Sequence[float] = FIR,
        sft_half: bool = False,
        colours: int = 3,
    ) -> None:
        super().__init__(
            out_size,
            num_style_feat,
            num_mlp,
            channel_multiplier,
            flavour=flavour,
            narrow=narrow,
            channels=channels,
            lr_mlp=lr_mlp,
            resample_kernel=resample_kernel,
            colours=colours,
        )
        self.sft_half = sft_half

    def forward(  # type: ignore[override]
        self,
        styles: Sequence[Tensor],
        conditions: Sequence[Tensor],
        *,
        input_is_latent: bool = False,
        noise: Noise | None = None,
        randomize_noise: bool = True,
        generator: torch.Generator | None = None,
        truncation: float = 1.0,
        truncation_latent: Tensor | None = None,
        inject_index: int | None = None,
        return_latents: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As StyleGAN2Generator.forward, with the conditions of the class."""
        latent = self.latents(
            styles,
            input_is_latent=input_is_latent,
            truncation=truncation,
            truncation_latent=truncation_latent,
            inject_index=inject_index,
            generator=generator,
        )
        picture = self.synthesis(latent, self.choose_noise(noise, randomize_noise), conditions, generator=generator)
        return picture, latent if return_latents else None

    def transform(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        scale, shift = scale.to(x.dtype), shift.to(x.dtype)
        if not self.sft_half:
            return x * scale + shift
        kept, changed = x[:, : x.shape[1] // 2], x[:, x.shape[1] // 2 :]
        return torch.cat([kept, changed * scale + shift], dim=1)


class StyleGAN2Discriminator(nn.Module):
    """Pictures N x 3 x R x R to raw scores N x 1; original flavour only."""

    def __init__(
        self,
        out_size: int,
        channel_multiplier: float = 2,
        *,
        resample_kernel: Sequence[float] = FIR,
        stddev_group: int = 4,
        narrow: float = 1,
        channels: Mapping[int, int] | None = None,
    ) -> None:
        super().__init__()
        table = channel_table(out_size, channel_multiplier, narrow, channels)
        self.stddev_group = stddev_group
        sides = [2**level for level in range(_log2(out_size), 1, -1)]
        self.conv_body = nn.Sequential(
            ConvLayer(3, table[out_size], 1),
            *(ResBlock(table[side], table[side // 2], resample_kernel) for side in sides[:-1]),
        )
        c = table[4]
        self.final_conv = ConvLayer(c + 1, c, 3)
        self.final_linear = nn.Sequential(EqualLinear(c * 16, c, activate=True), EqualLinear(c, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_body(x)
        x = torch.cat([x, minibatch_stddev(x, self.stddev_group)], dim=1)
        score: Tensor = self.final_linear(self.final_conv(x).flatten(1))
        return score


def minibatch_stddev(x: Tensor, group: int = 4) -> Tensor:
    """How much the pictures of a group differ, as one more channel N x 1 x H x W (Karras et al. 2018, section 3).

    Samples i, i + N/group, i + 2N/group, ... form a group. A batch that `group` does not divide gets the largest group that does.
    """
    n, c, h, w = x.shape
    group = next(size for size in range(min(n, group), 0, -1) if n % size == 0)
    y = x.float().view(group, n // group, c, h, w)
    spread = torch.sqrt(y.var(dim=0, unbiased=False) + 1e-8).mean(dim=(1, 2, 3))
    return spread.repeat(group).view(n, 1, 1, 1).expand(n, 1, h, w).to(x.dtype)


class PixelNorm(nn.Module):
    """Divide by the root mean square over dim 1. For N x L x S that is the layer axis: the published programs do that too."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class ConstantInput(nn.Module):
    """The learned 4 x 4 beginning of every picture."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, channels, 4, 4))

    def forward(self, batch: int) -> Tensor:
        return self.weight.expand(batch, -1, -1, -1)


def mapping_network(style_dim: int, depth: int, flavour: Flavour, lr_mlp: float = 0.01) -> nn.Sequential:
    """z to w: pixel norm and `depth` linear layers of S x S. In "clean" the activations have positions of their own."""
    layers: list[nn.Module] = [PixelNorm()]
    for _ in range(depth):
        if flavour == "clean":
            linear = nn.Linear(style_dim, style_dim)
            nn.init.kaiming_normal_(linear.weight, a=SLOPE)
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.LeakyReLU(SLOPE)]
        else:
            layers.append(EqualLinear(style_dim, style_dim, lr_mul=lr_mlp, activate=True))
    return nn.Sequential(*layers)


def channel_table(
    out_size: int, channel_multiplier: float = 2, narrow: float = 1, channels: Mapping[int, int] | None = None
) -> dict[int, int]:
    """Channels of each resolution 4..out_size: 512 up to 32 px, then 256 * channel_multiplier, halved with every level; times `narrow`.

    channels: entries that replace those of the table. Raises UsageError for an out_size that is no power of two and for empty layers.
    """
    log_size = _log2(out_size)
    table = {
        2**level: int(512 * narrow) if level <= 5 else int(2 ** (14 - level) * channel_multiplier * narrow)
        for level in range(2, log_size + 1)
    }
    given = {int(side): int(count) for side, count in (channels or {}).items()}
    if unknown := sorted(set(given) - set(table)):
        raise UsageError(f"channels are given for {unknown} px", f"the network has the resolutions {sorted(table)}", "remove the others")
    table |= given
    if empty := sorted(side for side, count in table.items() if count < 1):
        raise UsageError(f"the network would have no channels at {empty} px", "narrow or channels is too small", "use larger values")
    return table


def _log2(out_size: int) -> int:
    if out_size < 8 or out_size & (out_size - 1):
        raise UsageError(f"out_size is {out_size}", "it must be a power of two, 8 or more", "use 128, 256, 512, ...")
    return int(math.log2(out_size))
