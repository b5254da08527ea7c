"""The VQGAN of CodeFormer's first stage: an autoencoder whose middle is a grid of codes, and its discriminator.

Esser, Rombach, Ommer, "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021, arXiv:2012.09841, in the form of Zhou, Chan,
Li, Loy, "Towards Robust Blind Face Restoration with Codebook Lookup Transformer", NeurIPS 2022, arXiv:2206.11253.
Loads the published vqgan_code1024.pth and vqgan_discriminator.pth: module names are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from facewright.errors import InputError, UsageError
from facewright.nets.blocks.autoencoder import DoublingConv, HalvingConv, SelfAttention, SwishResBlock, group_norm
from facewright.nets.blocks.codebook import GumbelCode, NearestCode
from facewright.nets.blocks.frozen_autoencoder import frozen

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Coded:
    """A picture put through its codes.

    picture: N x 3 x S x S, about [-1, 1], not clamped. codebook_loss: a number. codes: N x h x w, numbers of the codebook's entries.
    features: N x emb_dim x h x w, the encoder's, before each became a code.
    """

    picture: Tensor
    codebook_loss: Tensor
    codes: Tensor
    features: Tensor


class VQGAN(nn.Module):
    """Take aligned faces, N x 3 x S x S in [-1, 1], S = img_size, to a grid of codes and back.

    nf, ch_mult: channels of the finest level, and their multiple at each. attn_resolutions: sides of the maps with attention.
    codebook_size, emb_dim: number and width of the codes. beta: see `NearestCode`. gumbel_...: see `GumbelCode`.
    fold: ours: the picture is folded fold x fold into its channels (pixel unshuffle) and the network works on a map of S / fold pixels,
    as in `GFPGAN`; on a processor the largest maps cost the most. Sides of maps are then those of the folded picture's.
    """

    def __init__(
        self,
        img_size: int = 512,
        nf: int = 64,
        ch_mult: Sequence[int] = (1, 2, 2, 4, 4, 8),
        quantizer: Literal["nearest", "gumbel"] = "nearest",
        res_blocks: int = 2,
        attn_resolutions: Sequence[int] = (16,),
        codebook_size: int = 1024,
        emb_dim: int = 256,
        beta: float = 0.25,
        gumbel_straight_through: bool = False,
        gumbel_kl_weight: float = 1e-8,
        fold: int = 1,
    ) -> None:
        super().__init__()
        if fold < 1 or img_size % fold:
            raise UsageError(f"fold is {fold}", f"it does not divide img_size {img_size}", "use 1, 2 or 4")
        if quantizer not in ("nearest", "gumbel"):
            raise UsageError(f"there is no quantizer {quantizer!r}", what_to_do="use one of: nearest, gumbel")
        self.img_size, self.fold = img_size, fold
        side, colours = img_size // fold, 3 * fold**2
        self.encoder = Encoder(colours, nf, emb_dim, ch_mult, res_blocks, side, attn_resolutions)
        self.quantize: NearestCode | GumbelCode
        if quantizer == "nearest":
            self.quantize = NearestCode(codebook_size, emb_dim, beta)
        else:
            self.quantize = GumbelCode(
                codebook_size, emb_dim, emb_dim, straight_through=gumbel_straight_through, kl_weight=gumbel_kl_weight
            )
        self.generator = Generator(nf, emb_dim, ch_mult, res_blocks, side, attn_resolutions, colours)

    def forward(self, x: Tensor) -> Tensor:
        """x: N x 3 x H x W in [-1, 1], H and W multiples of the encoder's reduction. The picture again, of the same size, not clamped."""
        return self.code(x).picture

    def code(self, x: Tensor) -> Coded:
        """As `forward`, with the codes, their loss and the encoder's features."""
        features = self.encode(x)
        codes, loss, numbers = self.quantize(features)
        return Coded(self.paint(codes), loss, numbers, features)

    def encode(self, x: Tensor) -> Tensor:
        """x: N x 3 x H x W in [-1, 1]. The encoder's features N x emb_dim x h x w, before each becomes a code."""
        features: Tensor = self.encoder(F.pixel_unshuffle(x, self.fold))
        return features

    def paint(self, codes: Tensor, changes: Mapping[int, Change] | None = None) -> Tensor:
        """codes: N x emb_dim x h x w. Their picture, N x 3 x H x W, about [-1, 1], not clamped. changes: see `Generator`."""
        return F.pixel_shuffle(self.generator(codes, changes), self.fold)

    def check_size(self, x: Tensor) -> None:
        """Raises InputError for another size than S x S."""
        if x.shape[2:] != (self.img_size, self.img_size):
            size, name = f"{x.shape[3]} x {x.shape[2]}", type(self).__name__
            raise InputError(f"cannot restore a crop of {size} px", f"this {name} takes {self.img_size} px", "resize it first")


