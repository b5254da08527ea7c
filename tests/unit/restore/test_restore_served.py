"""Which networks serve a run, what the report says of it, and what a background or a parser does to the picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from restorer_samples import SIDE, only, scene, touched
from safetensors.torch import save_file
from torch import Tensor

from facewright.errors import ModelError, UsageError
from facewright.faces.align import TEMPLATE_SIZE
from facewright.faces.parse import FaceParser
from facewright.nets.realesrgan import SRVGGNetCompact
from facewright.restore import Restorer, Settings, served


@pytest.fixture
def nothing_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "available", lambda name: False)


@pytest.fixture
def upscaler(tmp_path: Path) -> str:
    """A network that doubles a photo by nearest neighbours: its last layer is 0."""
    net = SRVGGNetCompact(num_feat=8, num_conv=1, upscale=2)
    state = net.state_dict()
    last = max(int(name.split(".")[1]) for name in state)
    for part in ("weight", "bias"):
        state[f"body.{last}.{part}"] = torch.zeros_like(state[f"body.{last}.{part}"])
    save_file(state, tmp_path / "doubles.safetensors")
    return str(tmp_path / "doubles.safetensors")


class LeftHalf:
    """A parser that sees skin in the left half of a crop and background elsewhere."""

    def labels(self, crops: Tensor) -> np.ndarray:
        maps = np.zeros((len(crops), TEMPLATE_SIZE, TEMPLATE_SIZE), np.uint8)
        maps[:, :, : TEMPLATE_SIZE // 2] = 1
        return maps


def test_the_report_says_which_detector_and_mask_served(restorer: Callable[..., Restorer], nothing_fetched: None) -> None:
    done = only(restorer(mask="parse").restore([scene()]))
    assert done.report["served"] == {"detector": "pointer", "mask": "ellipse", "background": "the photo's own"}
    assert any("facewright models get parsenet" in note for note in done.report["notes"])


def test_mtcnn_serves_where_retinaface_is_not_here(model: str, nothing_fetched: None) -> None:
    made = Restorer(model=model, detector="retinaface")
    assert made.served.by["detector"] == "mtcnn"
    assert any("facewright models get retinaface-resnet50" in note for note in made.served.notes)


def test_no_note_where_everything_served_as_asked(restorer: Callable[..., Restorer]) -> None:
    done = only(restorer(upscale=2).restore([scene()]))
    assert done.report["served"]["background"] == "lanczos" and not done.report["notes"]


def test_a_parsed_face_is_pasted_where_the_parser_sees_one(restorer: Callable[..., Restorer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "available", lambda name: True)
    monkeypatch.setattr(FaceParser, "load", lambda device: LeftHalf())
    left, top, side = 60, 60, 120
    photo = scene()
    done = only(restorer([(left, top, side)], mask="parse").restore([photo]))
    changed = touched(photo, done.image)
    middle = left + side // 2
    assert changed[top + 20 : top + side - 20, left + 20 : middle - 12].mean() > 0.9
    assert not changed[:, middle + 20 :].any()
    assert done.report["served"]["mask"] == "parse"


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("grey", [False, True])
def test_a_named_background_fills_everything_but_the_faces(
    restorer: Callable[..., Restorer], upscaler: str, depth: type, grey: bool
) -> None:
    photo = scene(depth, grey)
    done = only(restorer([(70, 70, 90)], background=upscaler, upscale=2).restore([photo]))
    assert done.image.shape[:2] == (2 * SIDE, 2 * SIDE) and done.image.dtype == depth
    doubled = cv2.resize(photo, (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_NEAREST)
    changed = np.abs(doubled.astype(int) - done.image) > 1
    changed = changed if grey else changed.any(axis=2)
    assert not changed[:130].any() and not changed[:, :130].any()
    assert changed[180:280, 180:280].mean() > 0.5
    assert done.report["served"]["background"] == upscaler


def test_a_background_that_is_no_upscaler_is_refused(restorer: Callable[..., Restorer], model: str) -> None:
    with pytest.raises(ModelError, match="does not enlarge photos"):
        restorer(background=model)


def test_a_background_that_is_not_here_is_an_error_and_never_replaced(
    restorer: Callable[..., Restorer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(ModelError) as told:
        restorer(background="realesrgan-x2plus")
    assert "facewright models get realesrgan-x2plus" in told.value.what_to_do


def test_an_unknown_background_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="--background cannot be 'blur'"):
        Settings(background="blur")


def test_nothing_is_loaded_that_was_not_asked_for(restorer: Callable[..., Restorer], monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*arguments: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(FaceParser, "load", no)
    monkeypatch.setattr(served.Upscaler, "load", no)
    assert restorer().served.parser is None
