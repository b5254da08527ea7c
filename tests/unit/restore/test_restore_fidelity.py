"""Networks that choose themselves between their picture and the photo's face: w goes to them, and nothing is blended for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from restorer_samples import PLACES, Drift, Pointer, only, scene
from skimage import data
from torch import nn

from facewright.errors import ModelError, UsageError
from facewright.faces.identity import Identity
from facewright.metrics import damage
from facewright.nets.codeformer import CodeFormer
from facewright.nets.vqfr import VQFRv1, VQFRv2
from facewright.restore import Restorer, Settings, fidelity
from facewright.restore.fidelity import Rule, Table, choose, index, rule_of, table, words
from facewright.restore.report import Report
from facewright.restore.restorer import _as_photo
from facewright.weights.header import header_of, written
from small_networks import CODEFORMER

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

    def run(model: str, photo: Any = None, **choices: Any) -> Any:
        restorer = Restorer(detector=Pointer(PLACES[:2]), model=model, device="cpu", precision="fp32", **choices)
        return only(restorer.restore([scene() if photo is None else photo]))

    return run


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put these rules in place of the shipped ones: control, blend of the kinds, others by the model's name."""

    def put(**given: Rule) -> None:
        made = Table(table().weights, given, {kind: kind for kind in ("control", "blend") if kind in given})
        monkeypatch.setattr(fidelity, "table", lambda: made)

    return put


FALLING = Rule((0.0, 6.0), (1.0, 0.0))


def unlike() -> Any:
    """A photo with a clear and a blurred face at the first two PLACES."""
    face = data.astronaut()[20:230, 120:330]
    photo = scene()
    for (left, top, side), sigma in zip(PLACES[:2], (0, 4), strict=True):
        small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
        photo[top : top + side, left : left + side] = cv2.GaussianBlur(small, (0, 0), sigma) if sigma else small
    return photo


def test_w_changes_the_network_s_picture_and_not_the_strength(codeformer: str, restore: Callable[..., Any]) -> None:
    results = {w: restore(codeformer, fidelity=w) for w in (0.0, 0.5, 1.0)}
    for w, done in results.items():
        assert [face.strength for face in done.faces] == [1.0, 1.0]
        assert [face["fidelity"] for face in done.report["faces"]] == [w, w]
        assert done.faces[0].action == "restored"
    pictures = [done.faces[0].restored for done in results.values()]
    assert min(np.abs(a - b).max() for a, b in pairwise(pictures)) > 1 / 255
    assert (results[1.0].image != scene()).any()


def test_auto_without_a_rule_is_what_the_published_program_takes(
    codeformer: str, restore: Callable[..., Any], rules: Callable[..., None]
) -> None:
    rules()
    usual, half = restore(codeformer), restore(codeformer, fidelity=0.5)
    np.testing.assert_array_equal(usual.image, half.image)
    told = json.loads(json.dumps(usual.report))["faces"][1]
    assert told["fidelity"] == 0.5 and told["damage"] is None and not any(reason.startswith("w ") for reason in told["reasons"])


def test_auto_gives_each_face_its_own_w_and_says_why(codeformer: str, restore: Callable[..., Any], rules: Callable[..., None]) -> None:
    rules(control=FALLING)
    done = restore(codeformer, photo=unlike())
    clear, blurred = done.faces
    assert clear.fidelity > blurred.fidelity + 0.05
    for face in done.faces:
        assert face.fidelity == choose(face.crop, FALLING).w and face.strength == 1 and face.action == "restored"
        assert f"w {face.fidelity:.2f}: {face.damage}" in face.reasons
        told = json.loads(json.dumps(face.asdict()))
        assert told["fidelity"] == pytest.approx(face.fidelity, abs=1e-3) and told["damage"] == face.damage
    assert "blurred" in blurred.damage and "hardly" not in blurred.damage
    # each as if it had been asked for by number
    for face in done.faces:
        alone = restore(codeformer, photo=unlike(), fidelity=face.fidelity).faces[face.index]
        np.testing.assert_allclose(alone.restored, face.restored, atol=2e-5)


def test_a_face_s_picture_does_not_know_its_neighbours(codeformer: str, restore: Callable[..., Any], rules: Callable[..., None]) -> None:
    rules(control=FALLING)
    together, single = (restore(codeformer, photo=unlike(), batch=batch) for batch in (2, 1))
    for one, other in zip(together.faces, single.faces, strict=True):
        assert one.fidelity == other.fidelity
        np.testing.assert_allclose(one.restored, other.restored, atol=2e-5)


def test_a_w_that_a_face_brings_stays(codeformer: str, monkeypatch: pytest.MonkeyPatch, rules: Callable[..., None]) -> None:
    rules(control=FALLING)
    monkeypatch.setattr(Identity, "load", lambda device: Drift(0.0))
    restorer = Restorer(detector=Pointer(PLACES[:2]), model=codeformer, device="cpu", precision="fp32")
    job = restorer.prepare(_as_photo(unlike()))
    job.faces[1].fidelity = 0.875
    restorer.run([job])
    assert job.faces[0].fidelity == choose(job.faces[0].crop, FALLING).w and job.faces[1].fidelity == 0.875


