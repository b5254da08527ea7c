"""How long a run takes, how often it says something, and where: the half of a preset that no recipe needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from facewright.errors import UsageError
from facewright.train.guards import ON_NAN

TRAINS_IN = ("fp32", "bf16")  # fp16 would need its losses scaled


@dataclass(frozen=True)
class RunSettings:
    """How long, how often, where; what is learned stands in the recipe's own settings.

    batch: pictures a step, over all processes. accumulate: parts into which each process's share of it is split, one after the other
    through the networks; the gradient is that of the whole batch. device: "auto" or torch's name. precision: "auto", "fp32" or "bf16"
    (fp16 would need its losses scaled). on_nan: "stop" or "skip", see FiniteGuard. *_every: in steps, 0 is never. keep_checkpoints: at
    least 1. best: the number of the validation by which export-best.safetensors is chosen, "-" before it where less is better.
    clip_norm: largest norm of a network's gradient. Raises UsageError for what makes no sense.
    """

    steps: int = 100_000
    batch: int = 8
    accumulate: int = 1
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    on_nan: str = "stop"
    log_every: int = 50
    sample_every: int = 1000
    checkpoint_every: int = 500
    validate_every: int = 1000
    keep_checkpoints: int = 2
    best: str = ""
    clip_norm: float = 10.0
    tensorboard: bool = True

    def __post_init__(self) -> None:
        least = {"steps": 0, "batch": 1, "accumulate": 1, "keep_checkpoints": 1}
        least |= {"log_every": 0, "sample_every": 0, "checkpoint_every": 0, "validate_every": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise UsageError(f"run.{name} cannot be {getattr(self, name)}", f"it is at least {low}")
        if not self.clip_norm > 0:
            raise UsageError(f"run.clip_norm cannot be {self.clip_norm:g}", "it is over 0")
        for name, allowed in (("precision", ("auto", *TRAINS_IN)), ("on_nan", ON_NAN)):
            if getattr(self, name) not in allowed:
                raise UsageError(f"run.{name} cannot be {getattr(self, name)!r}", what_to_do=f"use one of: {', '.join(allowed)}")
        self.check_shares(1)

    def check_shares(self, world: int) -> None:
        """Raises UsageError where `world` processes and their parts cannot share the batch evenly."""
        if self.batch % (world * self.accumulate):
            among = (
                f"{world} processes with {self.accumulate} parts each" if world > 1 else f"{self.accumulate} equal parts (run.accumulate)"
            )
            raise UsageError(
                f"run.batch cannot be {self.batch}",
                f"it does not split into {among}",
                f"use a multiple of {world * self.accumulate}, or another run.accumulate",
            )
