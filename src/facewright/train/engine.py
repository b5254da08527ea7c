"""The training loop: steps over named networks, optimisers and losses; everything a recipe should not have to say.

Moves batches to the device, casts, averages gradients over the parts of a batch and over processes, clips, guards against numbers that
are none, averages networks (EMA), logs, draws samples, measures, keeps checkpoints, and goes on from the newest readable one bit for
bit: a batch is a function of seed and step, and the random generator of the noise is restored with the networks.
"""

from __future__ import annotations

import errno
import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from facewright.data import Batch
from facewright.errors import FacewrightError, InputError, OutputError, UsageError
from facewright.nets.blocks.layout import channels_last
from facewright.train import checkpoint, parallel, resuming
from facewright.train.ema import Ema
from facewright.train.guards import THE_SUM, Diverged, FiniteGuard, memory_watched
from facewright.train.logbook import Logbook
from facewright.train.parts import Parts, part_of, samples_in
from facewright.train.randomness import random_state, restore_random_state, undisturbed
from facewright.train.run_settings import RunSettings as RunSettings
from facewright.train.stopping import Stopped, StopRequest
from facewright.weights.device import PRECISIONS

log = logging.getLogger(__name__)

EXPORT = "export.safetensors"


class Recipe(Protocol):
    """What an algorithm brings: its networks and one step over them.

    All that a step remembers for the next one is in the networks (buffers too) and the optimisers; its random numbers come from torch's
    own generator or, for what differs from sample to sample, from `Engine.draw`.
    """

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


