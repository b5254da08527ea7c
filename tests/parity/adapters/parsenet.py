"""ParseNet at its published size and with its options."""

from __future__ import annotations

import torch

from facewright.nets.parsenet import ParseNet
from parity.following import check_keys
from parity.reading import Fixture


def handles(fixture: Fixture) -> bool:
    return fixture.is_key_table or (fixture.built or "").endswith("ParseNet")


def run(fixture: Fixture) -> None:
    if fixture.is_key_table:
        check_keys(fixture, lambda: ParseNet(**fixture.arguments))
        return
    net = ParseNet(**fixture.arguments)
    net.load_state_dict(fixture.state(), strict=True)
    net.train(bool(fixture.call.get("train")))
    given, wanted = fixture.inputs(), list(fixture.meta.get("gradients") or {})
    given["x"].requires_grad_(bool(wanted))
    with torch.set_grad_enabled(bool(wanted)):
        results = dict(zip(("mask", "image"), net(given["x"]), strict=True))
        if wanted:
            assert fixture.call["scalar"] == "sum(mask*w_mask)+sum(image*w_image)"
            results["scalar"] = (results["mask"] * given["w_mask"]).sum() + (results["image"] * given["w_image"]).sum()
    for name in fixture.meta["outputs"]:
        fixture.check(name, results[name])
    if wanted:
        named = dict(net.named_parameters()) | {"x": given["x"]}
        for name, derivative in zip(wanted, torch.autograd.grad(results["scalar"], [named[name] for name in wanted]), strict=True):
            fixture.check_gradient(name, derivative)
