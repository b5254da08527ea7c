"""The smallest recipe that uses everything the engine offers: two networks, an EMA, noise from the global generator."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from facewright.data import Batch
from facewright.train import Engine, RunSettings
from facewright.train.ema import Ema


@dataclass(frozen=True)
class ToySettings:
    rate: float = 0.05


class ToyRecipe:
    def __init__(self, seconds: float = 0.0) -> None:
        torch.manual_seed(3)
        self.settings, self.seconds = ToySettings(), seconds
        generator, critic = nn.Conv2d(3, 3, 3, padding=1), nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 1, 1))
        self.networks: dict[str, nn.Module] = {"generator": generator, "critic": critic}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(network.parameters(), self.settings.rate) for name, network in self.networks.items()
        }
        self.ema = {"generator": Ema(generator, 100.0, 2)}

    def bind(self, engine: Engine) -> None:
        self.engine = engine

    def batches(self, start: int) -> Iterator[Batch]:
        step = start
        while True:
            clean = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(step)) * 2 - 1
            yield Batch(clean * 0.5, clean)
            step += 1

    def step(self, batch: Batch) -> None:
        time.sleep(self.seconds)
        generator, critic = self.networks["generator"], self.networks["critic"]
        with self.engine.autocast():
            restored = generator(batch.damaged + 0.1 * torch.randn_like(batch.damaged)).float()
            score = critic(restored).float()
        self.engine.update("generator", self.losses(restored, batch.clean, score), {"pixel": 1.0, "score": 0.1})
        with self.engine.autocast():
            fake, real = critic(restored.detach()).float(), critic(batch.clean).float()
        self.engine.update("critic", {"hinge": (1 + fake).relu().mean() + (1 - real).relu().mean()}, {"hinge": 1.0})

    def losses(self, restored: Tensor, clean: Tensor, score: Tensor) -> dict[str, Tensor]:
        return {"pixel": (restored - clean).abs().mean(), "score": -score.mean()}

    def sample(self, folder: Path) -> None:
        (folder / f"{self.engine.step}.txt").write_text("a sheet")

    def validate(self) -> dict[str, float]:
        return {"weight": float(self.ema["generator"].network.weight.abs().mean())}

    def export(self, path: Path) -> None:
        save_file({k: v.contiguous() for k, v in self.ema["generator"].network.state_dict().items()}, path)


def toy_run(folder: Path, steps: int, seconds: float = 0.0, **changes: object) -> Engine:
    """Train, or go on, to `steps`; hands back the engine."""
    options = {"log_every": 2, "sample_every": 4, "checkpoint_every": 4, "validate_every": 4, "tensorboard": False, "precision": "fp32"}
    recipe = ToyRecipe(seconds)
    engine = Engine(recipe, RunSettings(steps=steps, batch=2, device="cpu", **(options | changes)), folder)  # type: ignore[arg-type]
    engine.run()
    return engine


if __name__ == "__main__":
    toy_run(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
