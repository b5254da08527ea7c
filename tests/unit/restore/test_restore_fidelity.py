"""Networks that choose themselves between their picture and the photo's face: w goes to them, and nothing is blended for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from restorer_samples import PLACES, Drift, Pointer, only, scene
from torch import nn

from facewright.errors import ModelError, UsageError
from facewright.faces.identity import Identity
from facewright.nets.codeformer import CodeFormer
from facewright.nets.vqfr import VQFRv1, VQFRv2
from facewright.restore import Restorer, Settings
from facewright.restore.report import Report
from facewright.weights.header import header_of, written

CODEFORMER: dict[str, Any] = {
    "dim_embd": 16,
    "n_head": 2,
    "n_layers": 1,
    "codebook_size": 16,
    "connect_list": [16, 32],
    "img_size": 64,
    "nf": 32,
    "ch_mult": [1, 1, 2],
    "res_blocks": 1,
    "attn_resolutions": [16],
    "emb_dim": 8,
}
VQFR: dict[str, Any] = {
    "base_channels": 32,
    "channel_multipliers": [1, 1],
    "inpfeat_dim": 4,
    "num_code": 16,
    "code_dim": 8,
    "resolution": 64,
}


def file_of(folder: Path, architecture: str, net: nn.Module, arguments: dict[str, Any]) -> str:
    path = folder / f"{architecture}.safetensors"
    path.write_bytes(written(net.state_dict(), header_of(architecture, arguments, licence="test")))
    return str(path)


@pytest.fixture(scope="module")
def codeformer(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(3)
    return file_of(tmp_path_factory.mktemp("w"), "codeformer", CodeFormer(**CODEFORMER), CODEFORMER)


@pytest.fixture
def restore(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(Identity, "load", lambda device: Drift(0.0))

    def run(model: str, **choices: Any) -> Any:
        restorer = Restorer(detector=Pointer(PLACES[:2]), model=model, device="cpu", precision="fp32", **choices)
        return only(restorer.restore([scene()]))

    return run


def test_w_changes_the_network_s_picture_and_not_the_strength(codeformer: str, restore: Callable[..., Any]) -> None:
    results = {w: restore(codeformer, fidelity=w) for w in (0.0, 0.5, 1.0)}
    for w, done in results.items():
        assert [face.strength for face in done.faces] == [1.0, 1.0]
        assert [face["fidelity"] for face in done.report["faces"]] == [w, w]
        assert done.faces[0].action == "restored"
    pictures = [done.faces[0].restored for done in results.values()]
    assert min(np.abs(a - b).max() for a, b in pairwise(pictures)) > 1 / 255
    assert (results[1.0].image != scene()).any()


def test_auto_is_what_the_published_program_takes(codeformer: str, restore: Callable[..., Any]) -> None:
    usual, half = restore(codeformer), restore(codeformer, fidelity=0.5)
    np.testing.assert_array_equal(usual.image, half.image)
    assert json.loads(json.dumps(usual.report))["faces"][1]["fidelity"] == 0.5


def test_strength_still_blends(codeformer: str, restore: Callable[..., Any]) -> None:
    done = restore(codeformer, fidelity=0.3, strength=0.5)
    assert [(face.strength, face.fidelity, face.action) for face in done.faces] == [(0.5, 0.3, "blended")] * 2


@pytest.mark.parametrize("w", [-0.01, 1.01, 1.3, float("nan"), "most"])
def test_w_outside_of_0_to_1_is_refused(w: Any) -> None:
    with pytest.raises(UsageError, match=r"--fidelity cannot be .*: it is a number from 0 to 1"):
        Settings(fidelity=w)


def test_the_page_tells_w(codeformer: str, restore: Callable[..., Any], tmp_path: Path) -> None:
    page = Report(tmp_path / "page.html")
    page.add("one.jpg", restore(codeformer, fidelity=0.25))
    page.write()
    assert (tmp_path / "page.html").read_text().count("px across, w 0.25<") == 2


def test_a_network_without_the_choice_is_blended(model: str, restore: Callable[..., Any]) -> None:
    done = restore(model, fidelity=0.25)
    assert [(face.strength, face.fidelity, face.damage) for face in done.faces] == [(0.75, 0.25, None)] * 2


def test_vqfr(tmp_path: Path, restore: Callable[..., Any]) -> None:
    torch.manual_seed(4)
    second = file_of(tmp_path, "vqfr.v2", VQFRv2(**VQFR), VQFR)
    usual, none, whole = restore(second), restore(second, fidelity=0.0), restore(second, fidelity=1.0)
    np.testing.assert_array_equal(usual.image, none.image)
    assert usual.faces[0].fidelity == 0 and whole.faces[0].fidelity == 1 and whole.faces[0].strength == 1
    assert np.abs(whole.faces[0].restored - usual.faces[0].restored).max() > 1 / 255
    first = file_of(tmp_path, "vqfr.v1", VQFRv1(**VQFR), VQFR)
    done = restore(first, fidelity=0.25)
    assert done.faces[0].fidelity == 0.25 and done.faces[0].strength == 0.75


@pytest.mark.parametrize("task", ["colorization", "inpainting"])
def test_other_tasks_are_no_restoration(tmp_path: Path, task: str) -> None:
    path = file_of(tmp_path, "codeformer", CodeFormer(**CODEFORMER), CODEFORMER | {"task": task})
    with pytest.raises(ModelError, match=rf"codeformer\.safetensors does not restore faces: it is a CodeFormer for {task}") as caught:
        Restorer(model=path, device="cpu")
    assert caught.value.what_to_do == "take codeformer"


def test_a_task_that_only_the_shapes_tell_can_be_contradicted(tmp_path: Path) -> None:
    sizes = CODEFORMER | {"ch_mult": [1, 1, 1, 1, 1, 1], "img_size": 512, "connect_list": [32, 64, 128]}
    path = tmp_path / "own.safetensors"
    path.write_bytes(written(CodeFormer(**sizes).state_dict(), {}))
    with pytest.raises(ModelError, match=r"own\.safetensors does not restore faces: it is a CodeFormer for colorization") as caught:
        Restorer(model=str(path), device="cpu")
    assert f"{path}:task=restoration" in caught.value.what_to_do
    assert Restorer(model=f"{path}:task=restoration", device="cpu").network.has_fidelity
