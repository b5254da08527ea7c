"""What the engine promises about any recipe: resuming, faults, guards. Faults are injected."""

from __future__ import annotations

import errno
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor
from toy_recipe import ToyRecipe, toy_run

from facewright.errors import InputError, OutputError, UsageError
from facewright.train import Engine, RunSettings, checkpoint
from facewright.train.guards import LEFT_OUT_LIMIT, Diverged
from facewright.weights.device import pick_device


def state_of(engine: Engine) -> dict[str, Tensor]:
    """Everything that goes on, by name: networks, moments of the optimisers, averages, the generator of the noise."""
    recipe = engine.recipe
    found = {f"{n}.{k}": v for n, net in recipe.networks.items() for k, v in net.state_dict().items()}
    found |= {f"ema.{n}.{k}": v for n, ema in recipe.ema.items() for k, v in ema.network.state_dict().items()}
    for name, optimizer in recipe.optimizers.items():
        for number, slot in optimizer.state_dict()["state"].items():
            found |= {f"{name}.adam.{number}.{k}": torch.as_tensor(v) for k, v in slot.items()}
    return found | {"random": torch.get_rng_state()}


def assert_same_state(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert not [name for name in one if not torch.equal(one[name], other[name])]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_going_on_is_bit_for_bit(tmp_path: Path, precision: str) -> None:
    straight = state_of(toy_run(tmp_path / "straight", 8, precision=precision))
    toy_run(tmp_path / "parts", 4, precision=precision)
    torch.manual_seed(99)  # whatever came in between
    halves = state_of(toy_run(tmp_path / "parts", 8, precision=precision))
    assert_same_state(straight, halves)
    log = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4, 6, 8]


def test_a_run_leaves_what_it_promises(tmp_path: Path) -> None:
    engine = toy_run(tmp_path, 12)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [2, 4, 6, 8, 10, 12]
    assert {"generator/pixel", "generator/score", "generator/gradient", "critic/hinge", "images_per_second"} < set(log[0])
    assert [line["step"] for line in log if "val/weight" in line] == [4, 8, 12]
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == ["12.txt", "4.txt", "8.txt"]
    assert sorted(p.name for p in tmp_path.glob("step-*")) == ["step-00000008.pt", "step-00000012.pt"]
    told = yaml.safe_load((tmp_path / "settings.yaml").read_text())
    assert told["recipe"] == {"rate": 0.05} and told["run"]["steps"] == 12
    exported = load_file(tmp_path / "export.safetensors")
    assert all(torch.equal(exported[k], v) for k, v in engine.recipe.ema["generator"].network.state_dict().items())
    assert not list(tmp_path.rglob("*.part"))


def test_a_finished_run_stays_as_it_is(tmp_path: Path) -> None:
    first = state_of(toy_run(tmp_path, 6))
    assert_same_state(first, state_of(toy_run(tmp_path, 6)))
    assert (tmp_path / "step-00000006.pt").exists()


def test_the_average_follows_the_network(tmp_path: Path) -> None:
    recipe = toy_run(tmp_path, 10).recipe
    weight, average = (net.weight.detach() for net in (recipe.networks["generator"], recipe.ema["generator"].network))
    assert not torch.equal(weight, average)
    assert float((weight - average).norm()) < float(weight.norm())
    # by hand: half of what is old is gone after half_life pictures
    assert recipe.ema["generator"].decay ** (100 / 2) == pytest.approx(0.5)


