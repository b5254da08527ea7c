"""The smallest recipe that uses everything the engine offers: two networks, an EMA, noise from sample to sample and from step to step."""

from __future__ import annotations

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
    width: int = 4
    optimizer: str = "Adam"


class ToyRecipe:
    """restored = generator(damaged); the critic tells restored from clean. seconds: how long a step takes at least."""

    def __init__(self, seconds: float = 0.0, settings: ToySettings | None = None, batch: int = 2) -> None:
        torch.manual_seed(3)
        self.settings, self.seconds, self.batch = settings or ToySettings(), seconds, batch
        width = self.settings.width
        generator, critic = nn.Conv2d(3, 3, 3, padding=1), nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 1, 1))
        self.networks: dict[str, nn.Module] = {"generator": generator, "critic": critic}
        kind = getattr(torch.optim, self.settings.optimizer)
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            name: kind(network.parameters(), self.settings.rate) for name, network in self.networks.items()
        }
        self.ema = {"generator": Ema(generator, 100.0, batch)}

    def bind(self, engine: Engine) -> None:
        self.engine = engine

    def batches(self, start: int) -> Iterator[Batch]:
        """The share of the joint batch of each step."""
        step = start
        while True:
            clean = torch.rand(self.batch, 3, 8, 8, generator=torch.Generator().manual_seed(step))[self.engine.rank :: self.engine.world]
            clean = clean * 2 - 1
            yield Batch(clean * 0.5, clean)
            step += 1

    def step(self, batch: Batch) -> None:
        time.sleep(self.seconds)
        restored = self.learn_to_restore(batch)
        self.learn_to_judge(batch, restored)

    def learn_to_restore(self, batch: Batch) -> Tensor:
        generator, critic = self.networks["generator"], self.networks["critic"]
        strength = 0.1 + 0.1 * torch.rand(())  # the same for all samples
        with self.engine.autocast():
            restored: Tensor = generator(batch.damaged + strength * self.engine.noise(batch.damaged.shape)).float()
            score = critic(restored).float()
        self.engine.update("generator", self.losses(restored, batch.clean, score), {"pixel": 1.0, "score": 0.1})
        return restored

    def learn_to_judge(self, batch: Batch, restored: Tensor) -> None:
        critic = self.networks["critic"]
        with self.engine.autocast():
            fake, real = critic(restored.detach()).float(), critic(batch.clean).float()
        losses = {"hinge": (1 + fake).relu().mean() + (1 - real).relu().mean()}
        if self.engine.step % 4 == 0:
            losses["even"] = fake.square().mean()  # now and then, as lazy regularisation is
        self.engine.update("critic", losses, {"hinge": 1.0, "even": 0.01})

    def losses(self, restored: Tensor, clean: Tensor, score: Tensor) -> dict[str, Tensor]:
        return {"pixel": (restored - clean).abs().mean(), "score": -score.mean()}

    def sample(self, folder: Path) -> None:
        """What the average makes of noise, which must not be missing from the run's own."""
        restored = self.ema["generator"].network(torch.randn(1, 3, 8, 8))
        (folder / f"{self.engine.step:08d}.txt").write_text(str(restored.flatten().tolist()))

    def validate(self) -> dict[str, float]:
        torch.rand(7)
        return {"weight": float(self.ema["generator"].network.weight.abs().mean())}

    def export(self, path: Path) -> None:
        save_file({k: v.contiguous() for k, v in self.ema["generator"].network.state_dict().items()}, path)


def toy_engine(folder: Path, steps: int, recipe: ToyRecipe | None = None, **changes: object) -> Engine:
    """One that is ready to run on this processor; changes: of the RunSettings."""
    options = {"log_every": 2, "sample_every": 4, "checkpoint_every": 4, "validate_every": 4, "tensorboard": False, "precision": "fp32"}
    recipe = recipe or ToyRecipe()
    run = RunSettings(steps=steps, device="cpu", **({"batch": recipe.batch} | options | changes))  # type: ignore[arg-type]
    return Engine(recipe, run, folder)


def toy_run(folder: Path, steps: int, recipe: ToyRecipe | None = None, **changes: object) -> Engine:
    """Train, or go on, to `steps`; hands back the engine."""
    engine = toy_engine(folder, steps, recipe, **changes)
    engine.run()
    return engine
