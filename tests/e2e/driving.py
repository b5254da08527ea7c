"""The real command: as a process of its own where that matters, else through its `main` in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from skimage import data

import facewright
from facewright.errors import ModelError
from facewright.nets.gfpgan import GFPGAN
from facewright.weights import bundled

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(facewright.__file__).parents[1]), "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    output: bytes
    errors: str

    @property
    def told(self) -> dict[str, dict[str, Any]]:
        """What --json printed, by the photo's file name."""
        lines = [json.loads(line) for line in self.output.decode().splitlines()]
        return {Path(each["photo"]).name: each for each in lines}

    @property
    def complaints(self) -> list[str]:
        """First lines of the errors; a second, indented line says what to do. Anything else on stderr is a failure of its own."""
        lines = self.errors.splitlines()
        assert all(line.startswith(("facewright: ", "            ")) for line in lines), self.errors
        return [line.removeprefix("facewright: ") for line in lines if not line.startswith(" ")]


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def run() -> Run:
    """facewright as a process: run("restore", path, ..., input=bytes, cwd=folder)."""

    def start(*words: str | Path, input: bytes | None = None, cwd: Path | None = None) -> Ran:
        done = subprocess.run(command(*words), input=input, cwd=cwd, env=ENVIRONMENT, capture_output=True, timeout=240)
        return Ran(done.returncode, done.stdout, done.stderr.decode())

    return start


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "facewright", *map(str, words)]


@pytest.fixture
def call(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same command within this process, which has loaded torch already."""
    from facewright.cli import main

    def start(*words: str | Path) -> Ran:
        monkeypatch.setattr(sys, "argv", ["facewright", *map(str, words)])
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        output, errors = capfdbinary.readouterr()
        return Ran(int(left.value.code or 0), output, errors.decode())

    return start


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GFPGAN that never learned: enough for everything but the picture's beauty."""
    torch.manual_seed(0)
    channels = {4: 16, 8: 16, 16: 16, 32: 16, 64: 8, 128: 8}
    net = GFPGAN(out_size=128, num_style_feat=32, num_mlp=2, channels=channels, input_skip=True)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)
    return path


@pytest.fixture(scope="session")
def model(tiny_model: Path) -> str:
    """The default model where it is there, else the tiny one."""
    try:
        bundled("gfpgan-mini")
    except ModelError:
        return str(tiny_model)
    return "gfpgan-mini"


@pytest.fixture(scope="session")
def portrait() -> NDArray[np.uint8]:
    """Head and shoulders of the astronaut, 320 x 310 x 3."""
    return np.ascontiguousarray(data.astronaut()[0:320, 70:380])
