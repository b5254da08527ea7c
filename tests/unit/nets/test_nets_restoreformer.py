"""RestoreFormer and the parts it shares with its family, where the reference cases do not reach."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from facewright.errors import InputError
from facewright.nets.blocks.autoencoder import CrossAttention, HalvingConv, SelfAttention, SwishResBlock, attention
from facewright.nets.blocks.codebook import NearestCode
from facewright.nets.restoreformer import RestoreFormer

SMALL: dict[str, Any] = {
    "n_embed": 12,
    "embed_dim": 16,
    "ch": 32,
    "ch_mult": (1, 2),
    "num_res_blocks": 1,
    "attn_resolutions": (8,),
    "resolution": 16,
    "z_channels": 16,
    "head_size": 4,
}


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class TestRestoreFormer:
    def test_other_sizes_are_refused(self) -> None:
        with pytest.raises(InputError, match="20 x 16 px"):
            RestoreFormer(**SMALL)(maps(1, 3, 16, 20))

    def test_the_picture_guides_the_decoder_only_with_cross_attention(self) -> None:
        for cross in (True, False):
            torch.manual_seed(0)
            net = RestoreFormer(**SMALL, cross_attention=cross).eval()
            features = net.encoder(maps(1, 3, 16, 16))
            z = maps(1, 16, 8, 8, seed=1)
            guided, alone = net.decoder(z, features), net.decoder(z, {})
            assert torch.equal(net.code(maps(1, 3, 16, 16)).picture, net(maps(1, 3, 16, 16)))
            assert (guided - alone).abs().max() > 1e-3
            whole = net.decoder(net.post_quant_conv(net.quantize(net.quant_conv(features["out"]))[0]), features if cross else {})
            torch.testing.assert_close(net(maps(1, 3, 16, 16)), whole)

    @pytest.mark.parametrize("part", ["encoder", "decoder", "codebook"])
    def test_a_fixed_part_does_not_learn(self, part: str) -> None:
        net = RestoreFormer(**SMALL, **{f"fix_{part}": True})
        learns = {name.partition(".")[0] for name, parameter in net.named_parameters() if parameter.requires_grad}
        fixed = {"encoder": {"encoder"}, "decoder": {"decoder", "post_quant_conv"}, "codebook": {"quantize"}}[part]
        assert learns == {"encoder", "decoder", "quantize", "quant_conv", "post_quant_conv"} - fixed


class TestNearestCode:
    def test_it_finds_what_looking_at_each_code_finds(self) -> None:
        book, z = NearestCode(20, 6), maps(2, 6, 3, 5)
        torch.nn.init.normal_(book.embedding.weight)
        codes, _, numbers = book(z)
        for n in range(2):
            for y in range(3):
                for x in range(5):
                    distances = (book.embedding.weight - z[n, :, y, x]).norm(dim=1)
                    assert numbers[n, y, x] == distances.argmin()
                    torch.testing.assert_close(codes[n, :, y, x], book.embedding.weight[numbers[n, y, x]])
        assert torch.equal(book.look_up(numbers), book.look_up(book.nearest(z)))

    def test_gradients_go_straight_through_and_the_loss_pulls_both_ends(self) -> None:
        book, z = NearestCode(20, 6, beta=0.25), maps(1, 6, 2, 2).requires_grad_()
        codes, loss, _ = book(z)
        (straight,) = torch.autograd.grad((codes * maps(1, 6, 2, 2, seed=3)).sum(), z, retain_graph=True)
        torch.testing.assert_close(straight, maps(1, 6, 2, 2, seed=3))
        to_z, to_book = torch.autograd.grad(loss, [z, book.embedding.weight])
        torch.testing.assert_close(to_z, 2 * (z - codes).detach() / z.numel())
        torch.testing.assert_close(to_book.sum(dim=0), -0.25 * to_z.sum(dim=(0, 2, 3)))


class TestParts:
    def test_attention_is_a_softmax_over_places(self) -> None:
        q, k, v = (maps(2, 6, 3, 4, seed=i) for i in range(3))
        flat_q, flat_k, flat_v = (x.flatten(2)[:, :3] for x in (q, k, v))  # the first of two heads
        weights = torch.softmax(torch.einsum("nci,ncj->nij", flat_q, flat_k) * 3**-0.5, dim=2)
        wanted = torch.einsum("nij,ncj->nci", weights, flat_v).view(2, 3, 3, 4)
        torch.testing.assert_close(attention(q, k, v, heads=2)[:, :3], wanted)

    def test_one_head_of_cross_attention_without_guide_is_self_attention(self) -> None:
        cross, alone = CrossAttention(32), SelfAttention(32)
        state = {name.replace("norm1", "norm"): value for name, value in cross.state_dict().items() if "norm2" not in name}
        alone.load_state_dict(state)
        torch.testing.assert_close(cross(maps(1, 32, 3, 5)), alone(maps(1, 32, 3, 5)))

    def test_the_guide_asks_and_the_prior_answers(self) -> None:
        """If all places of the prior answer alike, it does not matter what the guide asks."""
        cross = CrossAttention(32, heads=4)
        torch.nn.init.zeros_(cross.v.weight)
        x = maps(1, 32, 4, 4)
        torch.testing.assert_close(cross(x, maps(1, 32, 4, 4, seed=1)), cross(x, maps(1, 32, 4, 4, seed=2)))

    @pytest.mark.parametrize("name", ["nin_shortcut", "conv_out", "residual_func"])
    def test_the_shortcut_has_its_published_name_and_is_there_only_where_needed(self, name: str) -> None:
        assert f"{name}.weight" in SwishResBlock(32, 64, shortcut=name).state_dict()
        assert not any(name in key for key in SwishResBlock(32, 32, shortcut=name).state_dict())
        assert SwishResBlock(32, 64, shortcut=name)(maps(1, 32, 5, 6)).shape == (1, 64, 5, 6)

    def test_halving_pads_at_the_right_and_bottom(self) -> None:
        half = HalvingConv(2)
        torch.nn.init.zeros_(half.conv.weight)
        with torch.no_grad():
            half.conv.weight[0, 0, 0, 0] = 1
        x = maps(1, 2, 6, 8)
        torch.testing.assert_close(half(x)[:, 0] - half.conv.bias[0], x[:, 0, ::2, ::2])
