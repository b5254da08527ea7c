"""A small network that never learned, and restorers with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from restorer_samples import PLACES, Drift, Pointer
from safetensors.torch import save_file

from facewright.faces.identity import Identity
from facewright.nets.gfpgan import GFPGAN
from facewright.restore import Restorer


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(1)
    net = GFPGAN(out_size=64, num_style_feat=16, num_mlp=2, channels={4: 8, 8: 8, 16: 8, 32: 8, 64: 8}, input_skip=True)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(".weight") and parameter.numel() == 1:
                parameter.fill_(0.3)  # noise, which a fresh network multiplies by 0
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)
    return str(path)


@pytest.fixture
def restorer(model: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Restorer]:
    monkeypatch.setattr(Identity, "load", lambda device: Drift(0.0))  # the real judge has its own tests, and takes a while to load

    def make(places: list[tuple[int, int, int]] = PLACES, **choices: Any) -> Restorer:
        return Restorer(detector=Pointer(places), model=model, device="cpu", precision="fp32", **choices)

    return make