class Encoder(nn.Module):
    """N x in_channels x H x W to N x emb_dim x H/r x W/r, r = 2^(levels - 1), in one flat list of blocks.

    `resolution` alone says which levels have attention, whatever the size of the picture. Published quirk: nothing between the last norm
    and the last convolution, where the family has a swish.
    taps: {side of the map at `resolution`: the block that completes it}, the last residual block there, without the attention behind it.
    """

    def __init__(
        self,
        in_channels: int,
        nf: int,
        emb_dim: int,
        ch_mult: Sequence[int],
        num_res_blocks: int,
        resolution: int,
        attn_resolutions: Sequence[int],
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = [nn.Conv2d(in_channels, nf, 3, padding=1)]
        self.taps: dict[int, int] = {}
        width = nf
        for level, multiple in enumerate(ch_mult):
            side = resolution >> level
            for _ in range(num_res_blocks):
                self.taps[side] = len(blocks)
                blocks.append(_res_block(width, nf * multiple))
                width = nf * multiple
                blocks += [SelfAttention(width)] if side in attn_resolutions else []
            if level < len(ch_mult) - 1:
                blocks.append(HalvingConv(width))
        blocks += [*_middle(width), group_norm(width), nn.Conv2d(width, emb_dim, 3, padding=1)]
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.with_maps(x)[0]

    def with_maps(self, x: Tensor, sides: Sequence[int] = ()) -> tuple[Tensor, dict[int, Tensor]]:
        """Also the maps of these sides, {side: N x C x side x side}, for pictures of `resolution`."""
        wanted = {self.taps[side]: side for side in sides}
        maps = {}
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in wanted:
                maps[wanted[number]] = x
        return x, maps


class Generator(nn.Module):
    """N x emb_dim x h x w to N x out_channels x rh x rw, the encoder turned round.

    Published quirks: as many residual blocks a level as the encoder has, where the family has one more; and no swish before the last
    convolution. taps: {side of the map at `img_size`: the block behind which it may be changed}, where its channels are first complete.
    """

    def __init__(
        self,
        nf: int,
        emb_dim: int,
        ch_mult: Sequence[int],
        res_blocks: int,
        img_size: int,
        attn_resolutions: Sequence[int],
        out_channels: int = 3,
    ) -> None:
        super().__init__()
        width = nf * ch_mult[-1]
        blocks: list[nn.Module] = [nn.Conv2d(emb_dim, width, 3, padding=1), *_middle(width)]
        self.taps: dict[int, int] = {}
        for level in range(len(ch_mult) - 1, -1, -1):
            side = img_size >> level
            for index in range(res_blocks):
                if index == 0 or level == len(ch_mult) - 1:
                    self.taps[side] = len(blocks)
                blocks.append(_res_block(width, nf * ch_mult[level]))
                width = nf * ch_mult[level]
                blocks += [SelfAttention(width)] if side in attn_resolutions else []
            if level > 0:
                blocks.append(DoublingConv(width))
        blocks += [group_norm(width), nn.Conv2d(width, out_channels, 3, padding=1)]
        self.blocks = nn.ModuleList(blocks)

    def forward(self, z: Tensor, changes: Mapping[int, Change] | None = None) -> Tensor:
        """changes: {side: what is made of the map of that side before it goes on}."""
        due = {self.taps[side]: change for side, change in (changes or {}).items()}
        for number, block in enumerate(self.blocks):
            z = block(z)
            if number in due:
                z = due[number](z)
        return z


class FrozenEncoder(Encoder):
    """An encoder for inference, with weights of its own."""

    def __init__(self, encoder: Encoder) -> None:
        nn.Module.__init__(self)
        self.taps = dict(encoder.taps)
        self.blocks = nn.ModuleList(frozen(block) for block in encoder.blocks)


class FrozenGenerator(Generator):
    """A generator for inference, with weights of its own."""

    def __init__(self, generator: Generator) -> None:
        nn.Module.__init__(self)
        self.taps = dict(generator.taps)
        self.blocks = nn.ModuleList(frozen(block) for block in generator.blocks)


class PatchDiscriminator(nn.Module):
    """How real each place of a picture looks: N x nc x H x W to N x 1 x h x w raw scores, h = H / 2^n_layers - 2, roughly.

    Strided convolutions with batch normalisation. Initialised as torch does, where taming-transformers draws from N(0, 0.02).
    """

    def __init__(self, nc: int = 3, ndf: int = 64, n_layers: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(nc, ndf, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        width = ndf
        for number in range(1, n_layers + 1):
            before, width = width, ndf * min(2**number, 8)
            layers += [
                nn.Conv2d(before, width, 4, stride=2 if number < n_layers else 1, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(0.2),
            ]
        self.main = nn.Sequential(*layers, nn.Conv2d(width, 1, 4, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.main(x)
        return scores


def _res_block(inputs: int, outputs: int) -> SwishResBlock:
    return SwishResBlock(inputs, outputs, shortcut="conv_out")


def _middle(width: int) -> list[nn.Module]:
    return [_res_block(width, width), SelfAttention(width), _res_block(width, width)]
