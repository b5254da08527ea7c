"""What the engine promises about any recipe: resuming, faults, guards. Faults are injected."""

from __future__ import annotations

import errno
import json
import logging
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor
from toy_recipe import ToyRecipe, toy_engine, toy_run
from traces import assert_same_state, left_behind, state_of

from facewright.data import Batch
from facewright.errors import InputError, OutputError, UsageError
from facewright.train import Engine, RunSettings, checkpoint
from facewright.train.guards import LEFT_OUT_LIMIT, Diverged, OutOfMemory
from facewright.train.stopping import Stopped
from facewright.weights.device import pick_device


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
    assert sorted(p.name for p in (tmp_path / "samples").iterdir()) == ["00000004.txt", "00000008.txt", "00000012.txt"]
    assert sorted(p.name for p in tmp_path.glob("step-*")) == ["step-00000008.pt", "step-00000012.pt"]
    told = yaml.safe_load((tmp_path / "settings.yaml").read_text())
    assert told["recipe"] == {"rate": 0.05, "width": 4, "optimizer": "Adam"} and told["run"]["steps"] == 12
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


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_full_disk_costs_checkpoints_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    straight = toy_run(tmp_path / "straight", 24)
    toy_run(tmp_path / "run", 8)
    told: dict[int, dict[str, float]] = {}
    engine = toy_engine(tmp_path / "run", 24)

    def on_step(step: int, numbers: dict[str, float]) -> None:
        told[step] = numbers
        if step == 10:
            monkeypatch.setattr(os, name, full)
        if step == 18:
            assert sorted(p.name for p in (tmp_path / "run").glob("*.p*")) == ["step-00000004.pt", "step-00000008.pt"]
            monkeypatch.undo()

    engine.on_step = on_step
    with caplog.at_level(logging.WARNING):
        engine.run()
    assert [f"step {n}: cannot write" in caplog.text for n in (8, 12, 16, 20)] == [False, True, True, False]
    assert "No space left on device" in caplog.text and "the one of step 8 stays" in caplog.text
    assert {step: numbers.get("unsaved_steps") for step, numbers in told.items()} == {
        **dict.fromkeys((10, 12), None), **{14: 6.0, 16: 8.0, 18: 10.0, 20: 12.0}, **dict.fromkeys((22, 24), None)
    }  # fmt: skip
    assert_same_state(state_of(straight), state_of(engine))
    assert left_behind(tmp_path / "straight") == left_behind(tmp_path / "run")


def test_an_end_that_cannot_be_saved_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_run(tmp_path, 8)
    with monkeypatch.context() as patch, pytest.raises(OutputError, match=r"No space left.*step 8 is kept") as caught:
        patch.setattr(os, "replace", full)
        toy_run(tmp_path, 12)
    assert str(tmp_path) in caught.value.what and "free some space" in caught.value.what_to_do
    toy_run(tmp_path, 12)
    assert (tmp_path / "step-00000012.pt").exists()


