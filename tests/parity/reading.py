"""Reads reference cases: what a published program computed, on weights and inputs that anyone can make again from their names.

A case is `<system>/<case>.json` with its arrays in `<system>/<case>.npz`:

    parameters  {published name: shape}, buffers included
    fill        [[regular expression, rule], ...]: the first match gives a parameter's values, "auto" where none matches
    inputs      {name: recipe}
    call        what was called with which inputs, and what it returned
    outputs     {name: where the array lies, which slice of the result it is, how near a result must come}
    gradients   the same for the derivatives of `call.scalar`

The folder is that of the environment variable FACEWRIGHT_REFERENCE, else `../shared/reference` beside the repository, else the
small `selection` beside this file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

SELECTION = Path(__file__).resolve().parent / "selection"


def root() -> Path:
    """The folder of the reference cases."""
    if given := os.environ.get("FACEWRIGHT_REFERENCE"):
        return Path(given)
    beside = Path(__file__).resolve().parents[3] / "shared" / "reference"
    return beside if beside.is_dir() else SELECTION


def cases(folder: Path | None = None, system: str = "*") -> Iterator[Fixture]:
    """All cases below `folder` (default: `root()`), or those of one system, in the order of their names."""
    for path in sorted((folder or root()).glob(f"{system}/*.json")):
        yield Fixture(path, json.loads(path.read_text()))


@dataclass(frozen=True)
class Fixture:
    """One reference case."""

    path: Path
    meta: dict[str, Any]

    @property
    def system(self) -> str:
        return self.path.parent.name

    @property
    def case(self) -> str:
        return self.path.stem

    @property
    def name(self) -> str:
        return f"{self.system}/{self.case}"

    @property
    def call(self) -> dict[str, Any]:
        """What was called; empty for a table of keys."""
        return self.meta.get("call") or {}

    @property
    def procedure(self) -> str | None:
        """The name of a longer story than a plain call."""
        return self.call.get("procedure")

    @property
    def built(self) -> str | None:
        """The published class, if one was built."""
        return (self.meta.get("build") or {}).get("class")

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor arguments of that class."""
        return dict((self.meta.get("build") or {}).get("args", {}))

    @property
    def is_key_table(self) -> bool:
        """True where nothing was computed: names and shapes are all there is."""
        return not self.meta.get("outputs")

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        file = self.path.with_suffix(".npz")
        if not file.exists():
            return {}
        with np.load(file, allow_pickle=False) as stored:
            return dict(stored)

    def state(self) -> dict[str, Tensor]:
        """All parameters and buffers under their published names."""
        state = {}
        for name, shape in self.meta.get("parameters", {}).items():
            rules: list[tuple[str, dict[str, Any]]] = self.meta.get("fill", [])
            rule = next((rule for pattern, rule in rules if re.search(pattern, name)), {})
            state[name] = torch.from_numpy(filled(name, tuple(shape), **rule))
        return state

    def input_arrays(self) -> dict[str, np.ndarray]:
        """The inputs as NumPy arrays: for photographs and the like."""
        return {name: made(recipe, self.arrays) for name, recipe in self.meta.get("inputs", {}).items()}

    def inputs(self) -> dict[str, Tensor]:
        """The inputs as tensors."""
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in self.input_arrays().items()}

    def check(self, name: str, actual: Any, kind: str = "outputs") -> None:
        """Raise AssertionError unless `actual` (a tensor, an array or a number) is the recorded output, or gradient, `name`."""
        record = self.meta[kind][name]
        expected = np.asarray(self.arrays[record["array"]])
        got = actual.detach().cpu().numpy() if isinstance(actual, Tensor) else np.asarray(actual)
        if "shape" in record:
            assert list(got.shape) == list(record["shape"]), f"{self.name} {name}: shape {list(got.shape)}, not {record['shape']}"
        if record.get("slice"):
            got = got[tuple(slice(*axis) if axis else slice(None) for axis in record["slice"])]
        got, expected = got.astype(np.float64), expected.astype(np.float64)
        allowed = record.get("atol", 1e-4) + record.get("rtol", 1e-4) * np.abs(expected)
        far = ~(np.abs(got - expected) <= allowed)  # so that a NaN is far
        worst = np.abs(got - expected).max(initial=0)
        assert not far.any(), f"{self.name} {name}: {far.sum()} of {far.size} values are out of tolerance, by up to {worst:.3g}"

    def check_gradient(self, name: str, actual: Tensor) -> None:
        """`check` for a derivative."""
        self.check(name, actual, "gradients")


