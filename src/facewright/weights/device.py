"""Where a network runs, and in which numbers: one choice for restoring and training."""

from __future__ import annotations

import torch

from facewright.errors import UsageError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(device: str | torch.device = "auto") -> torch.device:
    """ "auto" is CUDA, then Apple's MPS, then the CPU. Raises UsageError for a device that does not exist or is not here."""
    there = {"cpu": True, "meta": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if there[name]))
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise UsageError(f"there is no device {str(device)!r}", what_to_do="use auto, cpu, cuda or mps") from None
    if not there.get(chosen.type, False) or (chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count()):
        raise UsageError(f"the device {device} is not on this machine", what_to_do="use auto or cpu; see: facewright doctor")
    return chosen
