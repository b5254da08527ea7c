"""A photo's way through the restorer, with a small network that never learned and a detector that knows where to look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from restorer_samples import PLACES, SIDE, Drift, Pointer, only, scene, touched

from facewright.errors import InputError, ModelError, UsageError
from facewright.media import Origin, Photo
from facewright.restore import Restorer, restore
from facewright.restore.restorer import Job

# What stays as it is --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("choices", [{"strength": 0.0}, {"fidelity": 1.0}, {"aligned": True, "strength": 0.0}])
@pytest.mark.parametrize(("depth", "grey"), [(np.uint8, False), (np.uint16, False), (np.uint8, True), (np.uint16, True)])
def test_no_strength_gives_the_photo_back(restorer: Callable[..., Restorer], choices: dict[str, Any], depth: type, grey: bool) -> None:
    photo = scene(depth, grey)
    done = only(restorer(**choices).restore([photo]))
    assert done.image.dtype == depth
    np.testing.assert_array_equal(done.image, photo)
    assert done.original.pixels is photo and done.image is not photo


@pytest.mark.parametrize(("depth", "grey"), [(np.uint8, False), (np.uint16, False), (np.uint8, True), (np.uint16, True)])
@pytest.mark.parametrize("mask", ["ellipse", "hull"])
def test_only_faces_change_and_they_do(restorer: Callable[..., Restorer], depth: type, grey: bool, mask: str) -> None:
    photo = scene(depth, grey)
    done = only(restorer(mask=mask).restore([photo]))
    assert done.image.shape == photo.shape and done.image.dtype == depth
    changed = touched(photo, done.image)
    outside = np.ones((SIDE, SIDE), bool)
    for left, top, side in PLACES:
        outside[top : top + side, left : left + side] = False
        assert changed[top + side // 3 : top + 2 * side // 3, left + side // 3 : left + 2 * side // 3].mean() > 0.5
    assert not changed[outside].any()


def test_a_photo_without_a_face_is_returned_with_a_word(restorer: Callable[..., Restorer]) -> None:
    done = only(restorer([]).restore([scene()]))
    np.testing.assert_array_equal(done.image, scene())
    assert done.report["notes"] == ["no face was found"] and done.faces == []


def test_alpha_and_origin_travel(restorer: Callable[..., Restorer]) -> None:
    alpha = np.full((SIDE, SIDE), 77, np.uint8)
    photo = Photo(scene(), alpha, Origin(format="PNG", dpi=(300, 300)))
    done = only(restorer().restore([photo]))
    assert done.photo.origin is photo.origin and done.photo.alpha is not None
    np.testing.assert_array_equal(done.photo.alpha, alpha)
    assert only(restorer(upscale=2).restore([photo])).photo.alpha.shape == (2 * SIDE, 2 * SIDE)


# Size -----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grey", [False, True])
def test_an_enlarged_photo(restorer: Callable[..., Restorer], grey: bool) -> None:
    photo = scene(grey=grey)
    done = only(restorer(upscale=1.5).restore([photo])).image
    assert done.shape[:2] == (360, 360) and done.ndim == photo.ndim
    back = cv2.resize(done, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(back - photo)[-20:].mean() < 2  # below the faces
    bare = only(restorer(upscale=1.5, background="none").restore([photo])).image
    changed = touched(np.zeros_like(bare), bare)
    assert not changed[-30:].any() and changed[150:180, 90:120].mean() < 1
    left, top, side = (int(1.5 * v) for v in PLACES[0])
    assert changed[top + side // 3 : top + 2 * side // 3, left + side // 3 : left + 2 * side // 3].all()
    # what is there lies where it lies with a background
    inner = (slice(top + side // 3, top + 2 * side // 3), slice(left + side // 3, left + 2 * side // 3))
    assert np.abs(done[inner].astype(float) - bare[inner]).mean() < 12


@pytest.mark.parametrize("side", [48, 64, 200])
def test_an_aligned_face_is_restored_whole_at_its_own_size(restorer: Callable[..., Restorer], side: int) -> None:
    photo = cv2.resize(scene(), (side, side), interpolation=cv2.INTER_AREA)
    done = only(restorer(aligned=True).restore([photo]))
    assert done.image.shape == photo.shape
    changed = touched(photo, done.image)
    assert changed.mean() > 0.6 and changed[:, : side // 8].any() and changed[-side // 8 :].any()
    assert len(done.faces) == 1 and done.faces[0].restored is not None and done.faces[0].restored.shape == (64, 64, 3)


# The same face, the same result ---------------------------------------------------------------------------------------------------------


def test_a_face_does_not_depend_on_its_neighbours(restorer: Callable[..., Restorer]) -> None:
    together = only(restorer(batch=8).restore([scene()]))
    for choices in ({"batch": 1}, {"batch": 2}):
        other = only(restorer(**choices).restore([scene()]))
        assert np.abs(other.image.astype(int) - together.image).max() <= 1
        for a, b in zip(together.faces, other.faces, strict=True):
            np.testing.assert_allclose(a.restored, b.restored, atol=1e-5)
    for number, place in enumerate(PLACES):
        alone = only(restorer([place]).restore([scene()]))
        np.testing.assert_allclose(alone.faces[0].restored, together.faces[number].restored, atol=1e-5)


def test_photos_share_a_batch_and_not_their_faces(restorer: Callable[..., Restorer]) -> None:
    shared, alone = restorer(batch=4), restorer(batch=4)
    photos = [Photo(np.asarray(np.roll(scene(), 40 * n, axis=1)), None, Origin()) for n in range(3)]
    jobs: list[Job] = [shared.prepare(photo) for photo in photos]
    shared.run(jobs)
    for photo, job in zip(photos, jobs, strict=True):
        one = only(alone.restore([photo]))
        assert np.abs(shared.finish(job).image.astype(int) - one.image).max() <= 1


def test_the_seed_is_the_picture(restorer: Callable[..., Restorer]) -> None:
    one, again, other = (only(restorer(seed=seed).restore([scene()])).image for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


# Drift ----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "limit", "kept"), [(0.5, 0.5, 1.0), (0.5, 0.42, 0.8), (0.5, 0.21, 0.4), (1.0, 0.25, 0.2)])
def test_drift_is_held_back_to_the_limit(restorer: Callable[..., Restorer], factor: float, limit: float, kept: float) -> None:
    keeper = restorer(PLACES[:1], max_identity_drift=limit)
    keeper.identity = Drift(factor)  # type: ignore[assignment]
    (face,) = only(keeper.restore([scene()])).faces
    assert face.strength == pytest.approx(kept) and face.identity is not None
    assert face.identity == pytest.approx(factor * kept, abs=1e-4) and face.identity <= limit + 1e-6
    assert face.action == ("restored" if kept == 1 else "blended")
    assert any("held back" in reason for reason in face.reasons) == (kept < 1)


def test_what_drifts_at_any_strength_is_left_alone(restorer: Callable[..., Restorer]) -> None:
    keeper = restorer(PLACES[:1], max_identity_drift=0.3)
    keeper.identity = Drift(0.2, least=0.4)  # type: ignore[assignment]
    done = only(keeper.restore([scene()]))
    assert done.faces[0].action == "left alone" and "0.60 is beyond the limit of 0.3" in done.faces[0].reasons[0]
    np.testing.assert_array_equal(done.image, scene())
    # without a limit it is told, with a gentler setting
    teller = restorer(PLACES[:1])
    teller.identity = Drift(0.2, least=0.4)  # type: ignore[assignment]
    (face,) = only(teller.restore([scene()])).faces
    assert face.action == "restored" and "may no longer be the same person" in face.reasons[0] and "--strength" in face.reasons[0]


def test_strength_and_fidelity_blend(restorer: Callable[..., Restorer]) -> None:
    full, half, same = (only(restorer(PLACES[:1], **c).restore([scene()])) for c in ({}, {"strength": 0.5}, {"fidelity": 0.5}))
    np.testing.assert_array_equal(half.image, same.image)
    expected = scene() + 0.5 * (full.image.astype(float) - scene())
    assert np.abs(half.image - expected).max() <= 1
    assert half.faces[0].action == "blended" and "0.50 as asked" in half.faces[0].reasons[0]


def test_the_real_judge_finds_the_photo_itself_unchanged(model: str) -> None:
    judge = Restorer(detector=Pointer(PLACES[:1]), model=model, device="cpu", strength=0.0)
    assert only(judge.restore([scene()])).faces[0].identity == 0
    drifted = Restorer(detector=Pointer(PLACES[:1]), model=model, device="cpu")
    found = only(drifted.restore([scene()])).faces[0].identity
    assert found is not None and found > 0.01


# Choosing and refusing ------------------------------------------------------------------------------------------------------------------


def test_faces_that_were_not_chosen_stay(restorer: Callable[..., Restorer]) -> None:
    done = only(restorer(faces="0,2").restore([scene()]))
    assert [face.action for face in done.faces] == ["restored", "left alone", "restored"]
    assert done.faces[1].reasons == ["not chosen (--faces 0,2)"] and done.faces[1].crop is None
    left, top, side = PLACES[1]
    np.testing.assert_array_equal(done.image[top : top + side, left : left + side], scene()[top : top + side, left : left + side])
    assert done.report["faces"][1]["action"] == "left alone"


def test_a_face_that_is_not_there_is_told(restorer: Callable[..., Restorer]) -> None:
    with pytest.raises(UsageError, match="--faces 0,7 names face 7"):
        only(restorer(faces="0,7").restore([scene()]))


def test_small_and_turned_faces_are_left_alone_unseen(restorer: Callable[..., Restorer]) -> None:
    done = only(restorer(min_face=60).restore([scene()]))
    assert all(face.action == "left alone" and face.restored is None for face in done.faces)
    np.testing.assert_array_equal(done.image, scene())


@pytest.mark.parametrize("array", [np.zeros((9, 9, 3)), np.zeros((9, 9, 4), np.uint8), np.zeros((9,), np.uint8), np.zeros((9, 9), bool)])
def test_what_is_no_photo_is_refused(restorer: Callable[..., Restorer], array: NDArray[Any]) -> None:
    with pytest.raises(InputError, match="cannot restore this array"):
        only(restorer().restore([array]))


def test_models_that_do_not_restore_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not restore faces"):
        Restorer(model="identity-dlib")
    with pytest.raises(ModelError) as caught:
        Restorer(model="gfpgan-mimi")
    assert "gfpgan-mini" in f"{caught.value} {caught.value.what_to_do}"
    with pytest.raises(UsageError, match="no device 'abacus'"):
        Restorer(model="identity-dlib", device="abacus")


def test_a_path_is_read_and_a_missing_one_told(model: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), scene()[..., ::-1])
    done = restore(tmp_path / "a.png", model=model, device="cpu")
    assert done.image.shape == (SIDE, SIDE, 3) and done.photo.origin.path == tmp_path / "a.png"
    with pytest.raises(InputError, match=r"missing\.png"):
        restore(str(tmp_path / "missing.png"), model=model, device="cpu")


# Again, with other choices ---------------------------------------------------------------------------------------------------------------


class Counted:
    """A face network that counts the faces it is given."""

    def __init__(self, network: Any) -> None:
        self.network, self.faces = network, 0

    def __call__(self, crops: Any, fidelity: Any = None) -> Any:
        self.faces += len(crops)
        return self.network(crops, fidelity)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)


def test_other_choices_redo_only_what_they_change(restorer: Callable[..., Restorer]) -> None:
    photo = Photo(scene(), None, Origin())
    first = restorer()
    first.network = counted = Counted(first.network)  # type: ignore[assignment]
    job = first.prepare(photo)
    first.run([job])
    earlier, once = first.finish(job), counted.faces
    for choices in ({"strength": 0.4}, {"faces": "1"}, {"faces": "none"}, {"upscale": 2.0}, {"mask": "hull"}, {"fidelity": 0.3}):
        other = first.changed(**choices)
        assert other.network is first.network and other.identity is first.identity and other.detector is first.detector
        redone = other.again(photo, earlier.faces)
        other.run([redone])
        assert counted.faces == once, choices
        np.testing.assert_array_equal(other.finish(redone).image, only(restorer(**choices).restore([photo])).image)
    assert first.settings.strength == 1 and first.finish(job).image is not None


def test_a_face_put_back_costs_no_network(restorer: Callable[..., Restorer]) -> None:
    photo = Photo(scene(), None, Origin())
    first = restorer()
    (whole,) = first.restore([photo])
    first.network = counted = Counted(first.network)  # type: ignore[assignment]
    without = first.changed(faces="0")
    job = without.again(photo, whole.faces)
    without.run([job])
    assert [face.action == "left alone" for face in job.faces] == [index != 0 for index in range(len(PLACES))]
    back = first.again(photo, without.finish(job).faces)
    first.run([back])
    np.testing.assert_array_equal(first.finish(back).image, whole.image)
    assert counted.faces == 0


def test_another_network_makes_new_pictures(restorer: Callable[..., Restorer]) -> None:
    photo = Photo(scene(), None, Origin())
    first = restorer()
    (earlier,) = first.restore([photo])
    noisy = first.changed(seed=1)
    assert noisy.network is not first.network
    job = noisy.again(photo, earlier.faces)
    noisy.run([job])
    expected = only(restorer(seed=1).restore([photo]))
    np.testing.assert_array_equal(noisy.finish(job).image, expected.image)
    assert (expected.image != earlier.image).any()
