"""CodeFormer: faces restored by predicting the codes of their clean pictures, with a knob between quality and fidelity.

Zhou, Chan, Li, Loy, "Towards Robust Blind Face Restoration with Codebook Lookup Transformer", NeurIPS 2022, arXiv:2206.11253.
Loads the published codeformer.pth, codeformer_colorization.pth and codeformer_inpainting.pth: module names are theirs.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.nets.blocks.autoencoder import SwishResBlock
from facewright.nets.blocks.codebook import NearestCode
from facewright.nets.blocks.frozen import joined_branches
from facewright.nets.blocks.frozen_autoencoder import FrozenSwishBlock
from facewright.nets.vqgan import VQGAN, FrozenEncoder, FrozenGenerator

Task = Literal["restoration", "colorization", "inpainting"]
PUBLISHED_USE: dict[Task, tuple[float, bool]] = {"restoration": (0.5, True), "colorization": (0.0, True), "inpainting": (1.0, False)}
"""(w, adain) of the published programs. The colorization network never learned to fuse: with w above 0 it gives wrong pictures."""


@dataclass(frozen=True)
class Prediction:
    """What the network sees in a damaged face.

    logits: N x T x K, scores of the K codes at each of the T places, row by row. features: N x emb_dim x h x w, the encoder's, T = h w.
    maps: {side: N x C x side x side}, the encoder's at the connected sizes.
    """

    logits: Tensor
    features: Tensor
    maps: dict[int, Tensor]


class CodeFormer(VQGAN):
    """Restore aligned faces, N x 3 x S x S in [-1, 1], S = img_size.

    dim_embd, n_head, n_layers: width, heads and layers of the transformer. connect_list: sides of the maps at which the damaged face is
    fused in. fix_modules: those parts do not learn. task: what the network has learned, which sets what `forward` does unasked.
    The rest as in `VQGAN`; the published network has these very sizes.
    """

    def __init__(
        self,
        dim_embd: int = 512,
        n_head: int = 8,
        n_layers: int = 9,
        codebook_size: int = 1024,
        connect_list: Sequence[int | str] = (32, 64, 128, 256),
        fix_modules: Sequence[str] = ("quantize", "generator"),
        img_size: int = 512,
        nf: int = 64,
        ch_mult: Sequence[int] = (1, 2, 2, 4, 4, 8),
        res_blocks: int = 2,
        attn_resolutions: Sequence[int] = (16,),
        emb_dim: int = 256,
        task: Task = "restoration",
        fold: int = 1,
    ) -> None:
        super().__init__(img_size, nf, ch_mult, "nearest", res_blocks, attn_resolutions, codebook_size, emb_dim, fold=fold)
        self.task, self.connect_list = task, tuple(int(side) for side in connect_list)
        side = img_size // fold
        widths = {side >> level: nf * multiple for level, multiple in enumerate(ch_mult)}
        self.position_emb = nn.Parameter(torch.zeros((side >> (len(ch_mult) - 1)) ** 2, dim_embd))
        self.feat_emb = nn.Linear(emb_dim, dim_embd)
        self.ft_layers = nn.ModuleList(TransformerLayer(dim_embd, n_head, 2 * dim_embd) for _ in range(n_layers))
        self.idx_pred_layer = nn.Sequential(nn.LayerNorm(dim_embd), nn.Linear(dim_embd, codebook_size, bias=False))
        self.fuse_convs_dict = nn.ModuleDict({str(side): Fusion(widths[side]) for side in self.connect_list})
        for part in fix_modules:
            self.get_submodule(part).requires_grad_(False)

    def forward(self, x: Tensor, w: float | Tensor | None = None, *, adain: bool | None = None) -> Tensor:
        """x: N x 3 x S x S in [-1, 1]. The restored picture, of the same size, not clamped. Raises InputError for another size.

        w: how much of the damaged face is fused in, 0 (the codes alone, the best looking) to 1 (the most faithful), one for all or N of
        them; training goes to 1.3. adain: give the codes the means and deviations of the damaged face's features. None: as published
        for the task.
        """
        return self.decode(self.predict(x), w, adain=adain)

    def predict(self, x: Tensor, *, maps: bool = True) -> Prediction:
        """The first half of `forward`, which the published program calls code_only. maps: keep the encoder's; only w = 0 needs none."""
        self.check_size(x)
        features, kept = self.encoder.with_maps(F.pixel_unshuffle(x, self.fold), self.connect_list if maps else ())
        # small, and a code more or less likely by a rounding is another code: not in half precision, unless all of the network is
        with torch.autocast(x.device.type, enabled=False):
            features = features.to(self.position_emb.dtype)
            tokens = self.feat_emb(features.flatten(2).transpose(1, 2))
            for layer in self.ft_layers:
                tokens = layer(tokens, self.position_emb)
            return Prediction(self.idx_pred_layer(tokens), features, kept)

    def decode(self, prediction: Prediction, w: float | Tensor | None = None, *, adain: bool | None = None) -> Tensor:
        """The second half of `forward`. Neither the codes nor the encoder's maps get a gradient; with `adain` its features do."""
        usual_w, usual_adain = PUBLISHED_USE[self.task]
        w, adain = usual_w if w is None else w, usual_adain if adain is None else adain
        features = prediction.features
        numbers = prediction.logits.argmax(dim=2).view(features.shape[0], *features.shape[2:])
        codes = cast(NearestCode, self.quantize).look_up(numbers).detach()
        codes = adaptive_instance_norm(codes, features) if adain else codes
        if not isinstance(w, Tensor) and w <= 0:
            return self.paint(codes)
        fusions = {side: partial(self.fuse_convs_dict[str(side)], prediction.maps[side].detach(), w=w) for side in self.connect_list}
        return self.paint(codes, fusions)


