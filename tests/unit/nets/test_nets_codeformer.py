"""CodeFormer, where the reference cases do not reach."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from facewright.errors import InputError
from facewright.nets.codeformer import CodeFormer, filled, white_holes

SIZES: dict[str, Any] = {
    "dim_embd": 16,
    "n_head": 2,
    "n_layers": 2,
    "connect_list": ("16", "32"),
    "img_size": 32,
    "nf": 32,
    "ch_mult": (1, 1, 2),
    "res_blocks": 2,
    "attn_resolutions": (8,),
    "codebook_size": 12,
    "emb_dim": 8,
}


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def net() -> CodeFormer:
    torch.manual_seed(0)
    return CodeFormer(**SIZES).eval()


def test_other_sizes_are_refused(net: CodeFormer) -> None:
    with pytest.raises(InputError, match=r"crop of 40 x 32 px: this CodeFormer takes 32 px"):
        net(maps(1, 3, 32, 40))


def test_one_w_for_all_and_one_for_each_agree(net: CodeFormer) -> None:
    x = maps(3, 3, 32, 32)
    each = net(x, torch.tensor([0.0, 0.4, 1.0]))
    for number, w in enumerate((0.0, 0.4, 1.0)):
        torch.testing.assert_close(each[number], net(x, w)[number], atol=1e-5, rtol=1e-4)


def test_the_change_of_the_last_fusion_is_proportional_to_w() -> None:
    torch.manual_seed(0)
    net = CodeFormer(**SIZES | {"connect_list": (32,)}).eval()
    prediction = net.predict(maps(1, 3, 32, 32))
    fused: list[Tensor] = []
    net.generator.blocks[net.generator.taps[32] + 1].register_forward_pre_hook(lambda module, given: fused.append(given[0]))
    for w in (0, 0.5, 1.3):
        net.decode(prediction, w)
    torch.testing.assert_close((fused[1] - fused[0]) * 2.6, fused[2] - fused[0], atol=1e-4, rtol=1e-3)


def test_codes_are_predicted_in_full_precision_under_autocast(net: CodeFormer) -> None:
    x = maps(1, 3, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        prediction, picture = net.predict(x), net(x)
    assert prediction.logits.dtype == prediction.features.dtype == torch.float32 and picture.isfinite().all()
    exact = net.predict(x).logits
    # one token's scores are spread much wider than what the encoder's rounding does to them
    assert (prediction.logits - exact).abs().mean() < 0.05 * exact.std()
    half = CodeFormer(**SIZES).to(torch.bfloat16)
    assert half(x.bfloat16()).dtype == torch.bfloat16


def test_without_w_the_damaged_face_s_maps_do_not_matter(net: CodeFormer) -> None:
    prediction = net.predict(maps(1, 3, 32, 32))
    prediction.maps.clear()
    assert net.decode(prediction, 0).shape == (1, 3, 32, 32)
    with pytest.raises(KeyError):
        net.decode(prediction, 0.1)


@pytest.mark.parametrize(("task", "w", "adain"), [("restoration", 0.5, True), ("colorization", 0.0, True), ("inpainting", 1.0, False)])
def test_unasked_it_does_as_published(task: Any, w: float, adain: bool) -> None:
    torch.manual_seed(0)
    net = CodeFormer(**SIZES, task=task).eval()
    x = maps(1, 3, 32, 32)
    torch.testing.assert_close(net(x), net(x, w, adain=adain))
    assert (net(x) - net(x, 1 - w, adain=adain)).abs().max() > 1e-3 or w == 0.5
    assert (net(x) - net(x, w, adain=not adain)).abs().max() > 1e-3


def test_what_learns(net: CodeFormer) -> None:
    learns = {name.partition(".")[0] for name, parameter in net.named_parameters() if parameter.requires_grad}
    assert learns == {"encoder", "position_emb", "feat_emb", "ft_layers", "idx_pred_layer", "fuse_convs_dict"}
    assert all(parameter.requires_grad for parameter in CodeFormer(**SIZES, fix_modules=()).parameters())
    # the picture teaches the fusions, and with AdaIN the encoder, never the codes or their prediction
    picture = net.train()(maps(1, 3, 32, 32), 1.0, adain=True)
    picture.square().mean().backward()
    taught = {name.partition(".")[0] for name, parameter in net.named_parameters() if parameter.grad is not None}
    assert taught == {"encoder", "fuse_convs_dict"}


def test_places_are_told_apart_only_by_the_positions(net: CodeFormer) -> None:
    """Attention knows no order: with the positions at 0, tokens that change places only change places."""
    features, order = maps(1, 64, 16), torch.randperm(64, generator=torch.Generator().manual_seed(1))
    layer, positions = net.ft_layers[0], maps(64, 16, seed=2)
    torch.testing.assert_close(layer(features[:, order]), layer(features)[:, order], atol=1e-5, rtol=1e-4)
    assert (layer(features[:, order], positions) - layer(features, positions)[:, order]).abs().max() > 1e-3


def test_only_pure_white_is_a_hole_and_only_holes_are_filled() -> None:
    picture, painted = maps(1, 3, 4, 4).clamp(-1, 0.99), maps(1, 3, 4, 4, seed=1)
    picture[0, :, 1, 2] = 1
    picture[0, :, 3, 3] = torch.tensor([1, 1, 254 / 255 * 2 - 1])
    holes = white_holes(picture)
    assert holes.nonzero().tolist() == [[0, 0, 1, 2]]
    whole = filled(picture, holes, painted)
    assert torch.equal(whole[0, :, 1, 2], painted[0, :, 1, 2])
    whole[0, :, 1, 2] = 1
    assert torch.equal(whole, picture)
