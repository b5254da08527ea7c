"""Real training processes, killed at any moment and started again: what they leave is what one that nobody disturbed leaves."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from driving import ENVIRONMENT, command

sys.path[:0] = [str(Path(__file__).parents[1] / "unit" / room) for room in ("train", "data")]

# ruff: noqa: E402
from fake_faces import make_faces
from processes import process, together
from shared_runs import shared_run
from toy_recipe import ToyRecipe, toy_run
from traces import left_behind

from facewright.data import Batch
from facewright.train import checkpoint

STEPS = 24
BUSY = {"checkpoint_every": 3, "sample_every": 3, "validate_every": 3, "log_every": 1, "best": "-weight"}


def train(folder: Path, seconds: float = 0.0) -> None:
    toy_run(folder, STEPS, ToyRecipe(seconds), **BUSY)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    with process(train, folder) as running:
        running.join()
        assert running.exitcode == 0
    return left_behind(folder)


def test_a_run_killed_again_and_again_is_the_run(tmp_path: Path, undisturbed: dict[str, object]) -> None:
    """At random moments, as the computer's own kill would. At most the steps since the last checkpoint are lost."""
    moments, kills, steps, patience = random.Random(8), 0, [0], 1.0
    while True:
        with process(train, tmp_path, 0.05) as running:  # a second and more in all, so that a quick machine is killed often enough
            running.join(moments.uniform(0.05, 0.45) * patience)
            if running.exitcode is not None:
                assert running.exitcode == 0
                break
            os.kill(running.pid or 0, signal.SIGKILL)
            running.join()
        kills += 1
        assert kills < 60
        found = checkpoint.newest(tmp_path) if tmp_path.exists() else None
        steps.append(found[1]["step"] if found else 0)
        patience = 1.0 if steps[-1] > steps[-2] else patience * 1.5  # on a busy machine it takes longer to get anywhere
        log = tmp_path / "log.jsonl"
        assert not log.exists() or len(log.read_text().splitlines()) <= steps[-1] + 3 + 1, "a checkpoint was missed"
    assert kills >= 3 and steps == sorted(steps)
    assert left_behind(tmp_path) == undisturbed


def in_the_middle_of_a_file(step: int) -> None:
    """Dies when half of a checkpoint is on the disk."""
    save = torch.save

    def torn(state: object, path: Path) -> None:
        save(state, path)
        if path.name.startswith(f"step-{step:08d}"):
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save = torn  # type: ignore[assignment]


def around(call: str, name: str, after: bool) -> Callable[[int], None]:
    """Dies just before, or just after, os.`call` has worked on a file that is named so."""

    def arm(step: int) -> None:
        real = getattr(os, call)

        def deadly(first: object, *rest: object) -> object:
            path = os.readlink(f"/proc/self/fd/{first}") if isinstance(first, int) else str(first)
            here = Path(path).name.startswith(name.format(step))
            if here and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            done = real(first, *rest)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        setattr(os, call, deadly)

    return arm


MOMENTS = {
    "half a checkpoint": in_the_middle_of_a_file,
    "before it is on the disk": around("fsync", "step-{:08d}", False),
    "before its name": around("replace", "step-{:08d}", False),
    "after its name, before the export": around("replace", "step-{:08d}", True),
    "before the export's name": around("replace", "export.safetensors", False),
    "before an old checkpoint goes": around("unlink", "step-", False),
    "after an old checkpoint went": around("unlink", "step-", True),
}


def train_and_die(folder: Path, moment: str) -> None:
    MOMENTS[moment](12)
    train(folder)


@pytest.mark.skipif(sys.platform != "linux", reason="names of open files are read from /proc")
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_while_saving_costs_no_more_than_that_save(tmp_path: Path, undisturbed: dict[str, object], moment: str) -> None:
    with process(train_and_die, tmp_path, moment) as running:
        running.join()
        assert running.exitcode == -signal.SIGKILL
    found = checkpoint.newest(tmp_path)
    assert found is None or found[1]["step"] >= (12 if "12" in found[0].name else 0)
    with process(train, tmp_path) as running:
        running.join()
        assert running.exitcode == 0
    assert left_behind(tmp_path) == undisturbed