def test_a_log_that_cannot_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    straight = toy_run(tmp_path / "straight", 12)
    engine, write = toy_engine(tmp_path / "run", 12), os.write

    def on_step(step: int, numbers: dict[str, float]) -> None:
        if step == 4:
            # a disk that takes half a line
            monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[: len(data) // 2]) if len(data) > 20 else full())
        if step == 10:
            monkeypatch.undo()

    engine.on_step = on_step
    with caplog.at_level(logging.WARNING):
        engine.run()
    assert caplog.text.count("log.jsonl: No space left on device") == 1
    assert_same_state(state_of(straight), state_of(engine))
    assert left_behind(tmp_path / "straight") == left_behind(tmp_path / "run")


class TroubledCurves:
    """TensorBoard on a full disk: at once, at the first number, or at the end."""

    def __init__(self, when: str) -> None:
        self.when = when

    def __call__(self, *_: object, **__: object) -> TroubledCurves:
        return full() if self.when == "made" else self  # type: ignore[func-returns-value,return-value]

    def add_scalar(self, *_: object) -> None:
        if self.when == "written":
            raise RuntimeError("its thread is dead")

    def close(self) -> None:
        if self.when == "closed":
            full()


@pytest.mark.parametrize("when", ["made", "written", "closed"])
def test_curves_that_fail_do_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    monkeypatch.setattr(tensorboard, "SummaryWriter", TroubledCurves(when))
    with caplog.at_level(logging.WARNING):
        assert toy_run(tmp_path, 6, tensorboard=True).step == 6
    assert caplog.text.count("TensorBoard") == 1


def test_samples_that_cannot_be_written_do_not_end_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tmp_path.joinpath("samples").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        assert toy_run(tmp_path, 4).step == 4
    assert "step 4: cannot write samples" in caplog.text


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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot write to the run folder"):
        toy_run(tmp_path, 4)


def test_a_disk_that_is_full_from_the_start_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = toy_engine(tmp_path, 8)
    engine.on_step = lambda step, numbers: monkeypatch.undo() if step == 6 else None
    monkeypatch.setattr(os, "replace", full)
    engine.run()
    assert "training goes on, and cannot be kept" in caplog.text and "there is none yet" in caplog.text
    assert [p.name for p in tmp_path.glob("step-*")] == ["step-00000008.pt"]


# Somebody asks for the end --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code", "told"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "SIGTERM came")])
def test_a_run_that_is_asked_to_stop_keeps_its_last_step(tmp_path: Path, number: int, code: int, told: str) -> None:
    straight = state_of(toy_run(tmp_path / "straight", 12))
    before = signal.getsignal(number)
    engine = toy_engine(tmp_path / "run", 12)
    engine.on_step = lambda step, numbers: os.kill(os.getpid(), number) if step == 6 else None
    with pytest.raises(Stopped, match=rf"training stopped at step \d: {told}, the checkpoint of step \d is kept") as caught:
        engine.run()
    assert caught.value.exit_code == code and "goes on from there" in caught.value.what_to_do
    assert signal.getsignal(number) == before
    found = checkpoint.newest(tmp_path / "run")
    assert found is not None and found[1]["step"] in (6, 7)  # the signal is heard between two steps
    assert_same_state(straight, state_of(toy_run(tmp_path / "run", 12)))


def test_asking_twice_ends_it_at_once(tmp_path: Path) -> None:
    class Slow(ToyRecipe):
        def step(self, batch: Batch) -> None:
            if self.engine.step == 5:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(10)
            super().step(batch)

    with pytest.raises(KeyboardInterrupt):
        toy_run(tmp_path, 12, Slow())
    found = checkpoint.newest(tmp_path)
    assert found is not None and found[1]["step"] == 4


def test_the_last_step_is_an_end_and_no_stop(tmp_path: Path) -> None:
    engine = toy_engine(tmp_path, 4)
    engine.on_step = lambda step, numbers: os.kill(os.getpid(), signal.SIGINT) if step == 4 else None
    engine.run()
    assert engine.step == 4


# Guards ---------------------------------------------------------------------------------------------------------------------------------


class Spoilt(ToyRecipe):
    """A loss of its own from step `since` on."""

    def __init__(self, loss: Callable[[Tensor], Tensor], since: int = 3, until: int = 10**9) -> None:
        super().__init__()
        self.loss, self.since, self.until = loss, since, until

    def losses(self, restored: Tensor, clean: Tensor, score: Tensor) -> dict[str, Tensor]:
        found = super().losses(restored, clean, score)
        return found | ({"pixel": self.loss(restored)} if self.since <= self.engine.step < self.until else {})


def run_spoilt(recipe: ToyRecipe, folder: Path, on_nan: str = "stop") -> Engine:
    return toy_run(folder, 20, recipe, on_nan=on_nan, checkpoint_every=2)


def infinite_slope(restored: Tensor) -> Tensor:
    """Finite, with a gradient that is not."""
    return (restored * 0).abs().sqrt().sum()


def too_steep(restored: Tensor) -> Tensor:
    """What was seen in a real run: losses and gradients finite, their squares not, and so no step taken ever again."""
    return (restored - restored.detach()).sum() * 1e30


BAD = [
    (lambda restored: restored.sum() * float("nan"), "pixel of generator"),
    (lambda restored: restored.sum() * float("inf"), "pixel of generator"),
    (infinite_slope, "the gradient of generator"),
    (too_steep, "the gradient of generator"),
]


@pytest.mark.parametrize(("loss", "named"), BAD)
def test_what_is_no_number_is_named(tmp_path: Path, loss: Callable[[Tensor], Tensor], named: str) -> None:
    with pytest.raises(Diverged, match=f"{named} is not finite") as caught:
        run_spoilt(Spoilt(loss), tmp_path)
    assert "step 3" in caught.value.what and "run.on_nan=skip" in caught.value.what_to_do
    found = checkpoint.newest(tmp_path)
    assert found is not None and found[1]["step"] == 2


@pytest.mark.parametrize(("loss", "named"), BAD)
def test_a_few_are_left_out_where_that_is_wished(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, loss: Callable[[Tensor], Tensor], named: str
) -> None:
    with caplog.at_level(logging.WARNING):
        engine = run_spoilt(Spoilt(loss, 3, 3 + LEFT_OUT_LIMIT - 1), tmp_path, "skip")
    assert caplog.text.count(f"{named} is not finite, update left out") == LEFT_OUT_LIMIT - 1
    assert engine.step == 20 and all(torch.isfinite(p).all() for p in engine.recipe.networks["generator"].parameters())
    last = (tmp_path / "log.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["generator/left_out"] == LEFT_OUT_LIMIT - 1
    assert "NaN" not in (tmp_path / "log.jsonl").read_text(), "no JSON"


@pytest.mark.parametrize(("loss", "named"), BAD)
def test_numbers_that_never_come_back_end_the_run(tmp_path: Path, loss: Callable[[Tensor], Tensor], named: str) -> None:
    with pytest.raises(Diverged, match=rf"{named} is not finite, and so were the {LEFT_OUT_LIMIT - 1} updates .* before") as caught:
        run_spoilt(Spoilt(loss), tmp_path, "skip")
    assert f"step {3 + LEFT_OUT_LIMIT - 1}" in caught.value.what
    assert "lower the learning rate" in caught.value.what_to_do and "older" in caught.value.what_to_do


def test_an_update_left_out_changes_nothing_but_that(tmp_path: Path) -> None:
    """The critic, which met the same bad pictures with a finite loss, learns on; how many were left out survives a resume."""

    class Watched(Spoilt):
        def step(self, batch: Batch) -> None:
            before = [p.detach().clone() for p in self.networks["generator"].parameters()]
            super().step(batch)
            same = all(torch.equal(a, b) for a, b in zip(before, self.networks["generator"].parameters(), strict=True))
            assert same == (3 <= self.engine.step < 6)

    bad = BAD[0][0]
    straight = toy_run(tmp_path / "straight", 12, Watched(bad, 3, 6), on_nan="skip")
    assert float(straight.recipe.optimizers["critic"].state_dict()["state"][0]["step"]) == 12
    assert float(straight.recipe.optimizers["generator"].state_dict()["state"][0]["step"]) == 9
    toy_run(tmp_path / "halves", 4, Watched(bad, 3, 6), on_nan="skip")
    toy_run(tmp_path / "halves", 12, Watched(bad, 3, 6), on_nan="skip")
    assert left_behind(tmp_path / "straight")["log"] == left_behind(tmp_path / "halves")["log"]


@pytest.mark.parametrize(
    ("problem", "precision"),
    [
        (RuntimeError("[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory"), "fp32"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"), "fp32"),
        (MemoryError("Unable to allocate 9. GiB for an array"), "bf16"),
    ],
)
def test_too_little_memory_is_told_with_the_settings_that_help(tmp_path: Path, problem: Exception, precision: str) -> None:
    class Large(ToyRecipe):
        def losses(self, restored: Tensor, clean: Tensor, score: Tensor) -> dict[str, Tensor]:
            if self.engine.step == 6:
                raise problem
            return super().losses(restored, clean, score)

    with pytest.raises(OutOfMemory, match="2 pictures at a time on cpu at step 6, the checkpoint of step 4 is kept") as caught:
        toy_run(tmp_path, 8, Large(batch=4), accumulate=2, precision=precision)
    advice = caught.value.what_to_do
    assert "run.accumulate (now 2)" in advice and "run.batch (now 4)" in advice and "smaller size" in advice
    assert ("run.precision=bf16" in advice) == (precision == "fp32")
    assert checkpoint.load(tmp_path / "step-00000004.pt")["step"] == 4


def test_memory_that_really_is_not_there(tmp_path: Path) -> None:
    class Huge(ToyRecipe):
        def step(self, batch: Batch) -> None:
            torch.empty(1 << 60, dtype=torch.uint8)

    with pytest.raises(OutOfMemory, match="there is no checkpoint"):
        toy_run(tmp_path, 8, Huge())


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    class Broken(ToyRecipe):
        def step(self, batch: Batch) -> None:
            torch.zeros(2) + torch.zeros(3)

    with pytest.raises(RuntimeError, match="size of tensor"):
        toy_run(tmp_path, 8, Broken())


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
        {"on_nan": "ignore"},
        {"accumulate": 0},
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


# What is told and kept ------------------------------------------------------------------------------------------------------------------


def test_each_step_s_numbers_are_plain_and_tell_the_time_left(tmp_path: Path) -> None:
    told: list[dict[str, float]] = []
    engine = toy_engine(tmp_path, 8, ToyRecipe(seconds=0.02))
    engine.on_step = lambda step, numbers: told.append(numbers)
    engine.run()
    assert all(type(value) is float for numbers in told for value in numbers.values())
    left = [numbers["seconds_left"] for numbers in told]
    assert left == sorted(left, reverse=True) and left[-1] == 0.0 and 0.1 <= left[0] < 5  # six steps of 0.02 s, or more
    assert "seconds_left" not in (tmp_path / "log.jsonl").read_text()


@pytest.mark.parametrize(("best", "step"), [("score", 8), ("-score", 12)])
def test_the_best_export_is_kept(tmp_path: Path, best: str, step: int) -> None:
    class Judged(ToyRecipe):
        """5, 9, 2, 3 at the steps 4, 8, 12, 16."""

        def validate(self) -> dict[str, float]:
            return {"score": {4: 5.0, 8: 9.0, 12: 2.0, 16: 3.0}[self.engine.step]}

        def export(self, path: Path) -> None:
            path.write_text(f"step {self.engine.step}")

    toy_run(tmp_path, 8, Judged(), best=best)
    toy_run(tmp_path, 16, Judged(), best=best)  # also when the run is gone on with
    assert (tmp_path / "export-best.safetensors").read_text() == f"step {step}"
    assert (tmp_path / "export.safetensors").read_text() == "step 16"


def test_a_best_that_is_not_measured_is_complained_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    toy_run(tmp_path, 4, best="medium/psnr")
    assert "run.best is medium/psnr, and the validation gives weight" in caplog.text
    assert not (tmp_path / "export-best.safetensors").exists()


def test_looking_does_not_change_the_course(tmp_path: Path) -> None:
    """Validation and samples draw random numbers of their own."""
    often = state_of(toy_run(tmp_path / "often", 8, sample_every=1, validate_every=2))
    never = state_of(toy_run(tmp_path / "never", 8, sample_every=0, validate_every=0, log_every=0))
    assert_same_state(often, never)
