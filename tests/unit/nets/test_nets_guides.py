"""The frozen networks that guide training: VGG under torchvision's names and ours, ArcFace on grey pictures."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from facewright.errors import ModelError, UsageError
from facewright.nets.arcface import ResNetArcFace, grey_face
from facewright.nets.vgg import IMAGENET_MEAN, IMAGENET_STD, VGGFeatures, from_torchvision, layer_names


def torchvision_like(planes: list[int | str]) -> nn.Sequential:
    """`features` of torchvision: convolutions with their ReLU, "M" for a pooling."""
    layers: list[nn.Module] = []
    inputs = 3
    for item in planes:
        if isinstance(item, int):
            layers += [nn.Conv2d(inputs, item, 3, padding=1), nn.ReLU()]
            inputs = item
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def test_torchvision_files_are_renamed_layer_by_layer() -> None:
    torch.manual_seed(0)
    theirs = torchvision_like([64, 64, "M", 128, 128, "M"])
    file = {f"features.{name}": value for name, value in theirs.state_dict().items()} | {"classifier.0.weight": torch.zeros(1)}
    ours = VGGFeatures(["conv1_2", "relu2_1", "pool2"])
    ours.load_state_dict(from_torchvision(file, ["conv1_2", "relu2_1", "pool2"]), strict=True)
    picture = torch.rand(1, 3, 16, 16)
    x = (picture - torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)) / torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    maps = ours(picture)
    for name, last in {"conv1_2": 2, "relu2_1": 6, "pool2": 9}.items():
        torch.testing.assert_close(maps[name], theirs[: last + 1](x))
    assert maps["conv1_2"].min() < 0 <= maps["relu2_1"].min()


@pytest.mark.parametrize(
    ("name", "vgg", "index"), [("conv5_4", "vgg19", 34), ("pool5", "vgg19", 36), ("conv5_3", "vgg16", 28), ("relu1_1", "vgg16", 1)]
)
def test_published_places_of_layers(name: str, vgg: str, index: int) -> None:
    assert len(layer_names([name], vgg)) == index + 1


def test_what_is_no_vgg_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"no vgg19.*features\.2\.weight"):
        from_torchvision({"features.0.weight": torch.zeros(1), "features.0.bias": torch.zeros(1)}, ["conv1_2"])
    with pytest.raises(UsageError, match="vgg16 has no layer 'conv3_4'"):
        VGGFeatures(["conv3_4"], "vgg16")
    with pytest.raises(UsageError, match="no layer is asked for"):
        VGGFeatures([])


def test_vgg_is_frozen_and_its_input_is_not() -> None:
    net, picture = VGGFeatures(["conv1_1"]), torch.rand(1, 3, 8, 8, requires_grad=True)
    net(picture)["conv1_1"].sum().backward()
    assert picture.grad is not None and picture.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_grey_weighs_the_colours_as_published() -> None:
    colours = torch.eye(3)[:, :, None, None].expand(3, 3, 40, 40)
    torch.testing.assert_close(grey_face(colours).amax((1, 2, 3)), torch.tensor([0.2989, 0.5870, 0.1140]))
    assert grey_face(torch.zeros(2, 3, 512, 512)).shape == (2, 1, 128, 128)


def test_arcface_embeds_a_picture_alike_alone_and_among_others() -> None:
    torch.manual_seed(0)
    net = ResNetArcFace((1, 1, 1, 1), use_se=True).eval()
    pictures: Tensor = torch.rand(3, 3, 64, 64) * 2 - 1
    together = net.embed(pictures)
    assert together.shape == (3, 512) and (together[0] - together[1]).abs().max() > 1e-3
    torch.testing.assert_close(net.embed(pictures[:1]), together[:1], atol=1e-4, rtol=1e-4)
