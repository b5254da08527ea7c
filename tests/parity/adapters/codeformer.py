"""CodeFormer: network, losses of its code prediction, and what its program does to pictures before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from facewright.losses import code_cross_entropy, code_feature_loss
from facewright.nets.codeformer import (
    CodeFormer,
    Fusion,
    TransformerLayer,
    adaptive_instance_norm,
    channel_statistics,
    filled,
    white_holes,
)
from parity.following import check_keys, check_results, load
from parity.reading import Fixture

PUBLISHED_CALLS: dict[str, dict[str, Any]] = {
    "out_w0.5_adain": {"w": 0.5, "adain": True},
    "out_w0_adain": {"w": 0.0, "adain": True},
    "out_w1": {"w": 1.0, "adain": False},
}


def handles(fixture: Fixture) -> bool:
    return built(fixture) in PARTS or fixture.case in FUNCTIONS


def run(fixture: Fixture) -> None:
    if fixture.case in FUNCTIONS:
        FUNCTIONS[fixture.case](fixture)
    elif fixture.is_key_table:
        check_keys(fixture, lambda: PARTS[built(fixture)](**fixture.arguments))
    else:
        net, inputs = load(fixture, PARTS[built(fixture)](**fixture.arguments)), fixture.inputs()
        wanted = set(fixture.meta.get("gradients", {}))
        for name in wanted & set(inputs):
            inputs[name].requires_grad_(True)
        with torch.set_grad_enabled(bool(wanted)):
            check_results(fixture, CALLS[built(fixture)](fixture, net, inputs), inputs, net)


def built(fixture: Fixture) -> str:
    return (fixture.built or "").rpartition(":")[2]


PARTS: dict[str, Callable[..., nn.Module]] = {
    "CodeFormer": CodeFormer,
    "Fuse_sft_block": lambda in_ch, out_ch: Fusion(out_ch),
    "TransformerSALayer": lambda embed_dim, nhead, dim_mlp, dropout: TransformerLayer(embed_dim, nhead, dim_mlp),
}


def restored(fixture: Fixture, net: CodeFormer, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    prediction = net.predict(inputs["x"])
    results = {"logits": prediction.logits, "lq_feat": prediction.features, "codes": prediction.logits.argmax(2)}
    return results | {name: net.decode(prediction, **call) for name, call in PUBLISHED_CALLS.items() if name in fixture.meta["outputs"]}


def fused(fixture: Fixture, net: Fusion, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"out_w{w:g}": net(inputs["enc"], inputs["dec"], w) for w in (0, 0.5, 1, 1.3)}


def attended(fixture: Fixture, net: TransformerLayer, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Published are tokens x batch x channels, and a position for each of the batch; ours has one for all."""
    x, positions = inputs["x"].transpose(0, 1), inputs.get("pos")
    if positions is None:
        return {"out": net(x).transpose(0, 1)}
    each = [net(one[None], positions[:, number])[0] for number, one in enumerate(x)]
    return {"out": torch.stack(each, dim=1)}


CALLS: dict[str, Callable[..., dict[str, Tensor]]] = {"CodeFormer": restored, "Fuse_sft_block": fused, "TransformerSALayer": attended}


# Without a network -----------------------------------------------------------------------------------------------------------------------


def check_adain(fixture: Fixture) -> None:
    inputs = fixture.inputs()
    mean, deviation = channel_statistics(inputs["style"])
    content, style = inputs["content"].requires_grad_(True), inputs["style"].requires_grad_(True)
    results = {"out": adaptive_instance_norm(content, style), "style_mean": mean, "style_std": deviation}
    check_results(fixture, results, inputs)


def check_holes(fixture: Fixture) -> None:
    inputs = fixture.inputs()
    picture = torch.where(inputs["white"][:, None] == 1, torch.ones(()), inputs["image_tensor"])
    holes = white_holes(picture)
    fixture.check("mask", holes)
    fixture.check("composed", filled(picture, holes, inputs["output"]))


def check_stage2(fixture: Fixture) -> None:
    inputs, options = fixture.inputs(), fixture.call["options"]
    logits, features = inputs["logits"].requires_grad_(True), inputs["lq_feat"].requires_grad_(True)
    codes = inputs["codebook"][inputs["idx_gt"]].permute(0, 3, 1, 2)
    losses = {"cross_entropy_loss": options["ew"] * code_cross_entropy(logits, inputs["idx_gt"])}
    if options["usef"]:
        losses["l_feat_encoder"] = options["fw"] * code_feature_loss(features, codes)
    for name, loss in losses.items():
        fixture.check(name, loss)
    gradients = torch.autograd.grad(sum(losses.values(), torch.zeros(())), [logits, features], allow_unused=True)
    for name, given, gradient in zip(("logits", "lq_feat"), (logits, features), gradients, strict=True):
        fixture.check(f"grad_{name}", torch.zeros_like(given) if gradient is None else gradient)


FUNCTIONS: dict[str, Callable[[Fixture], None]] = {
    "adain": check_adain,
    "inpainting_compose": check_holes,
    "stage2_losses": check_stage2,
    "stage2_losses_ce_only": check_stage2,
}
