"""How much memory there is, and whether an exception says that there was too little."""

from __future__ import annotations

import os
from pathlib import Path

import torch

SAID = ("out of memory", "allocate memory", "not enough memory", "bad_alloc", "could not create a memory")
"""What allocators write into a plain RuntimeError: PyTorch's on a processor, Apple's, C++'s, oneDNN's."""
UNKNOWN = 2**31


def free_memory(device: torch.device) -> int:
    """Bytes that a process may still take on the device; 2 GiB where the system does not say."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + cached)
    if device.type == "mps":
        most = getattr(torch.mps, "recommended_max_memory", None)  # since PyTorch 2.5
        return int(most() - torch.mps.driver_allocated_memory()) if most else UNKNOWN
    return min(_system(), _container())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is an allocator's complaint, of whatever type."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in SAID)


def release(device: torch.device) -> None:
    """Give cached blocks back, so that smaller ones fit."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _system() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, OSError, ValueError):
        return UNKNOWN


def _container() -> int:
    """What the control group (version 2) leaves; without a limit a very large number."""
    group = Path("/sys/fs/cgroup")
    try:
        return max(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()), 0)
    except (OSError, ValueError):
        return 2**62
