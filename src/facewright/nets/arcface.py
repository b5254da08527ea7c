"""ArcFace ResNet-18 on grey pictures: the identity network of GFPGAN's training.

Deng, Guo, Xue, Zafeiriou, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019, arXiv:1801.07698; the
"improved residual" blocks of its section 3.2 on a ResNet with 64 to 512 planes. Module names are those of `arcface_resnet18.pth`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

INPUT_SIZE = 128
PLANES = (64, 128, 256, 512)


class ResNetArcFace(nn.Module):
    """N x 1 x 128 x 128 grey pictures in [-1, 1] to N x 512 embeddings, not normalised.

    layers: blocks of each of the four stages; use_se: squeeze and excitation in each block.
    """

    def __init__(self, layers: Sequence[int] = (2, 2, 2, 2), use_se: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, PLANES[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(PLANES[0])
        self.prelu = nn.PReLU()
        self.maxpool = nn.MaxPool2d(2)
        inputs = PLANES[0]
        for number, (planes, count) in enumerate(zip(PLANES, layers, strict=True), start=1):
            blocks = [IRBlock(inputs if i == 0 else planes, planes, 2 if i == 0 and number > 1 else 1, use_se) for i in range(count)]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            inputs = planes
        self.bn4 = nn.BatchNorm2d(PLANES[-1])
        self.dropout = nn.Dropout()
        self.fc5 = nn.Linear(PLANES[-1] * (INPUT_SIZE // 16) ** 2, 512)
        self.bn5 = nn.BatchNorm1d(512)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.prelu(self.bn1(self.conv1(x))))
        for number in range(1, len(PLANES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        x = self.dropout(self.bn4(x)).flatten(1)
        embedding: Tensor = self.bn5(self.fc5(x))
        return embedding

    def embed(self, pictures: Tensor) -> Tensor:
        """N x 3 x S x S in [-1, 1] to N x 512: of the whole grey picture, as GFPGAN's training does."""
        embedding: Tensor = self(grey_face(pictures))
        return embedding


def grey_face(pictures: Tensor) -> Tensor:
    """The network's input from aligned faces, N x 3 x S x S RGB in any range to N x 1 x 128 x 128: bilinear, without antialiasing."""
    red, green, blue = (pictures[:, i : i + 1].float() for i in range(3))
    grey = 0.2989 * red + 0.5870 * green + 0.1140 * blue
    return F.interpolate(grey, size=(INPUT_SIZE, INPUT_SIZE), mode="bilinear", align_corners=False)


class IRBlock(nn.Module):
    """Normalise, convolve, convolve (with the stride), add the input; one slope serves both activations."""

    def __init__(self, inputs: int, planes: int, stride: int = 1, use_se: bool = False) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(inputs, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.se = SqueezeExcite(planes) if use_se else None
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != planes:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, planes, 1, stride=stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x: Tensor) -> Tensor:
        y = self.prelu(self.bn1(self.conv1(self.bn0(x))))
        y = self.bn2(self.conv2(y))
        if self.se is not None:
            y = self.se(y)
        out: Tensor = self.prelu(y + (x if self.downsample is None else self.downsample(x)))
        return out


class SqueezeExcite(nn.Module):
    """Channels weighed by what all places say together (Hu et al. 2018)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        inner = channels // reduction
        self.fc = nn.Sequential(nn.Linear(channels, inner), nn.PReLU(), nn.Linear(inner, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.fc(x.mean(dim=(2, 3)))
        return x * weight[:, :, None, None]
