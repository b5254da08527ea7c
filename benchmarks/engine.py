"""What the training engine costs a step, beside the same updates written out by hand in the same run.

Two tiny networks, so that next to nothing but the bookkeeping is left: losses weighed and looked at, gradients clipped and checked, the
average, the log. Times are of the processor, the best of several rounds, in turn.

    python benchmarks/engine.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facewright.data import Batch
from facewright.train import Engine, RunSettings
from facewright.train.ema import Ema


@dataclass(frozen=True)
class Settings:
    rate: float = 1e-3


class Tiny:
    """A generator and a critic of one and two convolutions."""

    def __init__(self, batch: int) -> None:
        torch.manual_seed(0)
        self.settings, self.batch = Settings(), batch
        critic = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 1))
        self.networks: dict[str, nn.Module] = {"generator": nn.Conv2d(3, 3, 3, padding=1), "critic": critic}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(network.parameters(), self.settings.rate) for name, network in self.networks.items()
        }
        self.ema = {"generator": Ema(self.networks["generator"], 100.0, batch)}

    def bind(self, engine: Engine) -> None:
        self.engine = engine

    def batches(self, start: int) -> Iterator[Batch]:
        clean = torch.rand(self.batch, 3, 8, 8)
        while True:
            yield Batch(clean / 2, clean)

    def restored(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        restored = self.networks["generator"](batch.damaged)
        return restored, {"pixel": F.l1_loss(restored, batch.clean), "score": -self.networks["critic"](restored).mean()}

    def judged(self, batch: Batch, restored: Tensor) -> dict[str, Tensor]:
        critic = self.networks["critic"]
        return {"hinge": (1 + critic(restored.detach())).relu().mean() + (1 - critic(batch.clean)).relu().mean()}

    def step(self, batch: Batch) -> None:
        restored, losses = self.restored(batch)
        self.engine.update("generator", losses, {"pixel": 1.0, "score": 0.1})
        self.engine.update("critic", self.judged(batch, restored), {"hinge": 1.0})

    def sample(self, folder: Path) -> None: ...

    def validate(self) -> dict[str, float]:
        return {}

    def export(self, path: Path) -> None:
        path.write_bytes(b"")


def by_hand(steps: int, batch_size: int) -> float:
    """Seconds a step of the same updates, without checks, clipping and log."""
    recipe = Tiny(batch_size)
    generator, critic = recipe.optimizers["generator"], recipe.optimizers["critic"]
    batches = recipe.batches(0)
    began = time.process_time()
    for step in range(steps):
        batch = next(batches)
        restored, losses = recipe.restored(batch)
        generator.zero_grad()
        (losses["pixel"] + 0.1 * losses["score"]).backward()
        generator.step()
        recipe.ema["generator"].update(recipe.networks["generator"], step)
        loss = recipe.judged(batch, restored)["hinge"]
        critic.zero_grad()
        loss.backward()
        critic.step()
    return (time.process_time() - began) / steps


def by_engine(steps: int, batch_size: int, **changes: int) -> float:
    """Seconds a step, with a log line every 50 and nothing kept but the end."""
    never = {"sample_every": 0, "checkpoint_every": 0, "validate_every": 0, "tensorboard": False}
    with tempfile.TemporaryDirectory() as folder:
        run = RunSettings(steps=steps, batch=batch_size, device="cpu", precision="fp32", **never, **changes)  # type: ignore[arg-type]
        engine = Engine(Tiny(batch_size), run, Path(folder))
        began = time.process_time()
        engine.run()
        return (time.process_time() - began) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    ways = {"by hand": lambda: by_hand(chosen.steps, 4), "engine": lambda: by_engine(chosen.steps, 4)}
    if "accumulate" in RunSettings.__dataclass_fields__:
        ways["by hand, 1 picture"] = lambda: by_hand(chosen.steps, 1)
        ways["engine, 4 parts of 1"] = lambda: by_engine(chosen.steps, 4, accumulate=4)
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(chosen.rounds):
        for name, way in ways.items():
            best[name] = min(best[name], way())
    for name, seconds in best.items():
        print(f"{name:22} {seconds * 1e6:8.0f} microseconds a step")
    print(f"the engine adds {(best['engine'] - best['by hand']) * 1e6:.0f}")


if __name__ == "__main__":
    main()
