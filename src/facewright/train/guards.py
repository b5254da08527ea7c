"""What ends a run, or would: numbers that are none, and memory that is not there. Said once, with the settings that help."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from facewright.errors import FacewrightError

log = logging.getLogger(__name__)

ON_NAN = ("stop", "skip")
LEFT_OUT_LIMIT = 10
"""So many updates of a network left out in a row are no accident any more: it has left the numbers it can come back from."""

THE_SUM = "their sum"


class Diverged(FacewrightError):
    """A loss, or the gradient of a network, is not a finite number; with "skip", time after time."""


class OutOfMemory(FacewrightError):
    """A step does not fit into the memory."""


class FiniteGuard:
    """Decides over each update. on_nan: "stop" ends the run at the first bad number, "skip" after LEFT_OUT_LIMIT in a row."""

    def __init__(self, on_nan: str, speaks: bool = True) -> None:
        self.on_nan, self.speaks = on_nan, speaks
        self.in_a_row: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()

    def passes(self, network: str, step: int, losses: Mapping[str, Tensor], norm: Tensor) -> bool:
        """Whether the update may be made. losses: by name, with their weighted sum as THE_SUM; norm: of the gradient. Raises Diverged.

        A loss without a gradient can be infinite, and a network whose outputs have exploded has finite losses and no finite gradient:
        both are looked at.
        """
        total, length = torch.stack([losses[THE_SUM], norm.to(losses[THE_SUM])]).tolist()  # one wait for the device
        if math.isfinite(total) and math.isfinite(length):
            self.in_a_row[network] = 0
            return True
        if math.isfinite(total):
            bad, verb = f"the gradient of {network}", "is"
        else:
            terms = [term for term, value in losses.items() if term != THE_SUM and not torch.isfinite(value)] or [THE_SUM]
            bad, verb = f"{', '.join(terms)} of {network}", "is" if len(terms) == 1 else "are"
        if self.on_nan == "stop":
            raise Diverged(
                f"training diverged at step {step}",
                f"{bad} {verb} not finite",
                f"go on from the last checkpoint with a lower learning rate of {network}, or leave such updates out with run.on_nan=skip",
            )
        self.in_a_row[network] += 1
        self.left_out[network] += 1
        if self.speaks:
            log.warning("step %d: %s %s not finite, update left out (%d so far)", step, bad, verb, self.left_out[network])
        if self.in_a_row[network] >= LEFT_OUT_LIMIT:
            raise Diverged(
                f"training diverged at step {step}",
                f"{bad} {verb} not finite, and so were the {LEFT_OUT_LIMIT - 1} updates of it before",
                f"lower the learning rate of {network}, and remove the newest checkpoints so that an older one is resumed",
            )
        return False

    def state(self) -> dict[str, dict[str, int]]:
        return {"in_a_row": dict(self.in_a_row), "left_out": dict(self.left_out)}

    def restore(self, state: Mapping[str, Mapping[str, int]]) -> None:
        self.in_a_row, self.left_out = Counter(state.get("in_a_row", {})), Counter(state.get("left_out", {}))


@contextmanager
def memory_watched(advice: Callable[[], tuple[str, str]]) -> Iterator[None]:
    """Say in one line that the memory was not enough. advice: asked then for why, and what to do. Raises OutOfMemory."""
    try:
        yield
    except (RuntimeError, MemoryError) as problem:
        if not _of_memory(problem):
            raise
        raise OutOfMemory("there is not enough memory for a training step", *advice()) from problem


def _of_memory(problem: BaseException) -> bool:
    """CUDA has an error of its own for it, processors a sentence, NumPy Python's."""
    if isinstance(problem, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return any(sign in str(problem) for sign in ("DefaultCPUAllocator", "can't allocate memory", "out of memory"))
