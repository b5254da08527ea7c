"""What a run leaves behind, in forms that compare: in memory and on the disk."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from facewright.train import Engine


def state_of(engine: Engine) -> dict[str, Tensor]:
    """Everything that goes on, by name: networks, moments of the optimisers, averages, the generator of the noise."""
    recipe = engine.recipe
    found = {f"{n}.{k}": v for n, net in recipe.networks.items() for k, v in net.state_dict().items()}
    found |= {f"ema.{n}.{k}": v for n, ema in recipe.ema.items() for k, v in ema.network.state_dict().items()}
    for name, optimizer in recipe.optimizers.items():
        for number, slot in optimizer.state_dict()["state"].items():
            found |= {f"{name}.adam.{number}.{k}": torch.as_tensor(v) for k, v in slot.items()}
    return found | {"random": torch.get_rng_state()}


def assert_same_state(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert not [name for name in one if not torch.equal(one[name], other[name])]


def left_behind(folder: Path) -> dict[str, object]:
    """What a run leaves that is no matter of time: the last checkpoint, log lines, samples, the exported file."""
    last = max(folder.glob("step-*.pt"))
    state = torch.load(last, weights_only=True)
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {
        "checkpoint": (last.name, _flat(state)),
        "log": [{key: value for key, value in line.items() if key != "images_per_second"} for line in log],
        "samples": {p.name: p.read_bytes() for p in (folder / "samples").iterdir()},
        "export": (folder / "export.safetensors").read_bytes(),
        "parts": [p.name for p in folder.rglob("*.part")],
    }


def _flat(value: object, name: str = "") -> dict[str, object]:
    """Leaves by their path; tensors as bytes, so that they compare."""
    if isinstance(value, Tensor):
        return {name: (str(value.dtype), tuple(value.shape), value.contiguous().numpy().tobytes())}
    if isinstance(value, dict):
        return {k: v for key, inner in value.items() for k, v in _flat(inner, f"{name}.{key}").items()}
    if isinstance(value, (list, tuple)):
        return {k: v for key, inner in enumerate(value) for k, v in _flat(inner, f"{name}.{key}").items()}
    return {name: value}
