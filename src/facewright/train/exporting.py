"""Trained networks as the files that ship: fp16 safetensors with a header by which `load_model` knows them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor


def save_half(
    state: Mapping[str, Tensor], path: Path, kind: str, steps: int, told: Mapping[str, str], arguments: Mapping[str, Any]
) -> None:
    """kind: what it is, a word. told: more of the header. arguments: what names and shapes leave open; {} where they say all."""
    halves = {
        name: value.detach().to("cpu", torch.float16 if value.is_floating_point() else value.dtype).contiguous()
        for name, value in state.items()
    }
    header = {"facewright": kind, "steps": str(steps), **told}
    save_file(halves, path, metadata=header | ({"arguments": json.dumps(arguments)} if arguments else {}))


def fingerprint(settings: Any) -> str:
    """Of a recipe's settings, which themselves name folders of the machine and stay at home."""
    return hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()
