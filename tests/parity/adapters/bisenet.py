"""BiSeNet: three maps, and the features they were made from."""

from __future__ import annotations

import torch

from facewright.nets.bisenet import BiSeNet
from parity.following import check_keys, load
from parity.reading import Fixture

OUTPUTS = ("out", "out16", "out32", "feat", "feat16", "feat32")


def handles(fixture: Fixture) -> bool:
    return fixture.is_key_table or (fixture.built or "").endswith("BiSeNet")


def run(fixture: Fixture) -> None:
    if fixture.is_key_table:
        check_keys(fixture, lambda: BiSeNet(**fixture.arguments))
        return
    net = load(fixture, BiSeNet(**fixture.arguments))
    with torch.inference_mode():
        results = net(fixture.inputs()["x"], **fixture.call)
    assert len(results) == len(fixture.meta["outputs"])
    for name, result in zip(OUTPUTS, results, strict=False):
        fixture.check(name, result)
