"""Several processes that train one model: `torchrun` or `accelerate launch` starts them, each takes its share of every batch.

Only torch.distributed is used: gloo between processors, NCCL between GPUs. Each process walks the same steps with the same random
numbers; gradients are averaged before each update, so that all processes hold the same networks, and the first of them writes.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from facewright.errors import FacewrightError, UsageError
from facewright.weights.device import pick_device

T = TypeVar("T")

PATIENCE = timedelta(hours=1)
"""So long the others wait for the one that validates or writes."""
FAREWELL = 30.0


class LostProcess(FacewrightError):
    """Another process of the run is gone, or cannot be reached."""


@dataclass(frozen=True)
class Processes:
    """This process among those of the run; rank 0 of world 1 where it is alone."""

    rank: int = 0
    world: int = 1

    def average(
        self, parameters: Sequence[nn.Parameter], numbers: Mapping[str, Tensor], names: Sequence[str], asked: bool
    ) -> tuple[dict[str, Tensor], bool]:
        """Replace gradients by their mean over the processes, in one message; of `numbers` the means, and whether anybody `asked`.

        numbers: scalars by name; names: those that any process may have, in the same order everywhere. A process that lacks a gradient
        which another has counts as zero there, one that lacks a number is left out of its mean. Raises LostProcess.
        """
        first = parameters[0]
        zero, one = (torch.full((), value, device=first.device) for value in (0.0, 1.0))
        parts = [(torch.zeros_like(p) if p.grad is None else p.grad).float().reshape(-1) for p in parameters]
        parts += [torch.stack([zero if p.grad is None else one for p in parameters])]
        parts += [torch.stack([numbers[name].to(zero) if name in numbers else zero for name in names])]
        parts += [torch.stack([one if name in numbers else zero for name in names]), torch.stack([one if asked else zero])]
        joint = torch.cat(parts)
        with _others_needed():
            dist.all_reduce(joint)

        *sums, have, values, counts, anybody = torch.split(joint, [part.numel() for part in parts])
        for parameter, total, holders in zip(parameters, sums, have.tolist(), strict=True):
            mean = (total / self.world).view(parameter.shape).to(parameter.dtype)
            if not holders:
                parameter.grad = None
            elif parameter.grad is None:
                parameter.grad = mean
            else:
                parameter.grad.copy_(mean)  # keeps the layout in memory
        means = {name: values[i] / counts[i] for i, name in enumerate(names) if counts[i]}
        return means, bool(anybody)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of `value` over the processes. Raises LostProcess."""
        if self.world == 1:
            return value
        joint = value.detach().clone()
        with _others_needed():
            dist.all_reduce(joint)
        return joint / self.world

    def agree(self, tensors: Iterable[Tensor]) -> None:
        """Give every process the first one's values. Raises LostProcess."""
        if self.world > 1:
            with _others_needed():
                for tensor in tensors:
                    whole = tensor.detach().contiguous()
                    dist.broadcast(whole, 0)
                    tensor.detach().copy_(whole)

    def told(self, work: Callable[[], T]) -> T:
        """What `work` gives, or raises as a FacewrightError, on the first process: on every one of them. Raises LostProcess."""
        if self.world == 1:
            return work()
        found: list[object] = [None]
        if self.rank == 0:
            try:
                found = [work()]
            except FacewrightError as error:
                found = [error]
        with _others_needed():
            dist.broadcast_object_list(found, 0)
        if isinstance(found[0], FacewrightError):
            self.part()
            raise found[0]
        return cast(T, found[0])

    def part(self) -> None:
        """Before a process ends: nobody hangs up while another still listens, and the first, whom all ask, is the last to go.

        One that is lost is not waited for long: what was to do together is done.
        """
        if self.world > 1 and _meeting_place:
            store, until = _meeting_place[0], time.monotonic() + FAREWELL
            with contextlib.suppress(RuntimeError):
                for word in ("facewright is done", "facewright is going"):
                    said = store.add(word, 1)
                    turn = -(-said // self.world)  # a process may train more than once
                    if word == "facewright is done" or self.rank == 0:
                        while store.add(word, 0) < turn * self.world and time.monotonic() < until:
                            time.sleep(0.01)


def join(device: str) -> tuple[Processes, torch.device]:
    """Find the other processes of the run, if there are any, and this one's device: "auto" and "cuda" are one GPU a process.

    Raises UsageError where the environment is incomplete or has more processes than GPUs.
    """
    chosen = pick_device(device)
    world = dist.get_world_size() if _joined() else int(os.environ.get("WORLD_SIZE") or 1)
    if world == 1:
        return Processes(), chosen
    if chosen.type == "cuda":
        if chosen.index is None:
            chosen = pick_device(f"cuda:{int(os.environ.get('LOCAL_RANK') or 0)}")
        torch.cuda.set_device(chosen)
    if not _joined():
        if missing := [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
            raise UsageError(
                f"cannot find the other processes of {world}",
                f"WORLD_SIZE is set and {missing[0]} is not",
                "start with torchrun or accelerate launch, or unset WORLD_SIZE",
            )
        with _others_needed():
            store, rank, world = next(rendezvous("env://", timeout=PATIENCE))
            backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
            dist.init_process_group(backend, timeout=PATIENCE, store=store, rank=rank, world_size=world)
        _meeting_place.append(store)
        atexit.register(_leave)
    return Processes(dist.get_rank(), world), chosen


_meeting_place: list[Any] = []
"""Where this process can be heard by the others besides, once it has joined them itself."""


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()


def _leave() -> None:
    if _joined():
        dist.destroy_process_group()


@contextlib.contextmanager
def _others_needed() -> Iterator[None]:
    try:
        yield
    except RuntimeError as problem:
        why = (str(problem).splitlines() or ["no answer"])[0]
        raise LostProcess("another process of the run is gone", why, "see what it said itself; then start all of them again") from problem
