"""The training loop: steps over named networks, optimisers and losses; everything a recipe should not have to say.

Moves batches to the device, casts, clips, guards against NaN, averages (EMA), logs (jsonl and TensorBoard), draws samples,
measures, keeps checkpoints, and goes on from the newest one bit for bit: a batch is a function of seed and step, and the
random generator of the noise is restored with the networks.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import yaml
from torch import Tensor, nn

from facewright.data import Batch
from facewright.errors import FacewrightError
from facewright.nets.blocks.layout import channels_last
from facewright.train import checkpoint
from facewright.train.ema import Ema

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSettings:
    """How long, how often, where; what is learned stands in the recipe's own settings."""

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
    """A loss is not a finite number."""


class Engine:
    """Runs a recipe in a folder: settings.yaml, log.jsonl, step-*.pt, samples/, export.safetensors."""

    def __init__(
        self, recipe: Recipe, run: RunSettings, folder: Path, on_step: Callable[[int, dict[str, float]], None] | None = None
    ) -> None:
        self.recipe, self.run_settings, self.folder, self.on_step = recipe, run, folder, on_step
        self.device = torch.device(pick_device(run.device))
        self.dtype = pick_dtype(run.precision, self.device)
        self.step = 0
        self.logged: dict[str, float] = {}
        self._pending: dict[str, Tensor] = {}
        torch.manual_seed(run.seed)
        for network in [*recipe.networks.values(), *(ema.network for ema in recipe.ema.values())]:
            channels_last(network.to(self.device))
        recipe.bind(self)

    def run(self) -> None:
        """Train up to `steps`, from the newest checkpoint of the folder if there is one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if (newest := checkpoint.newest(self.folder)) is not None:
            self.resume(newest)
        settings = {"recipe": asdict(self.recipe.settings), "run": asdict(self.run_settings)}
        (self.folder / "settings.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(settings)), sort_keys=False), encoding="utf-8")
        writer = _tensorboard(self.folder) if self.run_settings.tensorboard else None
        batches, started, first = self.recipe.batches(self.step), time.monotonic(), self.step
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as journal:
            while self.step < self.run_settings.steps:
                self.recipe.step(next(batches).to(self.device))
                self.step += 1
                numbers: dict[str, float] = {}
                if self._due(self.run_settings.log_every):
                    numbers = {name: round(float(value), 5) for name, value in self._pending.items()}
                    numbers["images_per_second"] = round((self.step - first) * self.run_settings.batch / (time.monotonic() - started), 2)
                    if self.on_step:
                        self.on_step(self.step, numbers)
                if self._due(self.run_settings.validate_every):
                    numbers |= {f"val/{name}": round(value, 5) for name, value in self.recipe.validate().items()}
                if numbers:
                    journal.write(json.dumps({"step": self.step, **numbers}) + "\n")
                    journal.flush()
                    for name, value in numbers.items() if writer else ():
                        writer.add_scalar(name, value, self.step)
                if self._due(self.run_settings.sample_every):
                    (self.folder / "samples").mkdir(exist_ok=True)
                    self.recipe.sample(self.folder / "samples")
                if self._due(self.run_settings.checkpoint_every):
                    self.save()
        self.save()
        if writer:
            writer.close()

    def update(self, name: str, losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
        """One optimiser step on the weighted sum; the EMA of that network follows. Losses without a weight are refused."""
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
        else:
            log.warning("step %d: the gradient of %s is not finite, step left out", self.step, name)
        if name in self.recipe.ema:
            self.recipe.ema[name].update(self.recipe.networks[name], self.step)
        self._pending |= {f"{name}/{term}": value.detach() for term, value in losses.items()} | {f"{name}/gradient": norm.detach()}

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
        recipe.export(self.folder / "export.safetensors")
        for old in sorted(self.folder.glob("step-*.pt"))[: -self.run_settings.keep_checkpoints]:
            old.unlink()

    def resume(self, path: Path) -> None:
        state, recipe = checkpoint.load(path), self.recipe
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
        log.info("going on from %s", path)

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0


def pick_device(name: str) -> str:
    """ "auto" is CUDA, then Apple's MPS, then the CPU."""
    if name != "auto":
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """ "auto" is bf16 where the processor computes in it, else fp32."""
    named = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision in named:
        return named[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        log.info('no TensorBoard curves: pip install "facewright[train]"; log.jsonl has the same numbers')
        return None
    return SummaryWriter(str(folder))  # type: ignore[no-untyped-call]