def prepare(net: CodeFormer, dtype: torch.dtype = torch.float32) -> PreparedCodeFormer:
    """The same network for inference on a processor, faster: same calls, no gradients, an independent copy of the weights.

    dtype: of the fusions' convolutions, which are nearly a third of all and whose rounding hardly shows. The rest stays in float32: a
    code more or less likely by a rounding is another code, and in the blocks of the decoder roundings add up to several levels of 255.
    """
    return PreparedCodeFormer(net, dtype)


class PreparedCodeFormer(CodeFormer):
    """What `prepare` makes. The faces of a batch are restored one after the other, so that little memory is in use at a time."""

    def __init__(self, net: CodeFormer, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)
        self.task, self.connect_list, self.img_size, self.fold = net.task, net.connect_list, net.img_size, net.fold
        self.encoder, self.generator = FrozenEncoder(net.encoder), FrozenGenerator(net.generator)
        self.position_emb = nn.Parameter(net.position_emb.detach().float().clone())
        self.feat_emb, self.ft_layers = copy.deepcopy(net.feat_emb).float(), copy.deepcopy(net.ft_layers).float()
        self.idx_pred_layer, self.quantize = copy.deepcopy(net.idx_pred_layer).float(), copy.deepcopy(net.quantize).float()
        fusions = {side: cast(Fusion, net.fuse_convs_dict[str(side)]) for side in net.connect_list}
        self.fuse_convs_dict = nn.ModuleDict({str(side): FrozenFusion(fusion, dtype) for side, fusion in fusions.items()})
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, x: Tensor, w: float | Tensor | None = None, *, adain: bool | None = None) -> Tensor:
        """As CodeFormer.forward."""
        self.check_size(x)
        w = PUBLISHED_USE[self.task][0] if w is None else w
        each = w.flatten().expand(x.shape[0]).tolist() if isinstance(w, Tensor) else [w] * x.shape[0]
        x = x.float().contiguous(memory_format=torch.channels_last)
        pictures = []
        for n, own in enumerate(each):
            pictures.append(self.decode(self.predict(x[n : n + 1], maps=own > 0), own, adain=adain))
        return torch.cat(pictures)


class TransformerLayer(nn.Module):
    """Self-attention and a perceptron of `hidden` channels, each on the normalised tokens and added to them (pre-norm)."""

    def __init__(self, channels: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)

    def forward(self, tokens: Tensor, position: Tensor | None = None) -> Tensor:
        """tokens: N x T x C; position: T x C, added where places are compared and not to what is taken from them."""
        n = self.norm1(tokens)
        placed = n if position is None else n + position
        tokens = tokens + self.self_attn(placed, placed, n, need_weights=False)[0]
        change: Tensor = self.linear2(F.gelu(self.linear1(self.norm2(tokens))))
        return tokens + change


class Fusion(nn.Module):
    """Controllable feature transformation: out = dec + w (scale * dec + shift), both learned from what encoder and decoder have."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encode_enc = SwishResBlock(2 * channels, channels, shortcut="conv_out")
        self.scale, self.shift = (
            nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(channels, channels, 3, padding=1))
            for _ in range(2)
        )

    def forward(self, enc: Tensor, dec: Tensor, w: float | Tensor) -> Tensor:
        """enc, dec: N x C x H x W; w: a number, or N of them."""
        seen = self.encode_enc(torch.cat([enc, dec], dim=1))
        change: Tensor = dec * self.scale(seen) + self.shift(seen)
        return dec + (w.reshape(-1, 1, 1, 1).to(dec) if isinstance(w, Tensor) else w) * change


class FrozenFusion(nn.Module):
    """`Fusion` for inference, its convolutions in `dtype`, with weights of its own; scale and shift together."""

    def __init__(self, fusion: Fusion, dtype: torch.dtype) -> None:
        super().__init__()
        self.encode_enc = FrozenSwishBlock(fusion.encode_enc, dtype)
        self.both = joined_branches(fusion.scale, fusion.shift, dtype)

    def forward(self, enc: Tensor, dec: Tensor, w: float | Tensor) -> Tensor:
        scale, shift = self.both(self.encode_enc(torch.cat([enc, dec], dim=1))).float().chunk(2, dim=1)
        change = torch.addcmul(shift, dec, scale)
        return dec.addcmul(change, w.reshape(-1, 1, 1, 1).to(dec)) if isinstance(w, Tensor) else dec.add(change, alpha=w)


def adaptive_instance_norm(content: Tensor, style: Tensor) -> Tensor:
    """The content with the style's mean and deviation in every channel (Huang and Belongie 2017). N x C x H x W each."""
    (mean, deviation), (wanted_mean, wanted) = channel_statistics(content), channel_statistics(style)
    return (content - mean) / deviation * wanted + wanted_mean


def channel_statistics(x: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Mean and deviation over H x W, N x C x 1 x 1 each; the unbiased variance, as published, and eps under the root."""
    mean = x.mean(dim=(2, 3), keepdim=True)
    deviation: Tensor = (x.var(dim=(2, 3), keepdim=True) + eps).sqrt()
    return mean, deviation


def white_holes(x: Tensor) -> Tensor:
    """Where a picture N x 3 x H x W in [-1, 1] is pure white, which the published program takes for holes: N x 1 x H x W, 1 or 0."""
    return (x.sum(dim=1, keepdim=True) == 3).to(x)


def filled(x: Tensor, holes: Tensor, painted: Tensor) -> Tensor:
    """x outside the holes, to the bit, and what was painted in them; N x 3 x H x W and holes N x 1 x H x W, 1 or 0."""
    return torch.where(holes > 0, painted, x)