def filled(name: str, shape: tuple[int, ...], kind: str = "auto", gain: float = 1.0) -> np.ndarray:
    """The float32 values of the parameter `name`; its name is the seed.

    normal: N(0, gain^2); fan_in, fan_out: that over the root of prod(shape[1:]) or of shape[0]; ones: 1 + 0.1 N(0, gain^2);
    positive: 0.5 + gain U(0, 1); constant: gain; zero: 0; auto: by name and rank.
    """
    if kind == "auto":
        kind, gain = _by_name(name, len(shape), gain)
    random = np.random.RandomState(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little"))
    if kind in ("zero", "constant"):
        return np.full(shape, gain if kind == "constant" else 0, np.float32)
    if kind == "positive":
        return np.asarray(0.5 + gain * random.random_sample(shape), np.float32)
    z = random.standard_normal(shape)
    if kind == "ones":
        return np.asarray(1 + 0.1 * gain * z, np.float32)
    fan = {"normal": 1, "fan_in": int(np.prod(shape[1:])), "fan_out": shape[0] if shape else 1}[kind]
    return np.asarray(gain * z / np.sqrt(max(1, fan)), np.float32)


def _by_name(name: str, rank: int, gain: float) -> tuple[str, float]:
    if name.endswith("running_var"):
        return "positive", gain
    if name.endswith("num_batches_tracked"):
        return "zero", gain
    if rank >= 2:
        return "fan_in", gain
    return ("ones", gain) if name.endswith(("weight", "gamma")) else ("normal", 0.1 * gain)


def made(recipe: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The array that a recipe stands for: stored in the case, or drawn from a seed (normal, uniform, integers, smooth)."""
    kind = recipe["kind"]
    if kind == "array":
        return arrays[recipe["array"]]
    random, shape = np.random.RandomState(recipe["seed"]), tuple(recipe["shape"])
    if kind == "normal":
        return np.asarray(recipe.get("gain", 1.0) * random.standard_normal(shape), np.float32)
    low, high = recipe.get("low", 0), recipe.get("high", 1)
    if kind not in ("uniform", "integers", "smooth"):
        raise ValueError(f"a recipe of the unknown kind {kind!r}")
    if kind == "integers":
        return random.randint(low, high, size=shape).astype(recipe.get("dtype", "int64"))
    signal = _smooth(random, shape) if kind == "smooth" else random.random_sample(shape)
    return np.asarray(low + (high - low) * signal, np.float32)


def _smooth(random: np.random.RandomState, shape: tuple[int, ...]) -> np.ndarray:
    """Six plane waves a channel, all brought to [0, 1] together: N x C x H x W."""
    n, c, h, w = shape
    rows, columns = np.arange(h, dtype=np.float64)[:, None] / h, np.arange(w, dtype=np.float64)[None] / w
    rows, columns = np.broadcast_arrays(rows, columns)
    total = np.zeros(shape)
    for channel in total.reshape(n * c, h, w):
        for _ in range(6):
            down, along = random.uniform(-4, 4, 2)
            height, phase = random.uniform(0.2, 1), random.uniform(0, 2 * np.pi)
            channel += height * np.sin(2 * np.pi * (down * rows + along * columns) + phase)
    return np.asarray((total - total.min()) / (total.max() - total.min()))
