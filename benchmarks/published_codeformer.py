"""CodeFormer as its published program computes it, for comparison, and random weights under which it makes a picture."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from facewright.nets.codeformer import CodeFormer

State = dict[str, Tensor]


class PublishedCodeFormer:
    """The forward of the published program over a state dict, literally: NCHW, float32, all maps kept, attention with its weights made,
    softmax and topk, codes by a product with one-hot rows.

    net: tells sizes only. logits: the last ones, N x T x K.
    """

    def __init__(self, state: State, net: CodeFormer, heads: int = 8) -> None:
        self.state, self.heads = state, heads
        self.enc_taps, self.dec_taps = ({index: side for side, index in part.taps.items()} for part in (net.encoder, net.generator))
        self.connected = set(net.connect_list)
        self.logits = torch.empty(0)

    def __call__(self, x: Tensor, w: float, adain: bool = True) -> Tensor:
        kept: dict[int, Tensor] = {}
        for i in range(self.count("encoder")):
            x = self.block(f"encoder.blocks.{i}", x, up=False)
            if i in self.enc_taps:
                kept[self.enc_taps[i]] = x.clone()
        features = x
        codes = self.codes(features)
        x = self.moved(codes, features) if adain else codes
        for i in range(self.count("generator")):
            x = self.block(f"generator.blocks.{i}", x, up=True)
            side = self.dec_taps.get(i)
            if side in self.connected and w > 0:
                name = f"fuse_convs_dict.{side}"
                seen = self.residual(f"{name}.encode_enc", torch.cat([kept[side], x], dim=1))
                scale, shift = (
                    self.conv(f"{name}.{kind}.2", F.leaky_relu(self.conv(f"{name}.{kind}.0", seen), 0.2, True))
                    for kind in ("scale", "shift")
                )
                x = x + w * (x * scale + shift)
        return x

    def codes(self, features: Tensor) -> Tensor:
        s, (n, c, height, width) = self.state, features.shape
        position = s["position_emb"].unsqueeze(1).repeat(1, n, 1)
        query = F.linear(features.flatten(2).permute(2, 0, 1), s["feat_emb.weight"], s["feat_emb.bias"])
        layers = 1 + max(int(name.split(".")[1]) for name in s if name.startswith("ft_layers."))
        for i in range(layers):
            query = self.layer(f"ft_layers.{i}", query, position)
        query = F.layer_norm(query, query.shape[-1:], s["idx_pred_layer.0.weight"], s["idx_pred_layer.0.bias"])
        self.logits = F.linear(query, s["idx_pred_layer.1.weight"]).permute(1, 0, 2)
        _, top = torch.topk(F.softmax(self.logits, dim=2), 1, dim=2)
        book = s["quantize.embedding.weight"]
        one_hot = torch.zeros(top.numel(), book.shape[0]).scatter_(1, top.reshape(-1, 1), 1)
        return (one_hot @ book).view(n, height, width, c).permute(0, 3, 1, 2).contiguous()

    def layer(self, name: str, x: Tensor, position: Tensor) -> Tensor:
        s = self.state

        def norm(which: str, x: Tensor) -> Tensor:
            return F.layer_norm(x, x.shape[-1:], s[f"{name}.{which}.weight"], s[f"{name}.{which}.bias"])

        def linear(which: str, x: Tensor) -> Tensor:
            return F.linear(x, s[f"{name}.{which}.weight"], s[f"{name}.{which}.bias"])

        value = norm("norm1", x)
        weights, biases = (s[f"{name}.self_attn.in_proj_{kind}"].chunk(3) for kind in ("weight", "bias"))
        seen_by = (value + position, value + position, value)
        query, key, value = (F.linear(*each) for each in zip(seen_by, weights, biases, strict=True))
        tokens, n, channels = x.shape
        query, key, value = (each.contiguous().view(tokens, n * self.heads, -1).transpose(0, 1) for each in (query, key, value))
        share = F.softmax(query * query.shape[-1] ** -0.5 @ key.transpose(1, 2), dim=-1)
        seen = (share @ value).transpose(0, 1).contiguous().view(tokens, n, channels)
        x = x + linear("self_attn.out_proj", seen)
        return x + linear("linear2", F.gelu(linear("linear1", norm("norm2", x))))

    def block(self, name: str, x: Tensor, *, up: bool) -> Tensor:
        s = self.state
        if f"{name}.norm1.weight" in s:
            return self.residual(name, x)
        if f"{name}.q.weight" in s:
            return self.attention(name, x)
        if f"{name}.conv.weight" in s and up:
            return self.conv(f"{name}.conv", F.interpolate(x, scale_factor=2.0, mode="nearest"))
        if f"{name}.conv.weight" in s:
            return F.conv2d(F.pad(x, (0, 1, 0, 1)), s[f"{name}.conv.weight"], s[f"{name}.conv.bias"], stride=2)
        return self.norm(name, x) if s[f"{name}.weight"].ndim == 1 else self.conv(name, x)

    def residual(self, name: str, x: Tensor) -> Tensor:
        def swish(x: Tensor) -> Tensor:
            return x * torch.sigmoid(x)

        y = self.conv(f"{name}.conv1", swish(self.norm(f"{name}.norm1", x)))
        y = self.conv(f"{name}.conv2", swish(self.norm(f"{name}.norm2", y)))
        return y + (self.conv(f"{name}.conv_out", x) if f"{name}.conv_out.weight" in self.state else x)

    def attention(self, name: str, x: Tensor) -> Tensor:
        n, c, height, width = x.shape
        h = self.norm(f"{name}.norm", x)
        q, k, v = (self.conv(f"{name}.{each}", h).reshape(n, c, -1) for each in "qkv")
        share = F.softmax(torch.bmm(q.permute(0, 2, 1), k) * c**-0.5, dim=2)
        seen = torch.bmm(v, share.permute(0, 2, 1)).reshape(n, c, height, width)
        return x + self.conv(f"{name}.proj_out", seen)

    def norm(self, name: str, x: Tensor) -> Tensor:
        return F.group_norm(x, 32, self.state[f"{name}.weight"], self.state[f"{name}.bias"], 1e-6)

    def conv(self, name: str, x: Tensor) -> Tensor:
        weight = self.state[f"{name}.weight"]
        return F.conv2d(x, weight, self.state[f"{name}.bias"], padding=weight.shape[-1] // 2)

    def count(self, part: str) -> int:
        return 1 + max(int(name.split(".")[2]) for name in self.state if name.startswith(f"{part}.blocks."))

    @staticmethod
    def moved(content: Tensor, style: Tensor) -> Tensor:
        def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
            flat = x.view(*x.shape[:2], -1)
            return flat.mean(dim=2)[..., None, None], (flat.var(dim=2) + 1e-5).sqrt()[..., None, None]

        (mean, deviation), (wanted_mean, wanted) = statistics(content), statistics(style)
        return (content - mean.expand(content.size())) / deviation.expand(content.size()) * wanted + wanted_mean


def random_codeformer(net: CodeFormer, seed: int = 0) -> State:
    """Random weights under which maps keep their size and the output is about as bright as a picture.

    Every residual branch adds half a deviation to a map of about one, and the norms take out what adds up.
    """
    random = torch.Generator().manual_seed(seed)
    last = f"generator.blocks.{len(net.generator.blocks) - 1}.weight"
    state = {}
    for name, value in net.state_dict().items():
        center, deviation = 0.0, 0.05
        if name in ("position_emb", "quantize.embedding.weight"):
            deviation = 0.5 if name == "position_emb" else 1.0
        elif value.ndim == 1 and name.endswith("weight"):  # norms
            center, deviation = 1.0, 0.1
        elif value.ndim > 1:
            gain = 0.5 if name == last or ".conv2." in name or "out" in name else 0.3 if ".2.weight" in name and "fuse" in name else 1.0
            deviation = gain / math.sqrt(value[0].numel())
        state[name] = center + deviation * torch.randn(value.shape, generator=random)
    return state
