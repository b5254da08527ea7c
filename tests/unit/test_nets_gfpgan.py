"""GFPGAN and StyleGAN2 where the reference cases do not reach: our own options, gradients, the inference form."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from facewright.errors import InputError, UsageError
from facewright.nets.blocks.frozen import merge_upsampling, up_conv
from facewright.nets.blocks.modulated import ModulatedConv2d
from facewright.nets.blocks.resample import bilinear_up
from facewright.nets.gfpgan import GFPGAN, clean_of, prepare, refined
from facewright.nets.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, channel_table, minibatch_stddev

SMALL: dict[str, Any] = {"out_size": 32, "num_style_feat": 16, "num_mlp": 2, "narrow": 1 / 16}


def small(seed: int = 0, **options: Any) -> GFPGAN:
    """A small network whose every parameter matters: no zeros, noise strengths included."""
    torch.manual_seed(seed)
    net = GFPGAN(**{**SMALL, **options}).eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if not name.startswith("input_skip"):
                parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def faces(count: int = 2, side: int = 32) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


class TestInputSkip:
    @pytest.mark.parametrize("fold", [1, 2])
    def test_it_starts_by_adding_the_input(self, fold: int) -> None:
        with_skip, without, x = small(input_skip=True, fold=fold), small(fold=fold), faces()
        for last in (with_skip.condition_scale[-1][2], with_skip.condition_shift[-1][2]):  # type: ignore[index]
            nn.init.zeros_(last.weight)  # else the input's finest features join here, too
        without.load_state_dict({k: v for k, v in with_skip.state_dict().items() if not k.startswith("input_skip")})
        plain, _ = without(x, randomize_noise=False)
        torch.testing.assert_close(with_skip(x, randomize_noise=False)[0], plain + x)

    def test_the_finest_detail_reaches_the_last_level(self) -> None:
        """A checkerboard has a mean of 0 over every 2 x 2, so a network that halves first cannot place it."""
        net, x = small(input_skip=True), faces(1)
        board = 0.2 * (1 - 2 * ((torch.arange(32)[:, None] + torch.arange(32)) % 2)).float()
        with torch.no_grad():
            change = net.encode(x + board)[1][-1] - net.encode(x)[1][-1]
        correlation = (change * board).mean(dim=(2, 3)).abs() / (change.std(dim=(2, 3)) * board.std() + 1e-9)
        assert correlation.max() > 0.5

    def test_its_keys_tell_that_it_is_there(self) -> None:
        state = small(input_skip=True).state_dict()
        assert {k: tuple(v.shape) for k, v in state.items() if "input_skip" in k} == {
            "input_skip.weight": (3, 3, 1, 1),
            "input_skip.bias": (3,),
        }
        with pytest.raises(RuntimeError, match="input_skip"):
            small().load_state_dict(state)


class TestChannels:
    def test_given_ones_replace_the_table_in_decoder_and_half_in_the_u_net(self) -> None:
        net = GFPGAN(out_size=32, num_style_feat=16, num_mlp=1, channels={4: 8, 8: 12, 16: 20, 32: 6})
        state = net.state_dict()
        assert state["stylegan_decoder.style_convs.3.modulated_conv.weight"].shape == (1, 20, 20, 3, 3)
        assert state["conv_body_down.0.conv2.weight"].shape == (10, 3, 3, 3)
        assert state["conv_body_first.weight"].shape == (3, 3, 1, 1)
        assert net(faces())[0].shape == (2, 3, 32, 32)

    def test_others_stay_as_published(self) -> None:
        published = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64}
        assert channel_table(512, 2) == published
        assert channel_table(512, 2, channels={512: 10, 4: 7}) == published | {512: 10, 4: 7}

    @pytest.mark.parametrize("channels", [{64: 8}, {16: 0}, {16: 9}])
    def test_impossible_ones_are_refused(self, channels: dict[int, int]) -> None:
        with pytest.raises(UsageError):
            GFPGAN(out_size=32, num_style_feat=16, channels=channels)

    @pytest.mark.parametrize("out_size", [4, 48, 0])
    def test_a_size_that_is_no_power_of_two_is_refused(self, out_size: int) -> None:
        with pytest.raises(UsageError):
            channel_table(out_size)


class TestFold:
    def test_it_is_the_network_of_the_folded_picture(self) -> None:
        net, x = small(out_size=32, fold=2, input_skip=True), faces()
        assert net.stylegan_decoder.out_size == 16
        assert net.state_dict()["input_skip.weight"].shape == (12, 12, 1, 1)
        seen: list[Tensor] = []
        net.conv_body_first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        picture, rgbs = net(x, randomize_noise=False)
        assert picture.shape == x.shape and [rgb.shape[-1] for rgb in rgbs] == [16, 32]
        # Channel 4c + 2i + j of the folded picture is colour c at row 2y + i, column 2x + j.
        torch.testing.assert_close(seen[0][:, 4 * 1 + 2 * 1 + 0], x[:, 1, 1::2, 0::2])

    @pytest.mark.parametrize("fold", [0, 3])
    def test_one_that_does_not_divide_the_size_is_refused(self, fold: int) -> None:
        with pytest.raises(UsageError, match="fold"):
            GFPGAN(out_size=32, num_style_feat=16, narrow=1 / 16, fold=fold)


class TestRefine:
    def test_a_network_that_gets_it_computes_what_it_did(self) -> None:
        net, x = small(fold=2), faces()
        grown = refined(net, 4)
        torch.testing.assert_close(grown(x, randomize_noise=False), net(x, randomize_noise=False), rtol=0, atol=0)
        assert grown.arguments == net.arguments | {"refine": 4}

    def test_it_looks_across_the_folds(self) -> None:
        """Three pixels to each side, in another fold, and no further."""
        net, (x,) = small(fold=4, refine=4), faces(1)
        assert net.refine is not None
        changed = x.clone()
        changed[:, 16, 16] += 1
        with torch.no_grad():
            moved = (net.refine(changed[None], x[None]) - net.refine(x[None], x[None]))[0].abs().sum(0) > 1e-7
        rows, columns = (axis.tolist() for axis in torch.nonzero(moved, as_tuple=True))
        assert (min(rows), max(rows), min(columns), max(columns)) == (13, 19, 13, 19)


class TestModulatedConv:
    @pytest.mark.parametrize("flavour", ["clean", "bilinear", "original"])
    @pytest.mark.parametrize("sampling", [None, "up", "down"])
    def test_gradients_of_the_activation_form(self, flavour: Any, sampling: Any) -> None:
        torch.manual_seed(0)
        conv = ModulatedConv2d(3, 2, 3, 4, flavour=flavour, sampling=sampling).double()
        x = torch.randn(2, 3, 4, 4, dtype=torch.double, requires_grad=True)
        style = torch.randn(2, 4, dtype=torch.double, requires_grad=True)
        weight = conv.weight.detach().clone().requires_grad_(True)

        def output(x: Tensor, style: Tensor, weight: Tensor) -> Tensor:
            out: Tensor = torch.func.functional_call(conv, {"weight": weight}, (x, style))
            return out

        assert torch.autograd.gradcheck(output, (x, style, weight))
        assert torch.autograd.gradgradcheck(output, (x, style, weight))

    def test_autocast_keeps_the_modulation_exact(self) -> None:
        torch.manual_seed(0)
        conv, x, style = ModulatedConv2d(64, 64, 3, 64), torch.randn(2, 64, 16, 16), torch.randn(2, 64)
        exact = conv(x, style)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            coarse = conv(x.contiguous(memory_format=torch.channels_last), style)
        assert coarse.dtype == torch.bfloat16
        # 0.0035 as it is; 0.0041 when styles and norms are left to autocast.
        assert (coarse.float() - exact).std() < 0.0038

    def test_a_larger_style_does_not_make_the_output_larger(self) -> None:
        conv, x, s = ModulatedConv2d(8, 8, 3, 8), torch.randn(1, 8, 6, 6), torch.randn(1, 8)
        torch.nn.init.zeros_(conv.modulation.get_parameter("bias"))
        torch.testing.assert_close(conv(x, 100 * s), conv(x, s), rtol=1e-4, atol=1e-5)


class TestNoise:
    def test_a_seed_repeats_and_another_differs(self) -> None:
        net, x = small(), faces()
        runs = [net(x, generator=torch.Generator().manual_seed(seed))[0] for seed in (3, 3, 4)]
        assert torch.equal(runs[0], runs[1])
        assert not torch.equal(runs[0], runs[2])

    def test_zero_noise_is_what_zero_strengths_give(self) -> None:
        net, x = small(), faces()
        quiet = copy.deepcopy(net)
        for name, parameter in quiet.named_parameters():
            if parameter.shape == (1,):
                assert "style_conv" in name
                parameter.data.zero_()
        torch.testing.assert_close(net(x, noise=net.stylegan_decoder.zero_noise())[0], quiet(x)[0])

    def test_a_list_of_another_length_is_refused(self) -> None:
        net = small()
        with pytest.raises(UsageError, match="noise"):
            net(faces(), noise=net.stylegan_decoder.zero_noise()[1:])


class TestPrepared:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"sft_half": False},
            {"different_w": False},
            {"input_is_latent": False, "different_w": False},
            {"input_is_latent": False},
            {"input_skip": True},
            {"flavour": "bilinear"},
            {"fold": 2, "input_skip": True},
            {"fold": 2, "refine": 3},
        ],
        ids=str,
    )
    def test_it_computes_the_same(self, options: dict[str, Any]) -> None:
        net, x = small(**options), faces(3)
        ready = prepare(net)
        expected, pyramid = net(x, generator=torch.Generator().manual_seed(5))
        actual, levels = ready(x, generator=torch.Generator().manual_seed(5))
        scale = float(expected.detach().std())
        torch.testing.assert_close(actual / scale, expected / scale, rtol=0, atol=2e-5)
        for level, other in zip(levels, pyramid, strict=True):
            torch.testing.assert_close(level, other, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            ready(x, randomize_noise=False, return_rgb=False)[0] / scale, net(x, randomize_noise=False)[0] / scale, rtol=0, atol=2e-5
        )

    def test_the_large_levels_too(self) -> None:
        """Weights are folded from 64 px and enlargements merged from 256 px on; a second call must not see traces of the first."""
        net = small(out_size=256, narrow=1 / 32)
        ready, x = prepare(net), faces(1, 256)
        expected, _ = net(x, randomize_noise=False)
        scale = float(expected.detach().std())
        for _ in range(2):
            actual, rgbs = ready(x, randomize_noise=False, return_rgb=False)
            torch.testing.assert_close(actual / scale, expected / scale, rtol=0, atol=2e-5)
            assert rgbs == []

    def test_its_noise_is_that_of_the_network(self) -> None:
        net = small()
        pairs = zip(
            net.make_noise(torch.Generator().manual_seed(2)), prepare(net).make_noise(torch.Generator().manual_seed(2)), strict=True
        )
        assert all(torch.equal(a, b) for a, b in pairs)

    def test_it_leaves_the_network_and_the_input_alone(self) -> None:
        net, x = small(input_skip=True), faces()
        before, picture = copy.deepcopy(net.state_dict()), x.clone()
        prepare(net)(x, randomize_noise=False)
        assert torch.equal(x, picture)
        assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())

    def test_half_precision_returns_float_close_to_it(self) -> None:
        net, x = small(out_size=64), faces(1, 64)
        expected, _ = net(x, randomize_noise=False)
        actual, rgbs = prepare(net, torch.bfloat16)(x, randomize_noise=False)
        assert actual.dtype == torch.float32 and all(level.dtype == torch.float32 for level in rgbs)
        assert 0 < (actual - expected).abs().max() / expected.std() < 0.05

    def test_original_is_refused(self) -> None:
        with pytest.raises(UsageError, match="original"):
            prepare(small(flavour="original"))

    @pytest.mark.parametrize("shape", [(2, 2), (3, 5), (9, 4)])
    def test_merged_enlargement_equals_the_plain_one_up_to_the_border(self, shape: tuple[int, int]) -> None:
        torch.manual_seed(0)
        x, weight, bias = torch.randn(2, 3, *shape).double(), torch.randn(5, 3, 3, 3).double(), torch.randn(5).double()
        plain = torch.nn.functional.conv2d(bilinear_up(x), weight, bias, padding=1)
        torch.testing.assert_close(up_conv(x, weight, merge_upsampling(weight), bias), plain)


def test_clean_of_computes_what_the_bilinear_network_does() -> None:
    net, x = small(flavour="bilinear", input_skip=True, input_is_latent=False, different_w=False), faces()
    torch.testing.assert_close(clean_of(net)(x, randomize_noise=False)[0], net(x, randomize_noise=False)[0], rtol=1e-4, atol=1e-4)


def test_pictures_of_another_size_are_refused() -> None:
    for net in (small(), prepare(small())):
        with pytest.raises(InputError, match="64"):
            net(faces(1, 64))


def test_a_fixed_decoder_does_not_learn_but_passes_gradients_on() -> None:
    net = small(fix_decoder=True)
    net(faces())[0].sum().backward()
    learning = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    assert learning and not any(name.startswith("stylegan_decoder") for name in learning)
    grad = net.conv_body_first.get_parameter("weight").grad
    assert grad is not None and grad.abs().sum() > 0


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
def test_the_stddev_channel_tells_groups_of_equal_pictures(count: int) -> None:
    equal = torch.randn(1, 4, 4, 4).expand(count, -1, -1, -1)
    torch.testing.assert_close(minibatch_stddev(equal), torch.full((count, 1, 4, 4), 1e-4), rtol=1e-3, atol=1e-6)
    different = torch.randn(count, 4, 4, 4)
    assert (minibatch_stddev(different)[:, 0, 0, 0] > 0.1).all() == (count not in (1, 5))


def test_generator_and_discriminator_work_without_gradients_lost() -> None:
    generator = StyleGAN2Generator(32, 16, 2, flavour="clean", narrow=1 / 16)
    discriminator = StyleGAN2Discriminator(32, narrow=1 / 16)
    discriminator(generator([torch.randn(4, 16), torch.randn(4, 16)])[0]).sum().backward()
    lost = [name for net in (generator, discriminator) for name, p in net.named_parameters() if p.grad is None]
    assert lost == []


def test_a_prepared_network_is_a_copy() -> None:
    net, x = small(), faces()
    prepared = prepare(net)
    before, _ = prepared(x, randomize_noise=False)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1)
    after, _ = prepared(x, randomize_noise=False)
    torch.testing.assert_close(after, before, rtol=0, atol=0)
