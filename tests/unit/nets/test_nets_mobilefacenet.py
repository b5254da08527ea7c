"""MobileFaceNet: its published size, its names, and the window that it looks through."""

from __future__ import annotations

import pytest
import torch

from facewright.nets.mobilefacenet import CHIP_SIZE, MobileFaceNet
from facewright.weights.recogniser import recognise


def test_the_published_width_has_the_published_size() -> None:
    """0.99 million parameters by the paper's table 2; ours with the slopes of PReLU and the scales of the last batch norm."""
    with torch.device("meta"):
        network = MobileFaceNet()
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert sum(convolution.weight.numel() for convolution in convolutions) == 976_000
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_003_136
    assert len(convolutions) == 50 and len(network.state_dict()) == 333


def test_maps_have_the_sizes_of_the_table() -> None:
    network = MobileFaceNet(channels=4, embedding=8).eval()
    sizes: list[tuple[int, ...]] = []
    for module in (network.stem, network.depthwise, *network.blocks, network.widen, network.gather):
        module.register_forward_hook(lambda *said: sizes.append(tuple(said[2].shape[1:])))
    assert network(torch.zeros(1, 3, CHIP_SIZE, CHIP_SIZE)).shape == (1, 8)
    expected = [(4, 56, 56)] * 2 + [(4, 28, 28)] * 5 + [(8, 14, 14)] * 7 + [(8, 7, 7)] * 3 + [(32, 7, 7), (32, 1, 1)]
    assert sizes == expected


@pytest.mark.parametrize(("channels", "embedding"), [(64, 128), (32, 128), (4, 16), (7, 3)])
def test_a_file_says_how_wide_it_is(channels: int, embedding: int) -> None:
    with torch.device("meta"):
        network = MobileFaceNet(channels, embedding)
    found = recognise(network.state_dict())
    assert (found.architecture, found.arguments) == ("identity.mobilefacenet", {"channels": channels, "embedding": embedding})
    assert found.build("meta").state_dict().keys() == network.state_dict().keys()


def test_the_chip_is_cut_to_the_pixel_from_crops_of_192() -> None:
    crops = torch.rand(2, 3, 192, 192, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert (MobileFaceNet(4, 8).chip(crops) - crops[..., 65:177, 40:152]).abs().max() < 1e-4


@pytest.mark.parametrize("side", [96, 192, 256, 512])
def test_the_chip_shows_the_same_place_at_every_size(side: int) -> None:
    """Brightness that rises evenly to the right and below tells where each pixel comes from."""
    axis = (torch.arange(side) + 0.5) / side
    ramps = torch.stack([axis.expand(side, side), axis[:, None].expand(side, side), torch.zeros(side, side)])[None]
    chip = MobileFaceNet(4, 8).chip(ramps)[0, :, 4:-4, 4:-4]  # the rim meets the blur's mirror at the crop's edge
    across, down = ((torch.arange(CHIP_SIZE) + 0.5 + start)[4:-4] / 192 for start in (40, 65))
    assert torch.allclose(chip[0], across.expand(104, 104), atol=2e-3)
    assert torch.allclose(chip[1], down[:, None].expand(104, 104), atol=2e-3)


def test_people_have_length_one_and_do_not_depend_on_their_neighbours() -> None:
    torch.manual_seed(0)
    network = MobileFaceNet(8, 16).eval()
    crops = torch.rand(3, 3, 128, 128) * 2 - 1
    with torch.inference_mode():
        people = network.people(crops)
        alone = torch.cat([network.people(each[None]) for each in crops])
    assert torch.allclose(people.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.allclose(people, alone, atol=1e-5)
