"""Who restores: rivals by name and models by name or file, each a function from damaged faces to restored ones."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from facewright.degrade import steps
from facewright.errors import UsageError
from facewright.evaluate import rivals
from facewright.evaluate.damages import Damaged
from facewright.evaluate.source import Image, stamp_of
from facewright.media import Origin, Photo
from facewright.restore import Restorer, Settings
from facewright.restore.fidelity import table
from facewright.restore.network import FaceNetwork
from facewright.weights import find

SWEPT = {"w": "fidelity", "fidelity": "fidelity", "strength": "strength"}
AUTO = "auto"


@dataclass(frozen=True)
class Sweep:
    """The values of one choice of `restore.Settings`. symbol: as the user called it."""

    symbol: str
    values: tuple[float, ...]

    @property
    def field(self) -> str:
        return SWEPT[self.symbol]

    @property
    def points(self) -> tuple[float | str, ...]:
        """The values, and for w each face's own beside them."""
        return (*self.values, AUTO) if self.field == "fidelity" else self.values


def parse_sweep(text: str) -> Sweep:
    """ "w=0:1:0.1", from, to and step, both ends included; or "w=0,0.5,1". Raises UsageError."""
    name, _, told = text.partition("=")
    wrong = UsageError(f"--sweep cannot be {text!r}", what_to_do="write it as w=0:1:0.1 (from, to, step) or strength=0,0.5,1")
    if name not in SWEPT:
        raise UsageError(f"there is no {name!r} to sweep", what_to_do=f"use one of: {', '.join(SWEPT)}")
    try:
        if ":" in told:
            low, high, step = (float(part) for part in told.split(":"))
            if step <= 0 or high < low or (high - low) / step > 100:
                raise wrong
            values = [round(low + index * step, 6) for index in range(int((high - low) / step + 1e-6) + 1)]
        else:
            values = [float(part) for part in told.split(",")]
    except ValueError:
        raise wrong from None
    if not all(0 <= value <= 1 for value in values):
        raise UsageError(f"--sweep cannot be {text!r}", f"{name} goes from 0 to 1")
    return Sweep(name, tuple(values))


class Rival:
    """One of `rivals`, picture by picture."""

    def __init__(self, name: str, make: Callable[[Damaged], Image]) -> None:
        self.name, self.stamp, self._make = name, "rival 1", make

    def __call__(self, damaged: Sequence[Damaged]) -> list[Image]:
        return [self._make(each) for each in damaged]


class ModelMethod:
    """A model through the whole restorer, as a user gets it: 8 bits in, 8 bits out."""

    def __init__(self, name: str, restorer: Restorer, stamp: str) -> None:
        self.name, self.restorer, self.stamp = name, restorer, stamp

    def __call__(self, damaged: Sequence[Damaged]) -> list[Image]:
        jobs = [self.restorer.prepare(Photo(steps.eight_bits(each.picture), None, Origin())) for each in damaged]
        self.restorer.run(jobs)
        done = [np.asarray(self.restorer.finish(job).image, np.uint8) for job in jobs]
        return [steps.from_eight_bits(_sized(image, each.picture)) for image, each in zip(done, damaged, strict=True)]


class Remembered:
    """A network without a control of its own gives one picture for every w: it is asked once a batch."""

    def __init__(self, network: FaceNetwork) -> None:
        self._network = network
        self._last: tuple[Tensor, Tensor] | None = None

    def __call__(self, crops: Tensor, fidelity: float | Tensor | None = None) -> Tensor:
        if self._last is None or not torch.equal(self._last[0], crops):
            self._last = (crops, self._network(crops))
        return self._last[1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


Method = Rival | ModelMethod


def open_rivals(names: Sequence[str]) -> list[Method]:
    return [Rival(name, make) for name, make in rivals.chosen(tuple(names)).items()]


def open_models(names: Sequence[str], settings: Settings, sweep: Sweep | None = None) -> list[Method]:
    """Each model once, or once for each value of the sweep. Raises ModelError, UsageError for a model named twice."""
    methods: list[Method] = []
    for shown, name in _told_apart(names).items():
        restorer = Restorer(replace(settings, model=name))
        chosen = {key: value for key, value in settings.asdict().items() if key not in ("model", "device", "batch", "detector")}
        if sweep is None:
            methods.append(ModelMethod(shown, restorer, _stamp(name, chosen, restorer)))
            continue
        if not restorer.network.has_fidelity:
            restorer.network = Remembered(restorer.network)  # type: ignore[assignment]
        for value in sweep.points:
            options: dict[str, Any] = {sweep.field: value}
            varied = copy.copy(restorer)  # the network is shared
            varied.settings = replace(restorer.settings, **options)
            methods.append(ModelMethod(variant(shown, sweep.symbol, value), varied, _stamp(name, chosen | options, varied)))
    return methods


def variant(model: str, symbol: str, value: float | str) -> str:
    """The method's name of a model at one value of a sweep."""
    return f"{model} ({symbol} {value if isinstance(value, str) else f'{value:g}'})"


def _told_apart(names: Sequence[str]) -> dict[str, str]:
    """The name in the tables to the name or path of the model."""
    shown = {name: Path(name).stem if Path(name).suffix and Path(name).is_file() else name for name in names}
    if len(set(names)) < len(names):
        raise UsageError(f"the model {next(name for name in names if list(names).count(name) > 1)} is named twice")
    taken = list(shown.values())
    return {(label if taken.count(label) == 1 and label not in rivals.RIVALS else name): name for name, label in shown.items()}


def _stamp(name: str, choices: dict[str, Any], restorer: Restorer) -> str:
    path = find(name)
    rule = f":{restorer.rule}:{table().weights}" if restorer.rule is not None else ""  # another calibration gives other pictures
    return f"{path.name}:{stamp_of(path)}:{sorted(choices.items())}{rule}"


def _sized(image: np.ndarray[Any, np.dtype[np.uint8]], like: Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A model that works as published gives its own size; it is measured at the truth's."""
    height, width = like.shape[:2]
    if image.shape[:2] != (height, width):
        shrinking = image.shape[0] > height
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC), np.uint8)
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
