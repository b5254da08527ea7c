"""The training loop: steps over named networks, optimisers and losses; everything a recipe should not have to say.

Moves batches to the device, casts, clips, guards against divergence, averages (EMA), logs (jsonl and TensorBoard), draws samples,
measures, keeps checkpoints, and goes on from the newest readable one bit for bit: a batch is a function of seed and step, and the
random generator of the noise is restored with the networks.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import torch
import yaml
from torch import Tensor, nn

from facewright.data import Batch
from facewright.errors import FacewrightError, InputError, OutputError, UsageError
from facewright.nets.blocks.layout import channels_last
from facewright.train import checkpoint
from facewright.train.ema import Ema
from facewright.weights.device import PRECISIONS, pick_device

log = logging.getLogger(__name__)

TRAINS_IN = ("fp32", "bf16")  # fp16 would need its losses scaled
LEFT_OUT_LIMIT = 10
"""So many steps in a row without a finite gradient are no accident any more: the network has left the numbers it can come back from."""


@dataclass(frozen=True)
class RunSettings:
    """How long, how often, where; what is learned stands in the recipe's own settings.

    device: "auto" or torch's name. precision: "auto", "fp32" or "bf16" (fp16 would need its losses scaled). *_every: in steps, 0 is
    never. keep_checkpoints: at least 1. clip_norm: largest norm of a network's gradient. Raises UsageError for what makes no sense.
    """

    steps: int = 100_000
    batch: int = 8
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    log_every: int = 50
    sample_every: int = 1000
    checkpoint_every: int = 500
    validate_every: int = 1000
    keep_checkpoints: int = 2
    clip_norm: float = 10.0
    tensorboard: bool = True

    def __post_init__(self) -> None:
        least = {
            "steps": 0,
            "batch": 1,
            "log_every": 0,
            "sample_every": 0,
            "checkpoint_every": 0,
            "validate_every": 0,
            "keep_checkpoints": 1,
        }
        for name, low in least.items():
            if getattr(self, name) < low:
                raise UsageError(f"run.{name} cannot be {getattr(self, name)}", f"it is at least {low}")
        if not self.clip_norm > 0:
            raise UsageError(f"run.clip_norm cannot be {self.clip_norm:g}", "it is over 0")
        if self.precision not in ("auto", *TRAINS_IN):
            raise UsageError(f"run.precision cannot be {self.precision!r}", what_to_do=f"use one of: auto, {', '.join(TRAINS_IN)}")


class Recipe(Protocol):
    """What an algorithm brings: its networks and one step over them."""

    networks: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    ema: dict[str, Ema]
    settings: Any

    def bind(self, engine: Engine) -> None: ...
    def batches(self, start: int) -> Iterator[Batch]: ...
    def step(self, batch: Batch) -> None: ...
    def sample(self, folder: Path) -> None: ...
    def validate(self) -> dict[str, float]: ...
    def export(self, path: Path) -> None: ...


class Diverged(FacewrightError):
    """A loss, or the gradient of a network time after time, is not a finite number."""


class Engine:
    """Runs a recipe in a folder: settings.yaml, log.jsonl, step-*.pt, samples/, export.safetensors."""

    def __init__(
        self, recipe: Recipe, run: RunSettings, folder: Path, on_step: Callable[[int, dict[str, float]], None] | None = None
    ) -> None:
        self.recipe, self.run_settings, self.folder, self.on_step = recipe, run, folder, on_step
        self.device = pick_device(run.device)
        self.dtype = pick_dtype(run.precision, self.device)
        self.step = 0
        self._saved_at = -1
        self._pending: dict[str, Tensor] = {}
        self._left_out: Counter[str] = Counter()
        torch.manual_seed(run.seed)
        for network in [*recipe.networks.values(), *(ema.network for ema in recipe.ema.values())]:
            channels_last(network.to(self.device))
        recipe.bind(self)

    def run(self) -> None:
        """Train up to `steps`, from the newest readable checkpoint of the folder if there is one.

        Raises Diverged; InputError where the folder's checkpoints are of other networks or cannot be read; OutputError (full disk, ...).
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if (found := checkpoint.newest(self.folder)) is not None:
                self.resume(*found)
            settings = {"recipe": asdict(self.recipe.settings), "run": asdict(self.run_settings)}
            told = yaml.safe_dump(json.loads(json.dumps(settings)), sort_keys=False)
            (self.folder / "settings.yaml").write_text(told, encoding="utf-8")
            self._train()
        except OSError as problem:
            why = problem.strerror or str(problem)
            raise OutputError(
                f"cannot write to the run folder {self.folder}", why, "free some space, or choose another with --run"
            ) from problem

    def _train(self) -> None:
        s, first, started = self.run_settings, self.step, time.monotonic()
        writer = _tensorboard(self.folder) if s.tensorboard else None
        batches = self.recipe.batches(self.step)
        try:
            with self._journal() as journal:
                while self.step < s.steps:
                    self.recipe.step(next(batches).to(self.device))
                    self.step += 1
                    numbers: dict[str, float] = {}
                    if self._due(s.log_every):
                        numbers = {name: round(float(value), 5) for name, value in self._pending.items()}
                        numbers["images_per_second"] = round((self.step - first) * s.batch / (time.monotonic() - started), 2)
                        if self.on_step:
                            self.on_step(self.step, numbers)
                    if self._due(s.validate_every):
                        numbers |= {f"val/{name}": round(value, 5) for name, value in self.recipe.validate().items()}
                    if numbers:
                        journal.write(json.dumps({"step": self.step, **numbers}) + "\n")
                        journal.flush()
                        if writer is not None:
                            for name, value in numbers.items():
                                writer.add_scalar(name, value, self.step)
                    if self._due(s.sample_every):
                        (self.folder / "samples").mkdir(exist_ok=True)
                        self.recipe.sample(self.folder / "samples")
                    if self._due(s.checkpoint_every):
                        self.save()
            if self._saved_at != self.step:
                self.save()
        finally:
            if writer is not None:
                writer.close()
            if hasattr(batches, "close"):
                batches.close()  # ends the threads that work ahead

    def update(self, name: str, losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
        """One optimiser step on the weighted sum; the EMA of that network follows.

        A step whose gradient is not finite is left out. Raises Diverged for a loss that is not finite, or after LEFT_OUT_LIMIT steps
        left out in a row; UsageError for a loss without a weight.
        """
        if missing := [term for term in losses if term not in weights]:
            raise UsageError(f"the loss {missing[0]} of {name} has no weight", what_to_do=f"set it, or set it to 0: {', '.join(losses)}")
        total = torch.stack([weights[term] * value.float() for term, value in losses.items()]).sum()
        if not torch.isfinite(total):
            bad = [term for term, value in losses.items() if not torch.isfinite(value)] or ["their sum"]
            raise Diverged(
                f"training diverged at step {self.step}",
                f"{', '.join(bad)} of {name} is not finite",
                "resume from the last checkpoint with a lower learning rate",
            )
        optimizer = self.recipe.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.run_settings.clip_norm)
        if torch.isfinite(norm):
            optimizer.step()
            self._left_out[name] = 0
        else:
            self._leave_out(name)
        if name in self.recipe.ema:
            self.recipe.ema[name].update(self.recipe.networks[name], self.step)
        self._pending |= {f"{name}/{term}": value.detach() for term, value in losses.items()} | {f"{name}/gradient": norm.detach()}

    def _leave_out(self, name: str) -> None:
        """One bad batch is passed over. A network whose outputs have exploded has finite losses and no finite gradient ever again."""
        log.warning("step %d: the gradient of %s is not finite, step left out", self.step, name)
        self._left_out[name] += 1
        if self._left_out[name] >= LEFT_OUT_LIMIT:
            raise Diverged(
                f"training diverged at step {self.step}",
                f"the gradient of {name} has not been a finite number for {LEFT_OUT_LIMIT} steps",
                f"lower the learning rate of {name}, and remove the newest checkpoints so that an older one is resumed",
            )

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def save(self) -> None:
        """Checkpoint and export; older checkpoints beyond the kept number are removed afterwards."""
        recipe = self.recipe
        state = {
            "step": self.step,
            "networks": {name: network.state_dict() for name, network in recipe.networks.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in recipe.optimizers.items()},
            "ema": {name: ema.network.state_dict() for name, ema in recipe.ema.items()},
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if self.device.type == "cuda" else [],
        }
        checkpoint.save(self.folder / f"step-{self.step:08d}.pt", state)
        with checkpoint.appears_whole(self.folder / "export.safetensors") as part:
            recipe.export(part)
        for old in sorted(self.folder.glob("step-*.pt"))[: -self.run_settings.keep_checkpoints]:
            old.unlink()
        self._saved_at = self.step

    def resume(self, path: Path, state: Mapping[str, Any] | None = None) -> None:
        """Go on from a checkpoint (`state`: what it holds, where it is read already). Raises InputError where it does not fit."""
        try:
            self._take(checkpoint.load(path) if state is None else state)
        except (KeyError, RuntimeError, ValueError, TypeError) as problem:
            raise InputError(
                f"cannot go on from {path}",
                "it is of another recipe or of networks of other sizes",
                "use its own settings, or a new run folder",
            ) from problem
        log.info("going on from %s", path)

    def _take(self, state: Mapping[str, Any]) -> None:
        recipe = self.recipe
        for name, network in recipe.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, optimizer in recipe.optimizers.items():
            # a changed learning rate in the settings wins over the one in the checkpoint
            rates = [group["lr"] for group in optimizer.param_groups]
            optimizer.load_state_dict(state["optimizers"][name])
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
        for name, ema in recipe.ema.items():
            ema.network.load_state_dict(state["ema"][name])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and state["random_cuda"]:
            torch.cuda.set_rng_state_all(state["random_cuda"])
        self.step = int(state["step"])

    def _journal(self) -> TextIO:
        """log.jsonl to append to, without the lines after the step that is gone on from: those steps are done again."""
        path = self.folder / "log.jsonl"
        if path.exists():
            kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= self.step]
            with checkpoint.appears_whole(path) as part:
                part.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        return path.open("a", encoding="utf-8")

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """ "auto" is bf16 where the processor computes in it, else fp32."""
    if precision in PRECISIONS:
        return PRECISIONS[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def _step_of(line: str) -> float:
    """The step of a log line; a torn one belongs to no step."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info('no TensorBoard curves: pip install "facewright[train]"; log.jsonl has the same numbers')
        return None
    return SummaryWriter(str(folder))
