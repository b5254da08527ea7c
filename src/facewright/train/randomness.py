"""The state of torch's own random generators: what a run's noise comes from, kept with it and left alone by everything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def random_state(device: torch.device) -> list[Tensor]:
    """The processor's generator and, where `device` is another, that one's."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return states


def restore_random_state(device: torch.device, states: list[Tensor]) -> None:
    """What `random_state` gave; the accelerator's is left alone where the state comes from a machine without one."""
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps" and len(states) > 1:
        torch.mps.set_rng_state(states[1])


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """What is drawn inside is not missing afterwards: looking at a run does not change its course."""
    before = random_state(device)
    try:
        yield
    finally:
        restore_random_state(device, before)
