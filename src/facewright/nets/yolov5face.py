"""YOLOv5-face: boxes, scores and five points of all faces of a picture, from three maps of anchors.

Qi, Tan, Yao, Liu, "YOLO5Face: Why Reinventing a Face Detector", 2021, arXiv:2105.12931. The two sizes that CodeFormer's program offers,
n and l; the layers bear the numbers of the published files, which load unchanged.

Input is N x 3 x H x W red, green, blue in [0, 1], H and W multiples of 32; `faces.yolo.letterbox` makes any picture so.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.errors import UsageError

Size = Literal["n", "l"]

STRIDES = (8, 16, 32)
"""Pixels per cell of the three maps."""
ANCHORS = (((4, 5), (8, 10), (13, 16)), ((23, 29), (43, 55), (73, 105)), ((146, 217), (231, 300), (335, 433)))
"""Width and height of the three anchors of each map, in pixels."""
VALUES = 16
"""Of an anchor: centre x, y, width, height, that there is an object, five points x, y, that the object is a face."""


class YoloV5Face(nn.Module):
    """size: "n" (ShuffleNet v2 body, 1.7 million numbers) or "l" (CSP body, 47 million), the two of which weights are published."""

    def __init__(self, size: Size = "n") -> None:
        super().__init__()
        if size not in ("n", "l"):
            raise UsageError(f"there is no YOLOv5-face of size {size!r}", "", "use n or l")
        layers = _shuffle_layers() if size == "n" else _csp_layers()
        self.sources = [sources for sources, _ in layers]
        self.model = nn.ModuleList(layer for _, layer in layers)

    def forward(self, x: Tensor) -> Tensor:
        """N x K x 16: of each anchor the centre, width and height in pixels, objectness, five points in pixels, face or not.

        The finest map first; of a map anchor by anchor, and of an anchor row by row. Objectness and face are probabilities.
        """
        detect = self.model[-1]
        assert isinstance(detect, Detect)
        return torch.cat([detect.decode(level, raw).flatten(1, 3) for level, raw in enumerate(self.maps(x))], dim=1)

    def maps(self, x: Tensor) -> list[Tensor]:
        """What the three heads say before it is decoded: N x 3 x h x w x 16 each, the finest first."""
        made: list[Tensor] = []
        *body, detect = zip(self.sources, self.model, strict=True)
        for sources, layer in body:
            x = layer(*[made[source] for source in sources]) if sources else layer(x)
            made.append(x)
        levels: list[Tensor] = detect[1]([made[source] for source in detect[0]])
        return levels


class Detect(nn.Module):
    """The heads. widths: channels of the three maps. `anchors` (in cells) only stands in the files; `anchor_grid` has the pixels."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        anchors = torch.tensor(ANCHORS, dtype=torch.float32)
        self.anchors: Tensor
        self.anchor_grid: Tensor
        self.register_buffer("anchors", anchors / torch.tensor(STRIDES, dtype=torch.float32)[:, None, None])
        self.register_buffer("anchor_grid", anchors.view(3, 1, 3, 1, 1, 2))
        self.m = nn.ModuleList(nn.Conv2d(width, 3 * VALUES, 1) for width in widths)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        return [head(x).unflatten(1, (3, VALUES)).permute(0, 1, 3, 4, 2) for head, x in zip(self.m, levels, strict=True)]

    def decode(self, level: int, raw: Tensor) -> Tensor:
        """raw: N x 3 x h x w x 16 of a map; the same in pixels and probabilities. Points are not bounded by their anchor."""
        height, width = raw.shape[2:4]
        anchor, stride = self.anchor_grid[level], STRIDES[level]
        rows, columns = torch.meshgrid(*(torch.arange(n, dtype=raw.dtype, device=raw.device) for n in (height, width)), indexing="ij")
        cell = torch.stack([columns, rows], dim=-1)
        centre = (2 * raw[..., 0:2].sigmoid() - 0.5 + cell) * stride
        sides = (2 * raw[..., 2:4].sigmoid()) ** 2 * anchor
        points = raw[..., 5:15].reshape(*raw.shape[:4], 5, 2) * anchor[..., None, :] + cell[..., None, :] * stride
        return torch.cat([centre, sides, raw[..., 4:5].sigmoid(), points.flatten(-2), raw[..., 15:].sigmoid()], dim=-1)


# The two layer lists: (numbers of the layers it takes, or () for the one before; layer) -------------------------------------------------

Layers = list[tuple[tuple[int, ...], nn.Module]]


def _shuffle_layers() -> Layers:
    body: list[nn.Module] = [Stem(32)]
    for before, width, repeats in ((32, 128, 3), (128, 256, 7), (256, 512, 3)):
        body += [Shuffle(before, width, stride=2), nn.Sequential(*(Shuffle(width, width) for _ in range(repeats)))]
    return [
        *(((), layer) for layer in body),  # 0 to 6
        ((), Conv(512, 128)),
        ((), _doubled()),
        ((8, 4), Concat()),
        ((), C3(384, 128, shortcut=False)),
        ((), Conv(128, 128)),
        ((), _doubled()),
        ((12, 2), Concat()),
        ((), C3(256, 128, shortcut=False)),  # 14, the finest map
        ((), Conv(128, 128, 3, stride=2)),
        ((15, 11), Concat()),
        ((), C3(256, 128, shortcut=False)),
        ((), Conv(128, 128, 3, stride=2)),
        ((18, 7), Concat()),
        ((), C3(256, 128, shortcut=False)),
        ((14, 17, 20), Detect((128, 128, 128))),
    ]


