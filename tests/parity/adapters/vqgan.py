"""CodeFormer's VQGAN: its parts, its discriminator, and the losses of its first stage."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facewright.losses import adaptive_weight, gan_loss, l1, lpips_loss, mean_distance, mse, perplexity
from facewright.nets.blocks.autoencoder import DoublingConv, HalvingConv, SelfAttention, SwishResBlock
from facewright.nets.blocks.codebook import GumbelCode, NearestCode
from facewright.nets.lpips import LPIPS
from facewright.nets.vqgan import VQGAN, Encoder, Generator, PatchDiscriminator
from parity.following import check_keys, check_results, load
from parity.reading import Fixture

SIDES = {"disc_real": (True, True), "disc_fake": (False, True), "gen": (True, False)}


def built(fixture: Fixture) -> str:
    return (fixture.built or "").rpartition(":")[2]


def handles(fixture: Fixture) -> bool:
    return built(fixture) in PARTS or without_network(fixture) is not None


def run(fixture: Fixture) -> None:
    if check := without_network(fixture):
        check(fixture)
    elif fixture.is_key_table:
        check_keys(fixture, lambda: build(fixture))
    else:
        net, inputs = load(fixture, build(fixture)), fixture.inputs()
        for name in set(fixture.meta.get("gradients", {})) & set(inputs):
            inputs[name].requires_grad_(True)
        check_results(fixture, CALLS.get(built(fixture), called)(net, inputs), inputs, net)


def build(fixture: Fixture) -> nn.Module:
    return PARTS[built(fixture)](**fixture.arguments)


def nearest(codebook_size: int, emb_dim: int, beta: float) -> NearestCode:
    return NearestCode(codebook_size, emb_dim, beta)


def gumbel(codebook_size: int, emb_dim: int, num_hiddens: int, straight_through: bool, kl_weight: float, temp_init: float) -> GumbelCode:
    return GumbelCode(codebook_size, num_hiddens, emb_dim, straight_through=straight_through, kl_weight=kl_weight, temperature=temp_init)


PARTS: dict[str, Callable[..., nn.Module]] = {
    "AttnBlock": lambda in_channels: SelfAttention(in_channels),
    "ResBlock": lambda in_channels, out_channels: SwishResBlock(in_channels, out_channels, shortcut="conv_out"),
    "Downsample": lambda in_channels: HalvingConv(in_channels),
    "Upsample": lambda in_channels: DoublingConv(in_channels),
    "VectorQuantizer": nearest,
    "GumbelQuantizer": gumbel,
    "Encoder": Encoder,
    "Generator": Generator,
    "VQAutoEncoder": VQGAN,
    "VQGANDiscriminator": PatchDiscriminator,
}


def called(net: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    out = {"out": net(inputs["x"])}
    first = next((module for module in net.modules() if isinstance(module, nn.BatchNorm2d)), None)
    return out if first is None else out | {"running_mean_after": first.running_mean, "running_var_after": first.running_var}


def coded(net: VQGAN, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    result = net.code(inputs["x"])
    assert isinstance(net.quantize, NearestCode)
    return {
        "out": result.picture,
        "codebook_loss": result.codebook_loss,
        "perplexity": perplexity(result.codes, len(net.quantize.embedding.weight)),
        "min_encoding_indices": result.codes.reshape(-1, 1),
        "encoder": result.features,
    }


def quantized(net: NearestCode, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    if "indices" in inputs:
        feat = net.look_up(inputs["indices"].view(2, 3, 4))
        return {"feat": feat, "feat_flat": feat.permute(0, 2, 3, 1).reshape(-1, feat.shape[1])}
    codes, loss, numbers = net(inputs["z"])
    return {
        "z_q": codes,
        "loss": loss,
        "perplexity": perplexity(numbers, len(net.embedding.weight)),
        "mean_distance": mean_distance(inputs["z"], net.embedding.weight),
        "min_encoding_indices": numbers.reshape(-1, 1),
    }


def drawn(net: GumbelCode, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    codes, divergence, numbers = net(inputs["z"], inputs["gumbels"])
    return {"z_q": codes, "kl": divergence, "min_encoding_indices": numbers}


CALLS: dict[str, Callable[..., dict[str, Tensor]]] = {"VQAutoEncoder": coded, "VectorQuantizer": quantized, "GumbelQuantizer": drawn}


# Without a network -----------------------------------------------------------------------------------------------------------------------


def without_network(fixture: Fixture) -> Callable[[Fixture], None] | None:
    starts = {"ganloss_": check_game, "adaptive_weight_": check_adaptive_weight, "pixel_losses": check_pixels, "lpips_": check_lpips}
    return next((check for start, check in starts.items() if fixture.case.startswith(start)), None)


def check_game(fixture: Fixture) -> None:
    inputs, options = fixture.inputs(), fixture.call["args"]
    score = inputs["pred"].requires_grad_(True)
    loss = partial(
        gan_loss,
        score,
        options["gan_type"],
        real_label=options["real_label_val"],
        fake_label=options["fake_label_val"],
        loss_weight=options["loss_weight"],
    )
    results = {name: loss(target_is_real=real, is_discriminator=discriminator) for name, (real, discriminator) in SIDES.items()}
    for name, result in results.items():
        fixture.check(name, result)
    total = results["gen"] + 2 * results["disc_real"] + 3 * results["disc_fake"]
    fixture.check_gradient("pred", torch.autograd.grad(total, score)[0])


def check_adaptive_weight(fixture: Fixture) -> None:
    inputs = fixture.inputs()
    weight = inputs["weight"].requires_grad_(True)
    y = F.conv2d(inputs["x"], weight, padding=1)
    losses = l1(y, inputs["target"]), -(y * inputs["k"]).mean()
    fixture.check("recon_loss", losses[0])
    fixture.check("g_loss", losses[1])
    fixture.check("d_weight_max1", adaptive_weight(*losses, weight))
    fixture.check("d_weight_unclamped", adaptive_weight(*losses, weight, largest=1e4))
    fixture.check_gradient("weight", torch.autograd.grad(losses[0], weight)[0])


def check_pixels(fixture: Fixture) -> None:
    inputs = fixture.inputs()
    pred, target, weight = inputs["pred"].requires_grad_(True), inputs["target"], inputs["weight"]
    results = {
        "l1": 0.7 * l1(pred, target),
        "l1_weighted_map": l1(pred, target, weight),
        "l1_sum": l1(pred, target, weight, "sum"),
        "mse": 2 * mse(pred, target),
    }
    for name, result in results.items():
        fixture.check(name, result)
    fixture.check_gradient("pred", torch.autograd.grad(torch.stack([*results.values()]).sum(), pred)[0])


def check_lpips(fixture: Fixture) -> None:
    options, net = fixture.arguments, LPIPS("vgg").eval()
    state = {name.removeprefix("perceptual."): value for name, value in fixture.state().items()}
    kept = net.load_state_dict(state, strict=False)
    # the heads' second names, and constants
    assert not kept.unexpected_keys and all(name.startswith(("lins.", "scaling_layer.")) for name in kept.missing_keys)
    inputs = fixture.inputs()
    pred = inputs["pred"].requires_grad_(True)
    norms = {name: options[name] for name in ("range_norm", "use_input_norm")}
    loss = options["loss_weight"] * lpips_loss(net, pred, inputs["target"], **norms)
    fixture.check("loss", loss)
    fixture.check_gradient("pred", torch.autograd.grad(loss, pred)[0])