@pytest.mark.slow
def test_the_command_stops_when_asked_and_goes_on(tmp_path: Path) -> None:
    """Ctrl-C on the real command: one line, exit code 130, a checkpoint; the same command then ends the run as if nothing had been."""
    data = make_faces(tmp_path / "faces")
    changes = ["run.steps=12", "run.batch=2", "run.device=cpu", "run.precision=fp32", "run.log_every=1", "run.sample_every=0"]
    changes += ["run.validate_every=0", "run.checkpoint_every=0"]
    words = ["train", "gfpgan", "--preset", "tiny", "--data", data, "--run", tmp_path / "run", *changes]
    with subprocess.Popen(command(*words), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("step 2 "):
                running.send_signal(signal.SIGINT)
                break
        _, errors = running.communicate(timeout=100)
    assert running.returncode == 130
    first, second = errors.splitlines()
    assert first.startswith("facewright: training stopped at step ") and first.endswith(" is kept")
    assert second.strip() == "the same command goes on from there"
    found = checkpoint.newest(tmp_path / "run")
    assert found is not None and 2 <= found[1]["step"] < 12 and f"the checkpoint of step {found[1]['step']} is kept" in first

    done = subprocess.run(command(*words), env=ENVIRONMENT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and done.stdout.startswith(f"step {found[1]['step'] + 1} "), done.stderr
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == list(range(1, 13))


LAUNCHERS = {
    "torchrun": ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"],
    # it starts several processes only "for GPUs"; what they compute on is their own affair
    "accelerate": ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=2"],
}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_what_launchers_start_find_each_other(tmp_path: Path, launcher: str) -> None:
    if launcher == "accelerate":
        pytest.importorskip("accelerate")
    assert together(2, shared_run, tmp_path / "by hand", "toy", 4, {}) == [0, 0]
    script = tmp_path / "train.py"
    here = [str(Path(__file__).parents[1] / "unit" / "train")]
    script.write_text(
        f"import os, sys\nsys.path[:0] = {here}\nfrom pathlib import Path\nfrom shared_runs import shared_run\n"
        f"shared_run(int(os.environ['RANK']), Path({str(tmp_path / 'launched')!r}), 'toy', 4, {{}})\n"
    )
    done = subprocess.run([sys.executable, *LAUNCHERS[launcher], str(script)], env=ENVIRONMENT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert left_behind(tmp_path / "by hand") == left_behind(tmp_path / "launched")


@pytest.fixture
def little_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for a dozen checkpoints."""
    place = tmp_path / "little"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount here")
def test_a_disk_that_is_really_full(little_disk: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run, filler = little_disk / "run", little_disk / "filler"

    class Toy(ToyRecipe):
        """With a neighbour who fills the disk for a while."""

        def step(self, batch: Batch) -> None:
            if self.engine.step == 7:
                with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                    while True:
                        file.write(bytes(512))
            if self.engine.step == 16:
                filler.unlink()
            super().step(batch)

    busy = BUSY | {"best": ""}
    toy_run(tmp_path / "straight", STEPS, **busy)
    toy_run(run, STEPS, Toy(), **busy)
    assert [f"step {n}: cannot write" in caplog.text for n in (6, 9, 12, 15, 18)] == [False, True, True, True, False]
    assert caplog.text.count(".pt: No space left on device; training goes on without this checkpoint, the one of step 6 stays") == 3
    one, other = left_behind(tmp_path / "straight"), left_behind(run)
    assert {name: one[name] for name in ("log", "export", "parts")} == {name: other[name] for name in ("log", "export", "parts")}
    assert one["checkpoint"] == other["checkpoint"]