def test_auto_blends_where_the_network_has_no_control(model: str, restore: Callable[..., Any], rules: Callable[..., None]) -> None:
    rules(blend=Rule((0.0,), (0.25,)))
    for face in restore(model, strength=0.5).faces:
        assert (face.fidelity, face.strength, face.action) == (0.25, 0.375, "blended")
        assert face.reasons[:2] == [f"w 0.25: {face.damage}", "strength 0.50 as asked"]
    rules(blend=Rule((0.0,), (1.0,)))
    done = restore(model)
    assert [(face.action, face.strength, face.reasons[0]) for face in done.faces] == [
        ("left alone", 0.0, f"w 1.00: {face.damage}") for face in done.faces
    ]
    np.testing.assert_array_equal(done.image, scene())
    rules(blend=Rule((0.0,), (0.0,)))
    for face in restore(model).faces:
        assert (face.action, face.strength) == ("restored", 1.0) and not any(reason.startswith("w ") for reason in face.reasons)


def test_a_model_s_own_rule_goes_before_that_of_its_kind(codeformer: str, restore: Callable[..., Any], rules: Callable[..., None]) -> None:
    rules(control=Rule((0.0,), (1.0,)), codeformer=Rule((0.0,), (0.25,)))
    assert [face.fidelity for face in restore(codeformer).faces] == [0.25, 0.25]


def test_as_published_takes_the_published_w(codeformer: str, restore: Callable[..., Any], rules: Callable[..., None]) -> None:
    rules(control=Rule((0.0,), (1.0,)))
    assert [face.fidelity for face in restore(codeformer, as_published=True).faces] == [0.5, 0.5]


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 3), min_size=1, max_size=6, unique=True), st.data())
def test_a_rule_never_gives_more_damage_more_w(knots: list[float], draws: st.DataObject) -> None:
    w = sorted(draws.draw(st.lists(st.floats(0, 1), min_size=len(knots), max_size=len(knots))), reverse=True)
    rule = Rule(tuple(sorted(knots)), tuple(w))
    told = [rule(damage) for damage in sorted(draws.draw(st.lists(st.floats(0, 10), min_size=2, max_size=8)))]
    assert all(0 <= each <= 1 for each in told) and told == sorted(told, reverse=True)


@pytest.mark.parametrize(
    ("damage", "w"), [((0.0, 0.5), (0.2, 0.4)), ((0.5, 0.0), (1, 0)), ((0.0,), (1.2,)), ((0.0,), (0.5, 0.1)), ((), ())]
)
def test_a_rule_that_is_none_is_refused(damage: tuple[float, ...], w: tuple[float, ...]) -> None:
    with pytest.raises(ModelError, match="holds no rule"):
        Rule(damage, w)


def test_the_index_rises_with_each_kind_of_damage() -> None:
    """As shipped, on a real face: blur, noise and JPEG each only ever raise the index, and raise no w that auto gives."""
    face = cv2.resize(data.astronaut()[20:230, 120:330], (256, 256), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(1).standard_normal(face.shape)
    kinds = {
        "blur": [cv2.GaussianBlur(face, (0, 0), sigma) for sigma in (0.7, 1, 1.5, 2, 3, 5)],
        "noise": [np.clip(face + sigma * noise, 0, 255).astype(np.uint8) for sigma in (5, 10, 20, 40)],
        "jpeg": [cv2.imdecode(cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, q])[1], cv2.IMREAD_COLOR) for q in (30, 15, 8, 4)],
        "enlarged": [cv2.resize(cv2.resize(face, (256 // factor,) * 2, interpolation=cv2.INTER_AREA), (256, 256)) for factor in (2, 4, 8)],
    }
    for kind, pictures in kinds.items():
        found = [index(damage(each)) for each in (face, *pictures)]
        assert all(b > a for a, b in pairwise(found)) and found[-1] > 0.5, (kind, found)
        for rule in table().rules.values():
            told = [choose(each, rule).w for each in (face, *pictures)]
            assert told == sorted(told, reverse=True), (kind, told)
    assert "soft" in words(damage(kinds["enlarged"][-1])) and words(damage(kinds["noise"][-1])).startswith("noisy")
    clean = table().weights.clean
    assert index(clean) == 0 and words(clean) == "hardly damaged" and words(clean._replace(noisy=20)) == "noisy"


def test_what_is_shipped_is_whole() -> None:
    known = table()
    assert "gfpgan-mini" in known.rules and min(known.weights.weight) >= 0
    assert all(name in known.rules for name in known.kinds.values()) and set(known.kinds) <= {"control", "blend"}
    assert rule_of("nobody's", "blend") is None or "blend" in known.kinds


def test_auto_as_shipped_leaves_a_clear_face_and_treats_a_ruined_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded model on the astronaut: clear, she passes with 38 dB at least; ruined, she gets what w 0 would give her."""
    face = np.ascontiguousarray(data.astronaut()[:256, 96:352])
    small = cv2.resize(cv2.GaussianBlur(face, (0, 0), 3), (32, 32), interpolation=cv2.INTER_AREA)
    ruined = cv2.resize(small, (256, 256))
    monkeypatch.setattr(Identity, "load", lambda device: Drift(0.0))
    auto, none = (Restorer(aligned=True, device="cpu", precision="fp32", fidelity=w) for w in ("auto", 0.0))
    passed, treated, wanted = only(auto.restore([face])), only(auto.restore([ruined])), only(none.restore([ruined]))
    assert 10 * np.log10(255**2 / max(1e-9, np.square(passed.image.astype(float) - face).mean())) >= 38
    np.testing.assert_array_equal(treated.image, wanted.image)
    assert treated.faces[0].fidelity == 0 and "soft" in (treated.faces[0].damage or "")


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