class Engine:
    """Runs a recipe in a folder: settings.yaml, log.jsonl, step-*.pt, samples/, export.safetensors, export-best.safetensors.

    rank, world: this process among those of the run, see `parallel`; the recipe's batches are share `rank` of `world`.
    """

    def __init__(
        self, recipe: Recipe, run: RunSettings, folder: Path, on_step: Callable[[int, dict[str, float]], None] | None = None
    ) -> None:
        """on_step: told the step and its numbers every run.log_every steps, on the first process; also seconds_left, and
        unsaved_steps while the disk takes no checkpoint."""
        self.recipe, self.run_settings, self.folder, self.on_step = recipe, run, folder, on_step
        self.processes, self.device = parallel.join(run.device)
        self.rank, self.world = self.processes.rank, self.processes.world
        run.check_shares(self.world)
        self.dtype = pick_dtype(run.precision, self.device)
        self.step = 0
        self._kept: int | None = None  # the step of the last good checkpoint, of the last export
        self._exported: int | None = None
        self._failure = ""  # why the last checkpoint could not be written
        self._best: float | None = None
        self._pending: dict[str, Tensor] = {}
        self._parts = Parts(run.accumulate, self.device)
        self._gathering, self._gathered = "", dict[str, Tensor]()
        self._guard = FiniteGuard(run.on_nan, speaks=self.rank == 0)
        self._stop, self._stopping = StopRequest(), False
        torch.manual_seed(run.seed)
        for network in self._networks():
            channels_last(network.to(self.device))
        recipe.bind(self)

    def run(self) -> None:
        """Train up to `steps`, from the newest readable checkpoint of the folder if there is one.

        A disk that takes no checkpoint or log is complained of and does not end the run before its last step. Raises Diverged,
        OutOfMemory, Stopped (after Ctrl-C or SIGTERM, with a checkpoint), LostProcess; InputError where the folder's checkpoints are of
        other networks or cannot be read; OutputError where the folder cannot be, or where nothing of the end could be saved.
        """
        found = self.processes.told(self._open)
        if found is not None:
            self.resume(*found)
        else:
            self.processes.agree(t for network in self._networks() for t in network.state_dict().values())
        try:
            with self._stop, memory_watched(self._memory_advice):
                self._train()
        except Diverged:
            self.processes.part()  # all of them have met it
            raise
        self.processes.part()
        self._end()

    def _open(self) -> tuple[Path, dict[str, Any]] | None:
        """Make the folder, find what to go on from, say what was set otherwise."""
        settings, told = resuming.spoken(self.recipe, self.run_settings), self.folder / "settings.yaml"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            checkpoint.sweep(self.folder)
            if (found := checkpoint.newest(self.folder)) is not None:
                self._compare(found[0], found[1], found[1].get("settings") or resuming.read_settings(told) or {}, settings)
        except OSError as problem:
            raise _unwritable(self.folder, problem) from problem
        try:
            with checkpoint.appears_whole(told) as part:
                resuming.write_settings(settings, part)
        except OutputError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
                log.warning("%s; training goes on, and cannot be kept unless there is space in time", str(error))
            else:
                raise _unwritable(self.folder, error.__cause__) from error
        return found

    def _compare(self, path: Path, state: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """Raises InputError where the checkpoint does not fit, with the settings that may be why; warns of those that change the course."""
        changed = resuming.changes(before, now) if before else {}
        course = resuming.that_change_the_course(changed, getattr(self.recipe, "harmless", ()))
        if why := resuming.misfit(self.recipe, state):
            same_recipe = state.get("recipe") in (None, resuming.recipe_name(self.recipe))
            suspects = resuming.sizes(course) if same_recipe else {}
            back = " ".join(f"{name}={old}" for name, (old, _) in suspects.items())
            raise InputError(
                f"cannot go on from {path}",
                f"{why}; changed since: {resuming.listed(suspects)}" if suspects else why,
                f"set {back} again, or use a new run folder" if suspects else "use its own settings, or a new run folder",
            )
        if course:
            log.warning("going on from %s with other settings, the course changes: %s", path, resuming.listed(course))
        if other := {name: change for name, change in changed.items() if name not in course}:
            log.info("also changed: %s", resuming.listed(other))

    def _train(self) -> None:
        s, first, started = self.run_settings, self.step, time.monotonic()
        logbook = Logbook(self.folder, self.step, s.tensorboard) if self.rank == 0 else None
        batches = self.recipe.batches(self.step)
        try:
            while self.step < s.steps and not self._stopping:
                self._walk(next(batches))
                self.step += 1
                if self.world == 1:
                    self._stopping = self._stop.number != 0  # several processes agree on it in `update`
                numbers: dict[str, float] = {}
                if self._due(s.log_every) and logbook is not None:
                    numbers = {name: round(float(value), 5) for name, value in self._pending.items()}
                    numbers |= {f"{name}/left_out": float(count) for name, count in self._guard.left_out.items()}
                    per_second = (self.step - first) / (time.monotonic() - started)
                    numbers["images_per_second"] = round(per_second * s.batch, 2)
                    if self.on_step:
                        self.on_step(self.step, numbers | self._outlook(per_second))
                if self._due(s.validate_every) and logbook is not None:
                    numbers |= self._validate()
                if numbers and logbook is not None:
                    logbook.write(self.step, numbers)
                if self._due(s.sample_every):
                    self._sample()
                if self._due(s.checkpoint_every):
                    self.save()
            if self._exported != self.step:
                self.save()
        finally:
            self._parts.close()
            if logbook is not None:
                logbook.close()
            if hasattr(batches, "close"):
                batches.close()  # ends the threads that work ahead

    def _walk(self, batch: Batch) -> None:
        """One step of the recipe over this process's share of the batch, in its parts."""
        if self.world > 1 and (count := samples_in(batch)) is not None and count * self.world != self.run_settings.batch:
            raise FacewrightError(
                f"the recipe gives {count} samples a step to each of {self.world} processes",
                f"run.batch is {self.run_settings.batch} over all of them",
                "its batches are to be the share (engine.rank, engine.world)",
            )
        parts = self._parts
        parts.walk(lambda index: self.recipe.step(part_of(batch, index, parts.count).to(self.device)))

    def update(self, name: str, losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> None:
        """One optimiser step on the weighted sum, of the joint batch; the EMA of that network follows.

        Losses are means over samples. An update with a loss or gradient that is not finite ends the run or is left out (run.on_nan).
        Raises Diverged; UsageError for a loss without a weight.
        """
        if missing := [term for term in losses if term not in weights]:
            raise UsageError(f"the loss {missing[0]} of {name} has no weight", what_to_do=f"set it, or set it to 0: {', '.join(losses)}")
        total = torch.stack([weights[term] * value.float() for term, value in losses.items()]).sum()
        if not self._gathered:  # the first part of the batch to come here
            self._gathering = name
            self.recipe.optimizers[name].zero_grad(set_to_none=True)
        elif self._gathering != name:
            raise FacewrightError("the parts of a batch do not make the same updates", f"one is at {self._gathering}, another at {name}")
        (total / self._parts.count).backward()  # type: ignore[no-untyped-call]
        for term, loss in {**losses, THE_SUM: total}.items():
            value = loss.detach().float() / self._parts.count
            self._gathered[term] = self._gathered[term] + value if term in self._gathered else value
        self._parts.meet(lambda: self._apply(name, weights))

    def _apply(self, name: str, weights: Mapping[str, float]) -> None:
        """The update itself, once all parts have brought their gradient."""
        values, self._gathered = self._gathered, {}
        optimizer = self.recipe.optimizers[name]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if self.world > 1:
            asked = self._stopping or self._stop.number != 0
            values, self._stopping = self.processes.average(parameters, values, [*sorted(weights), THE_SUM], asked)
        norm = nn.utils.clip_grad_norm_(parameters, self.run_settings.clip_norm)
        if self._guard.passes(name, self.step, values, norm):
            optimizer.step()
            if name in self.recipe.ema:
                self.recipe.ema[name].update(self.recipe.networks[name], self.step)
        del values[THE_SUM]
        self._pending |= {f"{name}/{term}": value for term, value in values.items()} | {f"{name}/gradient": norm.detach()}

    @property
    def part(self) -> int:
        """Number of the part of the batch that walks at the moment; 0 where a batch is not split."""
        return self._parts.index

    def draw(self, how: Callable[[int], Tensor], count: int) -> Tensor:
        """Random numbers of `count` samples that differ from sample to sample: `how(n)` draws for n, samples first.

        It is asked for the whole joint batch, of which this process and part get theirs: however a batch is shared out, a sample meets
        the same numbers. What is the same for all samples of a batch (a crop's place, a shift) is drawn as usual.
        """
        shares = self.world * self._parts.count
        return how(count * shares)[self.rank + self.world * self._parts.index :: shares]

    def noise(self, shape: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
        """N(0, 1) of `shape`, samples first, on the engine's device, drawn as `draw` does; generator: else torch's own."""
        where = self.device if generator is None else generator.device
        return self.draw(lambda n: torch.randn(n, *shape[1:], generator=generator, device=where), shape[0]).to(self.device)

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    def save(self) -> bool:
        """Checkpoint and export; older checkpoints beyond the kept number are removed afterwards.

        False, and a warning, where the disk does not take it: the last good one stays. Only the first process writes; all wait.
        """
        self._kept, self._exported, self._failure = self.processes.told(self._write)
        return self._exported == self.step

    def _write(self) -> tuple[int | None, int | None, str]:
        """The steps of the last good checkpoint and export now, and what went wrong."""
        state = {
            "step": self.step,
            "recipe": resuming.recipe_name(self.recipe),
            "settings": resuming.spoken(self.recipe, self.run_settings),
            **resuming.learned(self.recipe),
            "random": random_state(self.device),
            "guard": self._guard.state(),
            "pending": self._pending,
            "best": self._best,
        }
        try:
            checkpoint.save(self.folder / f"step-{self.step:08d}.pt", state)
        except OutputError as error:
            kept = "there is none yet" if self._kept is None else f"the one of step {self._kept} stays"
            log.warning("step %d: %s; training goes on without this checkpoint, %s", self.step, str(error), kept)
            return self._kept, self._exported, error.why
        for old in sorted(self.folder.glob("step-*.pt"))[: -self.run_settings.keep_checkpoints]:
            old.unlink(missing_ok=True)
        why = self._export(EXPORT)
        return self.step, self._exported if why else self.step, why

    def _export(self, name: str) -> str:
        """What went wrong, or "". What a recipe exports beside its model goes with the newest, not with the best."""
        beside: dict[str, Callable[[Path], None]] = getattr(self.recipe, "export_beside", dict)() if name == EXPORT else {}
        try:
            for file, write in {name: self.recipe.export, **beside}.items():
                with checkpoint.appears_whole(self.folder / file) as part:
                    write(part)
        except OutputError as error:
            log.warning("step %d: %s; training goes on, an older one may stay", self.step, str(error))
            return error.why
        return ""

    def resume(self, path: Path, state: Mapping[str, Any] | None = None) -> None:
        """Go on from a checkpoint (`state`: what it holds, where it is read already). Raises InputError where it does not fit."""
        state = checkpoint.load(path) if state is None else state
        try:
            if why := resuming.misfit(self.recipe, state):
                raise ValueError(why)
            self._take(state)
        except (KeyError, RuntimeError, ValueError, TypeError) as problem:
            raise InputError(f"cannot go on from {path}", str(problem), "use its own settings, or a new run folder") from problem
        log.info("going on from %s", path)

    def _take(self, state: Mapping[str, Any]) -> None:
        resuming.load_learned(self.recipe, state)
        random = state["random"] if isinstance(state["random"], list) else [state["random"], *state.get("random_cuda", [])[:1]]
        restore_random_state(self.device, random)
        self._guard.restore(state.get("guard", {}))
        self._pending = dict(state.get("pending", {}))
        self._best = state.get("best")
        self.step = self._kept = int(state["step"])

    def _validate(self) -> dict[str, float]:
        """The recipe's numbers for the log; the best export by run.best."""
        with undisturbed(self.device):
            numbers = self.recipe.validate()
        wanted = self.run_settings.best
        name, sign = wanted.removeprefix("-"), -1.0 if wanted.startswith("-") else 1.0
        if wanted and name not in numbers:
            log.warning("no export-best.safetensors: run.best is %s, and the validation gives %s", name, ", ".join(numbers) or "nothing")
        elif wanted and (self._best is None or sign * numbers[name] > sign * self._best) and not self._export("export-best.safetensors"):
            self._best = float(numbers[name])
        return {f"val/{name}": round(value, 5) for name, value in numbers.items()}

    def _sample(self) -> None:
        if self.rank != 0:
            return
        try:
            (self.folder / "samples").mkdir(exist_ok=True)
            with undisturbed(self.device):
                self.recipe.sample(self.folder / "samples")
        except OSError as problem:
            log.warning("step %d: cannot write samples: %s", self.step, problem.strerror or problem)

    def _outlook(self, per_second: float) -> dict[str, float]:
        """What is told of the run besides what is logged."""
        told = {"seconds_left": round((self.run_settings.steps - self.step) / per_second, 1)}
        return told | ({"unsaved_steps": float(self.step - (self._kept or 0))} if self._failure else {})

    def _end(self) -> None:
        """Raises Stopped before the last step, OutputError where that could not be saved."""
        if self._stopping and self.step < self.run_settings.steps:
            asked = {signal.SIGINT: "interrupted", signal.SIGTERM: "SIGTERM came"}
            number = signal.Signals(self._stop.number or signal.SIGTERM)
            whose = asked[number] if self._stop.number else "another process was asked to stop"
            raise Stopped(
                f"training stopped at step {self.step}",
                f"{whose}, {self._kept_told()}",
                "the same command goes on from there",
                self._stop.number or signal.SIGTERM,
            )
        if self.rank == 0 and self._exported != self.step:
            raise OutputError(
                f"the training has ended and its result cannot be written to {self.folder}",
                "; ".join(filter(None, (self._failure, self._kept_told()))),
                "free some space and start again: it goes on from there",
            )

    def _kept_told(self) -> str:
        return "there is no checkpoint" if self._kept is None else f"the checkpoint of step {self._kept} is kept"

    def _memory_advice(self) -> tuple[str, str]:
        s, per = self.run_settings, self.run_settings.batch // (self.world * self.run_settings.accumulate)
        cheaper = "" if self.dtype == torch.bfloat16 else "set run.precision=bf16, "
        return (
            f"{per} pictures at a time on {self.device} at step {self.step}, {self._kept_told()}",
            f"raise run.accumulate (now {s.accumulate}) or lower run.batch (now {s.batch}), {cheaper}or train at a smaller size",
        )

    def _networks(self) -> list[nn.Module]:
        return [*self.recipe.networks.values(), *(ema.network for ema in self.recipe.ema.values())]

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """ "auto" is bf16 where the processor computes in it, else fp32."""
    if precision in PRECISIONS:
        return PRECISIONS[precision]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def _unwritable(folder: Path, problem: BaseException | None) -> OutputError:
    why = getattr(problem, "strerror", None) or str(problem)
    return OutputError(f"cannot write to the run folder {folder}", why, "free some space, or choose another with --run")
