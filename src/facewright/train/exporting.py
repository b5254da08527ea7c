"""Trained networks as the files that ship: fp16 safetensors with a header by which `load_model` knows them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facewright.weights.header import header_of, written


def save_half(state: Mapping[str, Tensor], path: Path, architecture: str, arguments: Mapping[str, Any], **said: object) -> None:
    """architecture, arguments, said: see `weights.header.header_of`; nobody has said yet under which licence it is."""
    halves = {name: value.detach().to("cpu", torch.float16 if value.is_floating_point() else value.dtype) for name, value in state.items()}
    path.write_bytes(written(halves, header_of(architecture, arguments, licence="", **said)))


def fingerprint(settings: Any) -> str:
    """Of a recipe's settings, which themselves name folders of the machine and stay at home."""
    return hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()
