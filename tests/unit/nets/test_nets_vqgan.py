"""VQGAN, its random codes and its discriminator, where the reference cases do not reach."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from facewright.errors import UsageError
from facewright.nets.blocks.codebook import GumbelCode
from facewright.nets.vqgan import VQGAN, Encoder, Generator, PatchDiscriminator

SMALL: dict[str, Any] = {
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


class TestVQGAN:
    def test_the_picture_comes_from_the_codes_alone(self) -> None:
        net = VQGAN(**SMALL).eval()
        result = net.code(maps(2, 3, 32, 32))
        assert result.codes.shape == (2, 8, 8) and result.features.shape == (2, 8, 8, 8)
        torch.testing.assert_close(net.generator(net.quantize.look_up(result.codes)), result.picture)
        torch.testing.assert_close(net(maps(2, 3, 32, 32)), result.picture)

    def test_other_sizes_run(self) -> None:
        assert VQGAN(**SMALL)(maps(1, 3, 24, 40)).shape == (1, 3, 24, 40)

    def test_with_gumbel_codes_everything_learns_through_the_choice(self) -> None:
        torch.manual_seed(0)
        net = VQGAN(**SMALL, quantizer="gumbel", gumbel_kl_weight=0.1)
        result = net.code(maps(1, 3, 32, 32))
        (result.picture.square().mean() + result.codebook_loss).backward()
        for name in ("encoder.blocks.0.weight", "quantize.proj.weight", "quantize.embed.weight", "generator.blocks.0.weight"):
            gradient = net.get_parameter(name).grad
            assert gradient is not None and gradient.abs().max() > 1e-7

    def test_an_unknown_quantizer_is_refused(self) -> None:
        with pytest.raises(UsageError, match="no quantizer 'vector'"):
            VQGAN(quantizer="vector")  # type: ignore[arg-type]


class TestTaps:
    """Where CodeFormer takes maps and puts them: the published numbers of blocks."""

    def test_at_the_published_size(self) -> None:
        with torch.device("meta"):
            net = VQGAN()
        assert net.encoder.taps == {512: 2, 256: 5, 128: 8, 64: 11, 32: 14, 16: 18}
        assert net.generator.taps == {16: 6, 32: 9, 64: 12, 128: 15, 256: 18, 512: 21}

    def test_maps_have_the_size_and_the_channels_of_their_level(self) -> None:
        encoder = Encoder(3, 32, 8, (1, 1, 2), 2, 32, (8,))
        out, kept = encoder.with_maps(maps(1, 3, 32, 32), (8, 32))
        assert {side: tuple(each.shape[1:]) for side, each in kept.items()} == {8: (64, 8, 8), 32: (32, 32, 32)}
        torch.testing.assert_close(out, encoder(maps(1, 3, 32, 32)))

    def test_a_change_reaches_what_comes_after_it(self) -> None:
        generator, seen = Generator(32, 8, (1, 1, 2), 2, 32, (8,)), []

        def look(x: Tensor) -> Tensor:
            seen.append(tuple(x.shape[1:]))
            return x * 2

        plain, changed = generator(maps(1, 8, 8, 8)), generator(maps(1, 8, 8, 8), {16: look, 32: look, 8: look})
        assert seen == [(64, 8, 8), (32, 16, 16), (32, 32, 32)]
        assert (plain - changed).abs().max() > 1e-3


class TestGumbelCode:
    def test_without_noise_the_likeliest_codes_are_taken(self) -> None:
        layer = GumbelCode(10, 6, 4).eval()
        z = maps(2, 6, 3, 5)
        codes, _, numbers = layer(z, torch.zeros(2, 10, 3, 5))
        assert torch.equal(numbers, layer.proj(z).argmax(1))
        torch.testing.assert_close(codes, layer.embed(numbers).permute(0, 3, 1, 2))

    def test_noise_draws_codes_as_often_as_they_are_likely(self) -> None:
        torch.manual_seed(0)
        layer = GumbelCode(4, 2, 3).eval()
        z = maps(1, 2, 1, 1).expand(1, 2, 60, 100)
        _, _, numbers = layer(z)
        share = torch.bincount(numbers.flatten(), minlength=4) / numbers.numel()
        torch.testing.assert_close(share, layer.proj(z).softmax(1)[0, :, 0, 0].detach(), atol=0.02, rtol=0)

    def test_while_training_codes_are_mixed_unless_told_otherwise(self) -> None:
        z, noise = maps(1, 6, 4, 4), maps(1, 10, 4, 4, seed=1)
        for straight in (True, False):
            torch.manual_seed(0)
            layer = GumbelCode(10, 6, 4, straight_through=straight).train()
            codes, _, numbers = layer(z, noise)
            one = torch.allclose(codes, layer.embed(numbers).permute(0, 3, 1, 2), atol=1e-5)
            assert one == straight
            (gradient,) = torch.autograd.grad(codes.sum(), layer.proj.weight)
            assert gradient.abs().max() > 1e-6

    def test_equally_likely_codes_cost_nothing_and_certain_ones_log_k(self) -> None:
        layer = GumbelCode(8, 8, 4, kl_weight=1.0)
        with torch.no_grad():
            layer.proj.bias.zero_()
            layer.proj.weight.zero_()
            assert float(layer(maps(1, 8, 2, 2))[1]) == pytest.approx(0, abs=1e-6)
            layer.proj.bias[3] = 100
            assert float(layer(maps(1, 8, 2, 2))[1]) == pytest.approx(torch.tensor(8.0).log().item(), rel=1e-5)


@pytest.mark.parametrize(("layers", "side"), [(1, 30), (3, 6), (4, 2)])
def test_a_discriminator_scores_places(layers: int, side: int) -> None:
    assert PatchDiscriminator(ndf=4, n_layers=layers)(maps(2, 3, 64, 64)).shape == (2, 1, side, side)
