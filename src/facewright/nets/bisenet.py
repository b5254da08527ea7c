"""BiSeNet: which part of the face each pixel of an aligned crop belongs to.

Yu, Wang, Peng, Gao, Yu, Sang, "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation", ECCV 2018, arXiv:1808.00897,
in the form of zllrunning/face-parsing.PyTorch: no spatial path of its own, its place is taken by the features of stride 8. Module names are
facexlib's, whose file loads unchanged. Trained on CelebAMask-HQ, which is for non-commercial research.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.nets.blocks.resnet import BasicBlock, ResNetBody

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in [0, 1]: what the network was trained with, ImageNet's."""

CLASSES = (
    *("background", "skin", "left brow", "right brow", "left eye", "right eye", "glasses", "left ear", "right ear", "earring"),
    *("nose", "mouth", "upper lip", "lower lip", "neck", "necklace", "cloth", "hair", "hat"),
)
"""What the channels of the published file's map mean ("order B")."""


class BiSeNet(nn.Module):
    """Context path on ResNet-18, feature fusion, three heads of which the coarser two only served the training."""

    def __init__(self, num_class: int = 19) -> None:
        super().__init__()
        self.cp = ContextPath()
        self.ffm = FeatureFusion(256, 256)
        self.conv_out = Output(256, 256, num_class)
        self.conv_out16 = Output(128, 64, num_class)
        self.conv_out32 = Output(128, 64, num_class)

    def forward(self, x: Tensor, return_feat: bool = False) -> tuple[Tensor, ...]:
        """x: N x 3 x H x W RGB, ([0, 1] - MEAN) / STD. Returns class scores of the three heads, N x num_class x H x W each; with
        `return_feat` also the 256, 64 and 64 channels from which they were made, all at H x W."""
        feat8, cp8, cp16 = self.cp(x)
        fused = self.ffm(feat8, cp8)
        heads = [self.conv_out(fused), self.conv_out16(cp8), self.conv_out32(cp16)]
        maps = [scores for scores, _ in heads] + ([features for _, features in heads] if return_feat else [])
        return tuple(F.interpolate(each, x.shape[2:], mode="bilinear", align_corners=True) for each in maps)


class ContextPath(nn.Module):
    """What the coarse features and their global mean say, at strides 8 and 16."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = ResNetBody(BasicBlock, (2, 2, 2, 2))
        self.arm16 = AttentionRefinement(256, 128)
        self.arm32 = AttentionRefinement(512, 128)
        self.conv_head32 = ConvBNReLU(128, 128)
        self.conv_head16 = ConvBNReLU(128, 128)
        self.conv_avg = ConvBNReLU(512, 128, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns N x 128 x h x w three times: ResNet's features of stride 8, and the context at strides 8 and 16."""
        feat8, feat16, feat32 = self.resnet(x)
        whole = self.conv_avg(_mean(feat32))
        context = self.arm32(feat32) + whole
        at16 = self.conv_head32(F.interpolate(context, feat16.shape[2:]))
        context = self.arm16(feat16) + at16
        return feat8, self.conv_head16(F.interpolate(context, feat8.shape[2:])), at16


class AttentionRefinement(nn.Module):
    """Channels gated by their own global mean (figure 2b)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = ConvBNReLU(in_channels, out_channels)
        self.conv_atten = nn.Conv2d(out_channels, out_channels, 1, bias=False)
        self.bn_atten = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.conv(x)
        return features * torch.sigmoid(self.bn_atten(self.conv_atten(_mean(features))))


class FeatureFusion(nn.Module):
    """Spatial and context features in one, gated (figure 2c)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convblk = ConvBNReLU(in_channels, out_channels, 1)
        self.conv1 = nn.Conv2d(out_channels, out_channels // 4, 1, bias=False)
        self.conv2 = nn.Conv2d(out_channels // 4, out_channels, 1, bias=False)

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:
        features: Tensor = self.convblk(torch.cat([spatial, context], dim=1))
        gate = torch.sigmoid(self.conv2(F.relu(self.conv1(_mean(features)))))
        return features * gate + features


class Output(nn.Module):
    """A head: class scores and the features that they were made from."""

    def __init__(self, in_channels: int, width: int, num_class: int) -> None:
        super().__init__()
        self.conv = ConvBNReLU(in_channels, width)
        self.conv_out = nn.Conv2d(width, num_class, 1, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.conv(x)
        return self.conv_out(features), features


class ConvBNReLU(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def _mean(x: Tensor) -> Tensor:
    """N x C x H x W to N x C x 1 x 1."""
    return x.mean(dim=(2, 3), keepdim=True)