def _csp_layers() -> Layers:
    return [
        ((), Stem(64)),
        ((), C3(64, 128, 3)),
        ((), Conv(128, 256, 3, stride=2)),
        ((), C3(256, 256, 9)),
        ((), Conv(256, 512, 3, stride=2)),
        ((), C3(512, 512, 9)),
        ((), Conv(512, 1024, 3, stride=2)),
        ((), SPP(1024, 1024)),
        ((), C3(1024, 1024, 3, shortcut=False)),
        ((), Conv(1024, 512)),
        ((), _doubled()),
        ((10, 5), Concat()),
        ((), C3(1024, 512, 3, shortcut=False)),
        ((), Conv(512, 256)),
        ((), _doubled()),
        ((14, 3), Concat()),
        ((), C3(512, 256, 3, shortcut=False)),  # 16, the finest map
        ((), Conv(256, 256, 3, stride=2)),
        ((17, 13), Concat()),
        ((), C3(512, 512, 3, shortcut=False)),
        ((), Conv(512, 512, 3, stride=2)),
        ((20, 9), Concat()),
        ((), C3(1024, 1024, 3, shortcut=False)),
        ((16, 19, 22), Detect((256, 512, 1024))),
    ]


def _doubled() -> nn.Module:
    return nn.Upsample(scale_factor=2, mode="nearest")


# Blocks ---------------------------------------------------------------------------------------------------------------------------------


class Conv(nn.Module):
    """Convolution, batch norm, SiLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 1, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(self.bn(self.conv(x)))


class Concat(nn.Module):
    """Along the channels."""

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, dim=1)


class Stem(nn.Module):
    """N x 3 x H x W to N x width x H/4 x W/4: a strided convolution, then another beside a max pool."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem_1 = Conv(3, width, 3, stride=2)
        self.stem_2a = Conv(width, width // 2)
        self.stem_2b = Conv(width // 2, width, 3, stride=2)
        self.stem_3 = Conv(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_1(x)
        y: Tensor = self.stem_3(torch.cat([self.stem_2b(self.stem_2a(x)), F.max_pool2d(x, 2, ceil_mode=True)], dim=1))
        return y


class Shuffle(nn.Module):
    """ShuffleNet v2's block (Ma et al. 2018): one half of the channels goes by, or with stride 2 all of them go both ways."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        half = out_channels // 2
        self.stride = stride
        self.branch1 = nn.Sequential(*_depthwise(in_channels, 2), *_pointwise(in_channels, half)) if stride > 1 else nn.Sequential()
        self.branch2 = nn.Sequential(
            *_pointwise(in_channels if stride > 1 else half, half), *_depthwise(half, stride), *_pointwise(half, half)
        )

    def forward(self, x: Tensor) -> Tensor:
        by, through = (x, x) if self.stride > 1 else x.chunk(2, dim=1)
        y = torch.stack([self.branch1(by), self.branch2(through)], dim=2)
        return y.flatten(1, 2)  # the channels of the two ways by turns


class C3(nn.Module):
    """Cross-stage block: `repeats` bottlenecks on half the channels, beside the other half. shortcut: each bottleneck adds its input."""

    def __init__(self, in_channels: int, out_channels: int, repeats: int = 1, *, shortcut: bool = True) -> None:
        super().__init__()
        half = out_channels // 2
        self.cv1 = Conv(in_channels, half)
        self.cv2 = Conv(in_channels, half)
        self.cv3 = Conv(2 * half, out_channels)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut) for _ in range(repeats)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], dim=1))
        return y


class Bottleneck(nn.Module):
    def __init__(self, width: int, shortcut: bool) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.cv1 = Conv(width, width)
        self.cv2 = Conv(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cv2(self.cv1(x))
        return x + y if self.shortcut else y


class SPP(nn.Module):
    """Max pools of several reaches beside what they pool (He et al. 2014)."""

    def __init__(self, in_channels: int, out_channels: int, reaches: tuple[int, ...] = (3, 5, 7)) -> None:
        super().__init__()
        self.reaches = reaches
        self.cv1 = Conv(in_channels, in_channels // 2)
        self.cv2 = Conv(in_channels // 2 * (1 + len(reaches)), out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cv1(x)
        y: Tensor = self.cv2(torch.cat([x, *(F.max_pool2d(x, reach, 1, reach // 2) for reach in self.reaches)], dim=1))
        return y


def _depthwise(width: int, stride: int) -> list[nn.Module]:
    """3 x 3 in each channel, batch norm."""
    return [nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False), nn.BatchNorm2d(width)]


def _pointwise(in_channels: int, out_channels: int) -> list[nn.Module]:
    """1 x 1 across the channels, batch norm, SiLU."""
    return [nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels), nn.SiLU()]
