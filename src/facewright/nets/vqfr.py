"""VQFR: faces restored from a codebook of clean textures, which a second decoder warps to what the damaged picture shows.

Gu, Wang, Xie, Dong, Li, Shan, Cheng, "VQFR: Blind Face Restoration with Vector-Quantized Dictionary and Parallel Decoder", ECCV 2022,
arXiv:2205.06803. Loads the published VQFR_v2.pth and VQFR_v1-33a1fac5.pth: module names are theirs. Levels are named by their reduction:
Level_1 is the picture's own size, the last one that of the codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.nets.blocks.autoencoder import DoublingConv, HalvingConv, SelfAttention, SwishResBlock, group_norm
from facewright.nets.blocks.codebook import NearestCode
from facewright.nets.blocks.deformable import DeformableConv


@dataclass(frozen=True)
class Warped:
    """A restoration and how it came about.

    picture: N x 3 x H x W, about [-1, 1], not clamped. texture: the same from the codes alone. features: N x code_dim x h x w, the
    encoder's. codes: N x h x w, numbers of the codebook's entries. logits: N x T x K, scores of the codes at each of the T = h w places,
    row by row; None where the nearest codes were taken.
    """

    picture: Tensor
    texture: Tensor
    features: Tensor
    codes: Tensor
    logits: Tensor | None = None


# Version 2 -------------------------------------------------------------------------------------------------------------------------------


class VQFRv2(nn.Module):
    """Restore aligned faces, N x 3 x H x W in [-1, 1], H and W multiples of the last level's reduction.

    base_channels, channel_multipliers: channels of the finest level, and their multiple at each. code_selection_mode: codes are predicted
    from the features, or the nearest ones taken. inpfeat_dim: channels of what the warping sees of the damaged picture. resolution: the
    side that it was trained at, for those who choose a size.
    """

    def __init__(
        self,
        base_channels: int = 64,
        channel_multipliers: Sequence[int] = (1, 2, 2, 4, 4, 8),
        num_enc_blocks: int = 2,
        num_dec_blocks: int = 2,
        code_dim: int = 256,
        inpfeat_dim: int = 32,
        code_selection_mode: Literal["Predict", "Nearest"] = "Predict",
        num_code: int = 1024,
        deformable_groups: int = 4,
        resolution: int = 512,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        widths = [base_channels * multiple for multiple in channel_multipliers]
        self.encoder = Encoder(widths, num_enc_blocks, code_dim)
        self.feat2index = nn.Sequential(nn.LayerNorm(code_dim), nn.Linear(code_dim, num_code)) if code_selection_mode == "Predict" else None
        self.decoder = Decoder(widths, num_dec_blocks, code_dim)
        self.main_branch = MainBranch(widths, inpfeat_dim, deformable_groups)
        self.inpfeat_extraction = nn.Conv2d(3, inpfeat_dim, 3, padding=1)
        self.quantizer = NearestCode(num_code, code_dim)

    def forward(self, x: Tensor, fidelity_ratio: float | Tensor = 0.0) -> Tensor:
        """x: N x 3 x H x W in [-1, 1]. The restored picture, not clamped.

        fidelity_ratio: how much of the warped branch is added, 0 (the codes alone, the best looking, the published program's default) to 1
        (the most faithful), one for all or N of them.
        """
        return self.code(x, fidelity_ratio).picture

    def code(self, x: Tensor, fidelity_ratio: float | Tensor = 0.0) -> Warped:
        """As `forward`, with the texture, the codes and the encoder's features. The texture decoder gets no gradient."""
        features = self.encoder(x)
        logits = self.feat2index(features.flatten(2).transpose(1, 2)) if self.feat2index is not None else None
        numbers = self.quantizer.nearest(features) if logits is None else logits.argmax(dim=2).view(-1, *features.shape[2:])
        with torch.no_grad():
            maps = self.decoder(self.quantizer.look_up(numbers))
            texture = self.decoder.conv_out(maps[-1])
        if not isinstance(fidelity_ratio, Tensor) and fidelity_ratio == 0:
            return Warped(texture, texture, features, numbers, logits)
        ratio = fidelity_ratio.reshape(-1, 1, 1, 1).to(maps[-1]) if isinstance(fidelity_ratio, Tensor) else fidelity_ratio
        finest = maps[-1] + ratio * self.main_branch(maps, self.inpfeat_extraction(x))
        return Warped(self.decoder.conv_out(finest), texture, features, numbers, logits)


class Encoder(nn.Module):
    """N x 3 x H x W to N x code_dim x h x w; attention at the last level. widths: channels of the levels, finest first."""

    def __init__(self, widths: Sequence[int], num_blocks: int, code_dim: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.blocks = nn.ModuleList()
        for level, width in enumerate(widths):
            before, last = widths[max(level - 1, 0)], level == len(widths) - 1
            start = [HalvingConv(before)] if level > 0 else []
            self.blocks.append(nn.Sequential(*start, *_blocks(before, width, num_blocks, attend=last)))
        self.mid_blocks = _middle(widths[-1])
        self.conv_out = _finish(widths[-1], code_dim)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for level in self.blocks:
            h = level(h)
        features: Tensor = self.conv_out(self.mid_blocks(h))
        return features


class Decoder(nn.Module):
    """N x code_dim x h x w to the maps of all levels, coarsest first; `conv_out` makes a picture of the last one."""

    def __init__(self, widths: Sequence[int], num_blocks: int, code_dim: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(code_dim, widths[-1], 3, padding=1)
        self.mid_blocks = _middle(widths[-1])
        self.blocks = nn.ModuleList()
        for level in range(len(widths) - 1, -1, -1):
            before, coarsest = widths[min(level + 1, len(widths) - 1)], level == len(widths) - 1
            start = [] if coarsest else [DoublingConv(before)]
            self.blocks.append(nn.Sequential(*start, *_blocks(before, widths[level], num_blocks, attend=coarsest)))
        self.conv_out = _finish(widths[0], 3)

    def forward(self, codes: Tensor) -> list[Tensor]:
        h, maps = self.mid_blocks(self.conv_in(codes)), []
        for level in self.blocks:
            h = level(h)
            maps.append(h)
        return maps


class MainBranch(nn.Module):
    """The texture's maps warped to the damaged picture, from the coarsest level up: N x widths[0] x H x W."""

    def __init__(self, widths: Sequence[int], inpfeat_dim: int, groups: int) -> None:
        super().__init__()
        self.decoder_dict, self.pre_upsample_dict, self.align_func_dict = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        self.names = [f"Level_{2**level}" for level in range(len(widths) - 1, -1, -1)]
        self.align_func_dict[self.names[0]] = TextureWarping(widths[-1], inpfeat_dim, groups)
        for level, name in zip(range(len(widths) - 2, -1, -1), self.names[1:], strict=True):
            width, before = widths[level], widths[level + 1]
            self.decoder_dict[name] = SwishResBlock(2 * width, width, shortcut="residual_func")
            self.pre_upsample_dict[name] = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(before, width, 3, padding=1))
            self.align_func_dict[name] = TextureWarping(width, inpfeat_dim, groups, before)

    def forward(self, maps: Sequence[Tensor], seen: Tensor) -> Tensor:
        """maps: the texture's, coarsest first; seen: N x inpfeat_dim x H x W, of the damaged picture."""
        x, offset = self.align_func_dict[self.names[0]](maps[0], _resized(seen, maps[0]))
        for name, texture in zip(self.names[1:], maps[1:], strict=True):
            warped, offset = self.align_func_dict[name](texture, _resized(seen, texture), offset)
            x = self.decoder_dict[name](torch.cat([self.pre_upsample_dict[name](x), warped], dim=1))
        return cast(Tensor, x)


class TextureWarping(nn.Module):
    """Warp a map of the texture to the damaged picture. before: channels of the offsets of the next coarser level, if there is one.

    shrink: by how much the damaged picture's features are first brought down, for version 1, which convolves them then.
    """

    def __init__(self, channels: int, inpfeat_dim: int, groups: int, before: int = 0, *, shrink: int = 1) -> None:
        super().__init__()
        if shrink > 1:
            self.downsample = ResizedConv(inpfeat_dim, inpfeat_dim, 1 / shrink)
        self.offset_conv1 = nn.Sequential(
            nn.Conv2d(channels + inpfeat_dim, channels, 1),
            group_norm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            group_norm(channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 1),
        )
        self.offset_conv2 = nn.Sequential(nn.Conv2d(channels + before, channels, 3, padding=1), group_norm(channels), nn.SiLU())
        self.dcn = DeformableConv(channels, channels, groups=groups)

    def forward(self, texture: Tensor, seen: Tensor, coarser: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """texture: N x C x H x W; seen: N x inpfeat_dim x H x W; coarser: N x before x H/2 x W/2. Returns the warped texture and the offset
        features, N x C x H x W each."""
        offset = self.offset_conv1(torch.cat([seen, texture], dim=1))
        if coarser is not None:
            # pixels of the coarser level are twice as large
            offset = torch.cat([offset, 2 * _enlarged(coarser)], dim=1)
        offset = self.offset_conv2(offset)
        return self.dcn(texture, offset), offset


# Version 1 -------------------------------------------------------------------------------------------------------------------------------


class VQFRv1(nn.Module):
    """The first version, which has no attention, resamples bilinearly, takes the nearest codes and lets nobody choose its fidelity.

    Aligned faces, N x 3 x H x W in [-1, 1]. channel_multipliers: of each level, finest first. resolution: see `VQFRv2`.
    """

    def __init__(
        self,
        base_channels: int = 128,
        channel_multipliers: Sequence[int] = (1, 1, 2, 2, 2, 4),
        encoder_num_blocks: int = 2,
        decoder_num_blocks: int = 3,
        inpfeat_dim: int = 32,
        num_code: int = 1024,
        code_dim: int = 256,
        deformable_groups: int = 4,
        resolution: int = 512,
    ) -> None:
        super().__init__()
        self.resolution = resolution
        widths = [base_channels * multiple for multiple in channel_multipliers]
        self.inpfeat_extraction = ResizedConv(3, inpfeat_dim, 1)
        self.encoder = EncoderV1(widths, encoder_num_blocks, base_channels)
        self.decoder = DecoderV1(widths, decoder_num_blocks)
        self.main_decoder = MainDecoderV1(widths, inpfeat_dim, deformable_groups)
        self.quantizer = QuantizerV1(_name(len(widths) - 1), widths[-1], num_code, code_dim)

    def forward(self, x: Tensor) -> Tensor:
        """x: N x 3 x H x W in [-1, 1], H and W multiples of the last level's reduction. The restored picture, not clamped."""
        return self.code(x).picture

    def code(self, x: Tensor) -> Warped:
        """As `forward`, with the texture, the codes and the features that they replaced."""
        book = self.quantizer.only
        features = book.quant_conv(self.encoder(x))
        codes, _, numbers = book(features)
        maps = self.decoder(book.post_quant_conv(codes))
        picture = self.main_decoder(maps, self.inpfeat_extraction(x), x)
        return Warped(picture, self.decoder.conv_out(maps[-1]), features, numbers)


class EncoderV1(nn.Module):
    def __init__(self, widths: Sequence[int], num_blocks: int, base_channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, base_channels, 3, padding=1)
        self.encoder_dict, self.pre_downsample_dict = nn.ModuleDict(), nn.ModuleDict()
        for level, width in enumerate(widths):
            self.encoder_dict[_name(level)] = nn.Sequential(*(SwishResBlock(width, width) for _ in range(num_blocks)))
            if level > 0:
                self.pre_downsample_dict[_name(level)] = ResizedConv(widths[level - 1], width, 0.5)
        self.enc_convout_dict = nn.ModuleDict({_name(len(widths) - 1): _finish(widths[-1], widths[-1])})

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for name, level in self.encoder_dict.items():
            h = level(self.pre_downsample_dict[name](h) if name in self.pre_downsample_dict else h)
        (finish,) = self.enc_convout_dict.values()
        return cast(Tensor, finish(h))


class QuantizerV1(nn.Module):
    """The published program keeps a codebook a level, and has one."""

    def __init__(self, name: str, in_dim: int, num_code: int, code_dim: int) -> None:
        super().__init__()
        self.quantize_dict = nn.ModuleDict({name: ProjectedCode(in_dim, num_code, code_dim)})

    @property
    def only(self) -> ProjectedCode:
        return cast(ProjectedCode, next(iter(self.quantize_dict.values())))


class ProjectedCode(NearestCode):
    """Nearest codes between two projections, which the owner applies."""

    def __init__(self, in_dim: int, num_code: int, code_dim: int) -> None:
        super().__init__(num_code, code_dim)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(in_dim, code_dim, 1), nn.Conv2d(code_dim, in_dim, 1)


class DecoderV1(nn.Module):
    """Codes to the maps of all levels, coarsest first."""

    def __init__(self, widths: Sequence[int], num_blocks: int) -> None:
        super().__init__()
        self.decoder_dict, self.pre_upsample_dict = nn.ModuleDict(), nn.ModuleDict()
        for level in range(len(widths) - 1, -1, -1):
            width = widths[level]
            self.decoder_dict[_name(level)] = nn.Sequential(*(SwishResBlock(width, width) for _ in range(num_blocks)))
            if level < len(widths) - 1:
                self.pre_upsample_dict[_name(level)] = ResizedConv(widths[level + 1], width, 2)
        self.conv_out = _finish(widths[0], 3)

    def forward(self, h: Tensor) -> list[Tensor]:
        maps = []
        for name, level in self.decoder_dict.items():
            h = level(self.pre_upsample_dict[name](h) if name in self.pre_upsample_dict else h)
            maps.append(h)
        return maps


class MainDecoderV1(nn.Module):
    """As `MainBranch`, to the picture; the damaged one stands beside the last map."""

    def __init__(self, widths: Sequence[int], inpfeat_dim: int, groups: int) -> None:
        super().__init__()
        self.decoder_dict, self.pre_upsample_dict, self.align_func_dict = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
        for level in range(len(widths) - 1, -1, -1):
            name, width, coarsest = _name(level), widths[level], level == len(widths) - 1
            before = 0 if coarsest else widths[level + 1]
            self.align_func_dict[name] = TextureWarping(width, inpfeat_dim, groups, before, shrink=2**level)
            if not coarsest:
                self.decoder_dict[name] = SwishResBlock(2 * width, width, shortcut="shortcut_conv")
                self.pre_upsample_dict[name] = ResizedConv(before, width, 2)
        self.conv_out_1 = nn.Sequential(group_norm(widths[0]), nn.SiLU())
        self.conv_out = nn.Sequential(nn.Conv2d(widths[0] + 3, 3, 3, padding=1))

    def forward(self, maps: Sequence[Tensor], seen: Tensor, damaged: Tensor) -> Tensor:
        x, offset = maps[0], None
        for (name, align), texture in zip(self.align_func_dict.items(), maps, strict=True):
            align = cast(TextureWarping, align)
            warped, offset = align(texture, align.downsample(seen) if hasattr(align, "downsample") else seen, offset)
            if name in self.decoder_dict:
                x = self.decoder_dict[name](torch.cat([self.pre_upsample_dict[name](x), warped], dim=1))
            else:
                x = warped
        return cast(Tensor, self.conv_out(torch.cat([self.conv_out_1(x), damaged], dim=1)))


class ResizedConv(nn.Module):
    """A 3 x 3 convolution and a bilinear change of size, on the side where there is less to convolve."""

    def __init__(self, inputs: int, outputs: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.factor < 1:
            x = F.interpolate(x, scale_factor=self.factor, mode="bilinear", align_corners=False)
        y: Tensor = self.conv(x)
        return _enlarged(y) if self.factor > 1 else y


# What both are made of -------------------------------------------------------------------------------------------------------------------


def _blocks(inputs: int, outputs: int, count: int, *, attend: bool) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    for index in range(count):
        blocks.append(SwishResBlock(inputs if index == 0 else outputs, outputs, shortcut="residual_func"))
        blocks += [SelfAttention(outputs)] if attend else []
    return blocks


def _middle(width: int) -> nn.Sequential:
    return nn.Sequential(SwishResBlock(width, width), SelfAttention(width), SwishResBlock(width, width))


def _finish(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(group_norm(inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))


def _name(level: int) -> str:
    return f"Level_{2**level}"


def _resized(seen: Tensor, like: Tensor) -> Tensor:
    """Bilinear, without antialiasing, to the size of `like`."""
    return F.interpolate(seen, size=like.shape[2:], mode="bilinear", align_corners=False) if seen.shape[2:] != like.shape[2:] else seen


def _enlarged(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
