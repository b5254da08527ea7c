"""The prepared CodeFormer gives the plain one's picture, from the same codes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from facewright.errors import InputError
from facewright.nets.blocks.autoencoder import DoublingConv, HalvingConv, SelfAttention, SwishResBlock
from facewright.nets.blocks.frozen_autoencoder import frozen
from facewright.nets.codeformer import CodeFormer, prepare

SIZES: dict[str, Any] = {
    "dim_embd": 32,
    "n_head": 2,
    "n_layers": 2,
    "connect_list": ("16", "32", "64"),
    "img_size": 64,
    "nf": 32,
    "ch_mult": (1, 2, 2),
    "res_blocks": 1,
    "attn_resolutions": (16,),
    "codebook_size": 24,
    "emb_dim": 16,
}
LEVEL = 2 / 255


def network(**changes: Any) -> CodeFormer:
    """Random weights under which the picture has the range of one."""
    net, random = CodeFormer(**SIZES | changes).eval(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            center = 1.0 if parameter.ndim == 1 and name.endswith("weight") else 0.0  # norms
            gain = 1.0 if "embedding" in name or "position" in name else parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.1
            gain *= 0.3 if "fuse" in name and ".2." in name else 1.0  # a map is not squared
            parameter.copy_(center + gain * torch.randn(parameter.shape, generator=random))
        net.generator.blocks[-1].weight.mul_(0.5)
    return net


def faces(count: int, side: int = 64) -> Tensor:
    small = torch.randn(count, 3, side // 8, side // 8, generator=torch.Generator().manual_seed(1))
    return F.interpolate(small, size=(side, side), mode="bilinear").clamp(-1, 1)


@pytest.fixture(scope="module")
def net() -> CodeFormer:
    return network()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("adain", [True, False])
@pytest.mark.parametrize("w", [0.0, 0.5, 1.0, torch.tensor([0.0, 0.3, 1.0])])
def test_the_picture_is_the_same(net: CodeFormer, dtype: torch.dtype, adain: bool, w: float | Tensor) -> None:
    x = faces(3)
    with torch.no_grad():
        plain, prepared = net(x, w, adain=adain), prepare(net, dtype)(x, w, adain=adain)
    assert prepared.dtype == torch.float32 and not prepared.requires_grad
    assert 0.2 < plain.std() < 2
    difference = (prepared - plain).abs() if dtype == torch.float32 else (prepared.clamp(-1, 1) - plain.clamp(-1, 1)).abs()
    assert difference.max() < (1e-4 if dtype == torch.float32 else 3 * LEVEL)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "changes", [{"fold": 2, "connect_list": (8, 32)}, {"ch_mult": (1, 1, 2, 3), "img_size": 128, "res_blocks": 2, "connect_list": (128,)}]
)
def test_other_geometries(changes: dict[str, Any], dtype: torch.dtype) -> None:
    net = network(**changes)
    x = faces(1, net.img_size)
    with torch.no_grad():
        difference = (prepare(net, dtype)(x, 1.0).clamp(-1, 1) - net(x, 1.0).clamp(-1, 1)).abs().max()
    assert difference < (2e-4 if dtype == torch.float32 else 3 * LEVEL)


@pytest.mark.parametrize("task", ["restoration", "colorization", "inpainting"])
def test_unasked_it_does_as_the_network(task: Any) -> None:
    net, x = network(task=task), faces(1)
    with torch.no_grad():
        torch.testing.assert_close(prepare(net)(x), net(x), atol=1e-4, rtol=1e-4)


def test_the_codes_do_not_depend_on_the_type(net: CodeFormer) -> None:
    x = faces(2)
    with torch.no_grad():
        plain, exact, half = (each.predict(x) for each in (net, prepare(net), prepare(net, torch.bfloat16)))
    assert torch.equal(exact.logits, half.logits)
    assert torch.equal(plain.logits.argmax(dim=2), half.logits.argmax(dim=2))
    assert len(plain.logits.argmax(dim=2).unique()) > 4
    # whoever decodes by himself may give a w for each, too
    each = torch.tensor([0.2, 0.9])
    torch.testing.assert_close(prepare(net).decode(exact, each), net.decode(plain, each), atol=1e-4, rtol=1e-4)


def test_a_face_does_not_depend_on_its_neighbours(net: CodeFormer) -> None:
    prepared, x = prepare(net, torch.bfloat16), faces(3)
    assert torch.equal(prepared(x, 0.7)[1:2], prepared(x[1:2], 0.7))


def test_the_network_stays_as_it_was_and_its_weights_its_own(net: CodeFormer) -> None:
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    learns = [parameter.requires_grad for parameter in net.parameters()]
    prepared = prepare(net)
    theirs = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}
    assert not theirs & {parameter.untyped_storage().data_ptr() for parameter in prepared.parameters()}
    x = faces(1)
    picture = prepared(x, 1.0)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [parameter.requires_grad for parameter in net.parameters()] == learns
    assert not any(parameter.requires_grad for parameter in prepared.parameters())
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    assert torch.equal(prepared(x, 1.0), picture)


def test_it_is_hardly_larger_than_the_network(net: CodeFormer) -> None:
    def size(part: torch.nn.Module) -> int:
        return sum(parameter.nbytes for parameter in part.parameters())

    doubling = sum(size(block) for block in net.generator.blocks if isinstance(block, DoublingConv))
    assert size(prepare(net)) <= size(net) + 7 / 9 * doubling
    halved = prepare(net, torch.bfloat16).fuse_convs_dict["64"]
    assert size(halved) < 0.51 * size(net.fuse_convs_dict["64"])


def test_other_sizes_are_refused(net: CodeFormer) -> None:
    with pytest.raises(InputError, match="this PreparedCodeFormer takes 64 px"):
        prepare(net)(torch.zeros(1, 3, 64, 48))


@pytest.mark.parametrize(("height", "width"), [(2, 2), (5, 8), (2, 3)])
@pytest.mark.parametrize(
    "block",
    [SwishResBlock(32, 32), SwishResBlock(32, 64), HalvingConv(32), DoublingConv(32), SelfAttention(32)],
    ids=lambda b: type(b).__name__,
)
def test_each_layer_alone(block: torch.nn.Module, height: int, width: int) -> None:
    x = torch.randn(2, 32, height, width, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(frozen(block, torch.float32)(x), block(x), atol=1e-5, rtol=1e-5)
    assert torch.equal(x, before)
