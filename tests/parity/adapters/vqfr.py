"""VQFR, both versions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from facewright.nets.vqfr import VQFRv1, VQFRv2
from parity.following import check_keys, check_results, load
from parity.reading import Fixture

NEVER_SET: dict[str, Any] = {"use_enc_attention": True, "use_dec_attention": True}


def handles(fixture: Fixture) -> bool:
    return (fixture.built or "").endswith(("VQFRv1", "VQFRv2"))


def run(fixture: Fixture) -> None:
    if fixture.is_key_table:
        check_keys(fixture, lambda: build(fixture))
        return
    net, inputs = build(fixture), fixture.inputs()
    load(fixture, net)
    wanted = set(fixture.meta.get("gradients", {}))
    for name in wanted & set(inputs):
        inputs[name].requires_grad_(True)
    with torch.set_grad_enabled(bool(wanted)):
        check_results(fixture, first(net, inputs["x"]) if isinstance(net, VQFRv1) else second(net, inputs["x"]), inputs, net)


def build(fixture: Fixture) -> VQFRv1 | VQFRv2:
    arguments = fixture.arguments
    if (fixture.built or "").endswith("VQFRv1"):
        return build_first(arguments)
    for name, value in NEVER_SET.items():
        assert arguments.pop(name) == value
    align, quantizer = arguments.pop("align_opt"), arguments.pop("quantizer_opt")
    assert align["cond_channels"] == arguments["inpfeat_dim"] and quantizer["code_dim"] == arguments["code_dim"]
    return VQFRv2(**arguments, num_code=quantizer["num_code"], deformable_groups=align["deformable_groups"])


def build_first(arguments: dict[str, Any]) -> VQFRv1:
    (quantizer,), align = arguments["quantizer_opt"].values(), arguments["align_opt"].values()
    assert arguments["resolution_scale_rates"] == [1, *[2] * (len(align) - 1)]
    (groups,) = {each["deformable_groups"] for each in align}
    return VQFRv1(
        **{name: arguments[name] for name in ("base_channels", "channel_multipliers", "encoder_num_blocks", "decoder_num_blocks")},
        inpfeat_dim=arguments["inpfeat_extraction_opt"]["out_dim"],
        num_code=quantizer["num_code"],
        code_dim=quantizer["code_dim"],
        deformable_groups=groups,
    )


def first(net: VQFRv1, x: Tensor) -> dict[str, Tensor]:
    result = net.code(x)
    codes = net.quantizer.only.look_up(result.codes)
    return {"dec": result.texture, "main_dec": result.picture, "z_conv": result.features, "z_quant": codes}


def second(net: VQFRv2, x: Tensor) -> dict[str, Tensor]:
    result = net.code(x, 1.0)
    found = {"main_dec": result.picture, "texture_dec": result.texture, "enc_feat": result.features, "codes": result.codes.flatten(1)}
    if x.shape[-1] < 512:
        found["main_dec_f0.3"] = net(x, 0.3)
    return found if result.logits is None else found | {"quant_logit": result.logits}