# Damaged and foreign checkpoints --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\0" * len(data)])
def test_a_damaged_checkpoint_is_named_and_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    straight = state_of(toy_run(tmp_path / "straight", 12))
    toy_run(tmp_path / "run", 8)
    torn = tmp_path / "run" / "step-00000008.pt"
    torn.write_bytes(damage(torn.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert_same_state(straight, state_of(toy_run(tmp_path / "run", 12)))
    assert str(torn) in caplog.text
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 6, 8, 10, 12]  # steps 6 and 8 were done again and stand there once


def test_no_readable_checkpoint_is_no_reason_to_start_afresh(tmp_path: Path) -> None:
    toy_run(tmp_path, 8)
    for path in tmp_path.glob("step-*.pt"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot go on with the run"):
        toy_run(tmp_path, 12)
    assert len(list(tmp_path.glob("step-*.pt"))) == 2


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    toy_run(tmp_path, 4)
    path, state = checkpoint.newest(tmp_path) or (tmp_path, {})
    state["networks"]["generator"] = {"weight": torch.zeros(1, 3, 3, 3), "bias": torch.zeros(1)}
    checkpoint.save(path, state)
    with pytest.raises(InputError, match=f"cannot go on from {path}"):
        toy_run(tmp_path, 8)
    checkpoint.save(path, {"step": 4})
    with pytest.raises(InputError, match="another recipe"):
        toy_run(tmp_path, 8)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path(tmp_path / "sprung").write_text, ("!",))

    torch.save({"step": 4, "networks": Trap()}, tmp_path / "step-00000004.pt")
    with pytest.raises(InputError):
        toy_run(tmp_path, 8)
    assert not (tmp_path / "sprung").exists()


def test_a_torn_log_line_is_mended(tmp_path: Path) -> None:
    toy_run(tmp_path, 4)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "generator/pix')
    toy_run(tmp_path, 8)
    assert [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [2, 4, 6, 8]


# Kills and full disks -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    straight = state_of(toy_run(tmp_path / "straight", 12))
    toy_run(tmp_path / "run", 8)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(OutputError, match=r"No space left.*") as caught:
        patch.setattr(os, name, full)
        toy_run(tmp_path / "run", 12)
    assert "run" in caught.value.what and "free some space" in caught.value.what_to_do
    assert not list((tmp_path / "run").glob("*.part"))
    assert sorted(p.name for p in (tmp_path / "run").glob("step-*")) == ["step-00000004.pt", "step-00000008.pt"]
    assert_same_state(straight, state_of(toy_run(tmp_path / "run", 12)))


def test_a_disk_that_really_ends(tmp_path: Path) -> None:
    """The system itself refuses to let the file grow, in the middle of torch's own writer."""
    checkpoint.save(tmp_path / "a.pt", {"step": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(OutputError, match="cannot write"):
            checkpoint.save(tmp_path / "a.pt", {"step": 2, "large": torch.rand(1_000_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert checkpoint.load(tmp_path / "a.pt") == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


def test_a_run_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write to the run folder"):
        toy_run(tmp_path / "file" / "run", 4)


def test_a_kill_costs_only_the_steps_since_the_last_checkpoint(tmp_path: Path) -> None:
    straight = state_of(toy_run(tmp_path / "straight", 24))
    folder = tmp_path / "killed"
    script = Path(__file__).with_name("toy_recipe.py")
    process = subprocess.Popen([sys.executable, str(script), str(folder), "24", "0.15"])
    try:
        deadline = time.monotonic() + 60
        while not (folder / "step-00000008.pt").exists():
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    found = checkpoint.newest(folder)
    assert found is not None and 8 <= found[1]["step"] < 24
    assert_same_state(straight, state_of(toy_run(folder, 24)))


# Guards ---------------------------------------------------------------------------------------------------------------------------------


class Spoilt(ToyRecipe):
    """A loss of its own from step `since` on."""

    def __init__(self, loss: Callable[[Tensor], Tensor], since: int = 3, until: int = 10**9) -> None:
        super().__init__()
        self.loss, self.since, self.until = loss, since, until

    def losses(self, restored: Tensor, clean: Tensor, score: Tensor) -> dict[str, Tensor]:
        found = super().losses(restored, clean, score)
        return found | ({"pixel": self.loss(restored)} if self.since <= self.engine.step < self.until else {})


def run_spoilt(recipe: ToyRecipe, folder: Path, steps: int = 40) -> Engine:
    engine = Engine(
        recipe, RunSettings(steps=steps, batch=2, device="cpu", precision="fp32", checkpoint_every=2, tensorboard=False), folder
    )
    engine.run()
    return engine


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_named(tmp_path: Path, value: float) -> None:
    with pytest.raises(Diverged, match="pixel of generator is not finite") as caught:
        run_spoilt(Spoilt(lambda restored: restored.sum() * value), tmp_path)
    assert "step 3" in caught.value.what
    found = checkpoint.newest(tmp_path)
    assert found is not None and found[1]["step"] == 2


def infinite_slope(restored: Tensor) -> Tensor:
    """Finite, with a gradient that is not."""
    return (restored * 0).abs().sqrt().sum()


def test_one_bad_gradient_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        engine = run_spoilt(Spoilt(infinite_slope, 3, 3 + LEFT_OUT_LIMIT - 1), tmp_path)
    assert caplog.text.count("step left out") == LEFT_OUT_LIMIT - 1
    assert engine.step == 40 and all(torch.isfinite(p).all() for p in engine.recipe.networks["generator"].parameters())


def test_gradients_that_never_come_back_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=f"gradient of generator .* {LEFT_OUT_LIMIT} steps") as caught:
        run_spoilt(Spoilt(infinite_slope), tmp_path)
    assert f"step {3 + LEFT_OUT_LIMIT - 1}" in caught.value.what
    assert "lower the learning rate" in caught.value.what_to_do and "older" in caught.value.what_to_do


def test_gradients_too_large_for_their_norm_end_the_run(tmp_path: Path) -> None:
    """What was seen in a real run: losses and gradients finite, their squares not, and so no step taken ever again."""
    with pytest.raises(Diverged, match="gradient of generator"):
        run_spoilt(Spoilt(lambda restored: (restored - restored.detach()).sum() * 1e30), tmp_path)


def test_a_loss_without_a_weight_is_refused(tmp_path: Path) -> None:
    recipe = ToyRecipe()
    engine = Engine(recipe, RunSettings(device="cpu"), tmp_path)
    loss = recipe.networks["generator"](torch.zeros(1, 3, 8, 8)).mean()
    with pytest.raises(UsageError, match="loss style of generator has no weight"):
        engine.update("generator", {"pixel": loss, "style": loss}, {"pixel": 1.0})


def test_gradients_are_clipped_and_the_weights_count(tmp_path: Path) -> None:
    recipe = ToyRecipe()
    recipe.optimizers["generator"] = torch.optim.SGD(recipe.networks["generator"].parameters(), 1.0)
    engine = Engine(recipe, RunSettings(device="cpu", clip_norm=0.5), tmp_path)
    before = torch.cat([p.detach().clone().flatten() for p in recipe.networks["generator"].parameters()])
    loss = recipe.networks["generator"](torch.ones(1, 3, 8, 8)).mean()
    engine.update("generator", {"a": loss, "b": loss}, {"a": 1000.0, "b": 0.0})
    after = torch.cat([p.detach().flatten() for p in recipe.networks["generator"].parameters()])
    assert float((after - before).norm()) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0},
        {"steps": -1},
        {"keep_checkpoints": 0},
        {"clip_norm": 0.0},
        {"precision": "fp16"},
        {"precision": "bf61"},
        {"checkpoint_every": -4},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(UsageError, match=f"run.{name} cannot be"):
        RunSettings(**wrong)


def test_a_device_that_is_not_here_is_refused() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    for name in ("cuda:63", "abacus"):
        with pytest.raises(UsageError, match=name):
            pick_device(name)
