"""RestoreFormer and RestoreFormer++: faces restored by attention between a degraded picture and a dictionary of clean ones.

Wang, Zhang, Chen, Wang, Luo, "RestoreFormer: High-Quality Blind Face Restoration from Undegraded Key-Value Pairs", CVPR 2022,
arXiv:2201.06374; Wang et al., "RestoreFormer++", TPAMI 2023, arXiv:2308.07228.
Loads the published RestoreFormer.pth (GFPGAN's copy), RestoreFormer.ckpt and RestoreFormer++.ckpt: module names are theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from facewright.errors import InputError
from facewright.nets.blocks.autoencoder import CrossAttention, DoublingConv, HalvingConv, SwishResBlock, group_norm
from facewright.nets.blocks.codebook import NearestCode


@dataclass(frozen=True)
class Coded:
    """A restoration and how it came about.

    picture: N x 3 x R x R, about [-1, 1], not clamped. codebook_loss: a number. codes: N x h x w, numbers of the dictionary's entries.
    features: the encoder's: "in", "block_L" after each level but the last, "block_L_atten" of the last level, "mid_atten", "out".
    """

    picture: Tensor
    codebook_loss: Tensor
    codes: Tensor
    features: dict[str, Tensor]


class RestoreFormer(nn.Module):
    """Restore aligned faces, N x 3 x R x R in [-1, 1], R = resolution.

    n_embed, embed_dim: number and width of the dictionary's entries. ch, ch_mult: channels of the finest level, and their multiple at each.
    attn_resolutions: sides of the maps with attention. head_size: the number of heads (its published name). ex_multi_scale_num: 1 gives the
    decoder attention at twice that side, too: RestoreFormer++ is head_size=4, ex_multi_scale_num=1.
    cross_attention False: the decoder looks at itself alone; that is the autoencoder of the first stage, which learns the dictionary.
    fix_...: that part does not learn.
    """

    def __init__(
        self,
        n_embed: int = 1024,
        embed_dim: int = 256,
        ch: int = 64,
        out_ch: int = 3,
        ch_mult: Sequence[int] = (1, 2, 2, 4, 4, 8),
        num_res_blocks: int = 2,
        attn_resolutions: Sequence[int] = (16,),
        in_channels: int = 3,
        resolution: int = 512,
        z_channels: int = 256,
        fix_decoder: bool = False,
        fix_codebook: bool = False,
        fix_encoder: bool = False,
        head_size: int = 8,
        ex_multi_scale_num: int = 0,
        cross_attention: bool = True,
    ) -> None:
        super().__init__()
        self.resolution, self.cross_attention = resolution, cross_attention
        widths = [ch * multiple for multiple in ch_mult]
        decoder_attention = [*attn_resolutions, *[attn_resolutions[-1] * 2] * bool(ex_multi_scale_num)]
        self.encoder = Encoder(in_channels, widths, num_res_blocks, attn_resolutions, resolution, z_channels, head_size)
        self.decoder = Decoder(out_ch, widths, num_res_blocks + 1, decoder_attention, resolution, z_channels, head_size)
        self.quantize = NearestCode(n_embed, embed_dim)
        self.quant_conv = nn.Conv2d(z_channels, embed_dim, 1)
        self.post_quant_conv = nn.Conv2d(embed_dim, z_channels, 1)
        decoding = (self.decoder, self.post_quant_conv)
        frozen = [*([self.encoder] if fix_encoder else []), *([self.quantize] if fix_codebook else []), *(decoding if fix_decoder else ())]
        for part in frozen:
            part.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """x: N x 3 x R x R in [-1, 1]. The restored picture, of the same size, not clamped. Raises InputError for another size."""
        return self.code(x).picture

    def code(self, x: Tensor) -> Coded:
        """As `forward`, with the codes, their loss and the encoder's features."""
        if x.shape[2:] != (self.resolution, self.resolution):
            size = f"{x.shape[3]} x {x.shape[2]}"
            raise InputError(f"cannot restore a crop of {size} px", f"this RestoreFormer takes {self.resolution} px", "resize it first")
        features = self.encoder(x)
        codes, loss, numbers = self.quantize(self.quant_conv(features["out"]))
        picture = self.decoder(self.post_quant_conv(codes), features if self.cross_attention else {})
        return Coded(picture, loss, numbers, features)


class Encoder(nn.Module):
    """widths: channels of the levels, finest first; the last is not halved further."""

    def __init__(
        self, inputs: int, widths: Sequence[int], blocks: int, attend: Sequence[int], resolution: int, z_channels: int, heads: int
    ) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.down = nn.ModuleList()
        for level, width in enumerate(widths):
            before = widths[max(level - 1, 0)]
            part = Level(before, width, blocks, heads if resolution >> level in attend else 0)
            if level < len(widths) - 1:
                part.downsample = HalvingConv(width)
            self.down.append(part)
        self.mid = Middle(widths[-1], heads)
        self.norm_out = group_norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = {"in": (h := self.conv_in(x))}
        last = len(self.down) - 1
        for level, part in enumerate(self.down):
            h = part(h)
            if level < last:
                features[f"block_{level}"] = h
                h = cast(Level, part).downsample(h)
        # this one is taken behind the middle's first block, whatever its name says
        features[f"block_{last}_atten"] = h = self.mid.block_1(h)
        features["mid_atten"] = h = self.mid.block_2(self.mid.attn_1(h))
        features["out"] = self.conv_out(F.silu(self.norm_out(h)))
        return features


class Decoder(nn.Module):
    """widths: channels of the levels, finest first, as in the encoder; works from the last to the first."""

    def __init__(
        self, outputs: int, widths: Sequence[int], blocks: int, attend: Sequence[int], resolution: int, z_channels: int, heads: int
    ) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(z_channels, widths[-1], 3, padding=1)
        self.mid = Middle(widths[-1], heads)
        self.up = nn.ModuleList()
        for level, width in enumerate(widths):
            before = widths[min(level + 1, len(widths) - 1)]
            part = Level(before, width, blocks, heads if resolution >> level in attend else 0)
            if level > 0:
                part.upsample = DoublingConv(width)
            self.up.append(part)
        self.norm_out = group_norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], outputs, 3, padding=1)

    def forward(self, z: Tensor, features: dict[str, Tensor]) -> Tensor:
        """z: N x Z x h x w. features: the encoder's, which guide the attention; without them it is self-attention."""
        h = self.mid.block_1(self.conv_in(z))
        h = self.mid.block_2(self.mid.attn_1(h, features.get("mid_atten")))
        for level in range(len(self.up) - 1, -1, -1):
            part = cast(Level, self.up[level])
            h = part(h, features.get(f"block_{level}_atten", features.get(f"block_{level}")))
            if level > 0:
                h = part.upsample(h)
        picture: Tensor = self.conv_out(F.silu(self.norm_out(h)))
        return picture


class Level(nn.Module):
    """Residual blocks of one size, each with attention behind it where `heads` is not 0; the owner adds `downsample` or `upsample`."""

    downsample: HalvingConv
    upsample: DoublingConv

    def __init__(self, inputs: int, outputs: int, blocks: int, heads: int) -> None:
        super().__init__()
        self.block = nn.ModuleList(SwishResBlock(inputs if index == 0 else outputs, outputs) for index in range(blocks))
        self.attn = nn.ModuleList(CrossAttention(outputs, heads) for _ in range(blocks if heads else 0))

    def forward(self, h: Tensor, guide: Tensor | None = None) -> Tensor:
        for index, block in enumerate(self.block):
            h = block(h)
            if self.attn:
                h = self.attn[index](h, guide)
        return h


class Middle(nn.Module):
    """The coarsest part: a residual block, attention, a residual block."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.block_1 = SwishResBlock(channels, channels)
        self.attn_1 = CrossAttention(channels, heads)
        self.block_2 = SwishResBlock(channels, channels)
