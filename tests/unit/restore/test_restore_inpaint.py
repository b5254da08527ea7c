"""Holes in faces filled: nothing but holes is written, nothing under them is seen, and no seam shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from restorer_samples import PLACES, Drift, Pointer, only, scene, touched
from restorer_samples import SIDE as SCENE
from retouch_samples import SIDE, Painter, weight_file

from facewright.errors import InputError, ModelError, UsageError
from facewright.faces.identity import Identity
from facewright.media import Origin, Photo
from facewright.restore import masks
from facewright.restore.inpainter import Inpainter, inpaint

GREEN = (0.1, 0.9, 0.2)
FACE = (slice(50, 80), slice(40, 70))  # within the first of PLACES
BESIDE = (slice(0, 20), slice(200, 240))  # in no face's crop


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return weight_file(tmp_path_factory.mktemp("w"), task="inpainting")


@pytest.fixture(scope="module")
def made(file: str) -> Inpainter:
    """One for all: loading takes longer than its work."""
    patch = pytest.MonkeyPatch()
    patch.setattr(Identity, "load", lambda device: Drift(0.0))
    inpainter = Inpainter(model=file, detector=Pointer(), device="cpu", precision="fp32")
    patch.undo()
    return inpainter


@pytest.fixture
def inpainter(made: Inpainter, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Inpainter]:
    def make(holes: NDArray[Any] | None, paint: Any = GREEN, places: list[tuple[int, int, int]] = PLACES, **choices: Any) -> Inpainter:
        monkeypatch.setattr(made, "network", Painter(paint) if paint is not None else made.network)
        monkeypatch.setattr(made, "detector", Pointer(places))
        monkeypatch.setattr(made, "find", masks.white if holes is None else lambda photo: holes)
        fields = {name: value for name, value in made.settings.asdict().items() if name not in choices}
        monkeypatch.setattr(made, "settings", type(made.settings)(**fields | choices))
        return made

    return make


def holes_at(*places: tuple[slice, slice]) -> NDArray[np.bool_]:
    holes = np.zeros((SCENE, SCENE), bool)
    for place in places:
        holes[place] = True
    return holes


strokes = st.lists(
    st.tuples(*(st.integers(-20, SCENE + 20) for _ in range(4)), st.integers(1, 40)),
    min_size=1,
    max_size=4,
)


def painted(lines: list[tuple[int, int, int, int, int]]) -> NDArray[np.bool_]:
    mask = np.zeros((SCENE, SCENE), np.uint8)
    for x0, y0, x1, y1, width in lines:
        cv2.line(mask, (x0, y0), (x1, y1), 1, width)
    return mask.astype(bool)


# Bit for bit ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aligned", [False, True])
@given(lines=strokes, depth=st.sampled_from([np.uint8, np.uint16]), grey=st.booleans(), colour=st.tuples(*[st.floats(0, 1)] * 3))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_outside_of_the_holes_every_pixel_stays(
    inpainter: Callable[..., Inpainter],
    aligned: bool,
    lines: list[tuple[int, int, int, int, int]],
    depth: type,
    grey: bool,
    colour: tuple[float, float, float],
) -> None:
    photo, holes = scene(depth, grey), painted(lines)
    if holes.all():
        return
    done = only(inpainter(holes, colour, aligned=aligned).restore([photo]))
    assert done.image.shape == photo.shape and done.image.dtype == depth
    np.testing.assert_array_equal(done.image[~holes], photo[~holes])


def test_what_is_under_a_hole_is_neither_seen_nor_kept(inpainter: Callable[..., Inpainter]) -> None:
    holes, noise = holes_at(FACE, BESIDE), np.random.default_rng(1).integers(0, 256, (SCENE, SCENE, 3)).astype(np.uint8)
    results, shown = [], []
    for under in (np.zeros_like(noise), noise):
        done = only((one := inpainter(holes)).restore([np.where(holes[..., None], under, scene())]))
        results.append(done.image[FACE])
        shown.append(np.stack(one.network.shown))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(*shown)


def test_the_network_sees_white_holes_in_eight_bits(inpainter: Callable[..., Inpainter]) -> None:
    one = inpainter(holes_at(FACE))
    (face,) = [face for face in only(one.restore([scene(np.uint16)])).faces if face.action == "filled"]
    (shown,) = one.network.shown  # type: ignore[attr-defined]
    assert face.mask is not None
    inside = face.mask > 0
    assert 0.02 < inside.mean() < 0.5 and (shown[inside] == 1).all()
    levels = shown[~inside] * 255
    assert np.abs(levels - np.rint(levels)).max() < 1e-3 and shown[~inside].max() < 1


def test_an_aligned_crop_is_shown_to_the_bit(inpainter: Callable[..., Inpainter]) -> None:
    photo = cv2.resize(scene(), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    holes = np.zeros((SIDE, SIDE), bool)
    holes[20:30, 10:50] = True
    one = inpainter(holes, aligned=True)
    done = only(one.restore([photo]))
    (shown,) = one.network.shown  # type: ignore[attr-defined]
    np.testing.assert_array_equal(np.rint(shown * 255), np.where(holes[..., None], 255, photo))
    assert touched(photo, done.image)[holes].mean() > 0.9


# No seam --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("depth", "grey"), [(np.uint8, False), (np.uint16, False), (np.uint8, True)])
def test_a_network_that_is_off_in_colour_leaves_no_seam(
    inpainter: Callable[..., Inpainter], depth: type, grey: bool, aligned: bool
) -> None:
    """It knows the face, and is too dark by a fifth: what is filled in is right all the same."""
    photo, holes = scene(depth, grey), holes_at((slice(50, 80), slice(50, 58)), (slice(60, 66), slice(30, 80)))
    whole = cut_of(photo, aligned)

    def darker(crops: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(whole[None]).permute(0, 3, 1, 2) * 2 - 1 - 0.4

    place = [] if aligned else PLACES[:1]
    done = only(inpainter(holes, darker, place, aligned=aligned).restore([photo]))
    missed = np.abs(done.image[holes].astype(float) - photo[holes]) / np.iinfo(depth).max
    assert missed.max() < 0.1 and missed.mean() < 0.03


def cut_of(photo: NDArray[Any], aligned: bool) -> NDArray[np.float32]:
    """The first face's crop, or all of the photo, as a network gets it that is shown no hole."""
    left, top, side = (0, 0, SCENE) if aligned else PLACES[0]
    part = photo[top : top + side, left : left + side]
    part = part if part.ndim == 3 else np.repeat(part[..., None], 3, axis=2)
    small = cv2.resize(part.astype(np.float32) / np.iinfo(photo.dtype).max, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def test_a_toned_print_is_filled_in_its_tone(inpainter: Callable[..., Inpainter]) -> None:
    grey = np.repeat(scene(grey=True)[..., None], 3, axis=2)
    sepia = np.rint(np.clip(grey * np.array([1.0, 0.86, 0.68]) + [20, 12, 4], 0, 255)).astype(np.uint8)
    done = only(inpainter(holes_at(FACE)).restore([sepia])).image[FACE].astype(int)
    assert (done[..., 0] >= done[..., 1]).all() and (done[..., 1] >= done[..., 2]).all()  # not green
    plain = only(inpainter(holes_at(FACE)).restore([grey])).image[FACE].astype(int)
    assert np.ptp(plain, axis=2).max() <= 2


# Which holes ----------------------------------------------------------------------------------------------------------------------------


def test_holes_outside_of_faces_are_left_and_told(inpainter: Callable[..., Inpainter]) -> None:
    holes = holes_at(FACE, BESIDE)
    done = only(inpainter(holes).restore([scene()]))
    assert touched(scene(), done.image)[FACE].mean() > 0.9 and not touched(scene(), done.image)[BESIDE].any()
    share = (20 * 40) / (30 * 30 + 20 * 40)
    assert done.report["notes"] == [f"{share:.0%} of what is to be filled lies outside of the faces that were filled, and is as it was"]
    assert [face["action"] for face in done.report["faces"]].count("filled") == 1
    assert [face["reasons"] for face in done.report["faces"] if face["action"] == "left alone"] == [["no hole in it"]] * 2


def test_nobody_there(inpainter: Callable[..., Inpainter]) -> None:
    done = only(inpainter(holes_at(FACE), places=[]).restore([scene()]))
    np.testing.assert_array_equal(done.image, scene())
    assert done.report["notes"] == ["nothing was filled: the holes are as they were", "no face was found"]


def test_an_empty_mask_changes_nothing_and_says_so(inpainter: Callable[..., Inpainter]) -> None:
    for aligned in (False, True):
        done = only(inpainter(holes_at(), aligned=aligned).restore([scene()]))
        np.testing.assert_array_equal(done.image, scene())
        (note,) = done.report["notes"]
        assert note.startswith("its mask is empty, so there is nothing to fill")
    (note,) = only(inpainter(None).restore([scene()])).report["notes"]
    assert note.startswith("nothing in it is pure white")


def test_a_mask_that_covers_everything_is_refused(inpainter: Callable[..., Inpainter]) -> None:
    with pytest.raises(InputError, match="cannot fill the holes of the photo: they cover all of it"):
        only(inpainter(np.ones((SCENE, SCENE), bool)).restore([scene()]))


def test_a_face_that_is_nearly_all_hole_is_left_alone(inpainter: Callable[..., Inpainter]) -> None:
    left, top, side = PLACES[0]
    most = holes_at((slice(top + 5, top + side), slice(left, left + side)))
    done = only(inpainter(most, places=PLACES[:1]).restore([scene()]))
    np.testing.assert_array_equal(done.image, scene())
    assert "of it is a hole: too little is left" in done.faces[0].reasons[0]
    much = holes_at((slice(top + 38, top + side), slice(left, left + side)))
    done = only(inpainter(much, places=PLACES[:1]).restore([scene()]))
    assert done.faces[0].action == "filled" and "the model's invention" in done.faces[0].reasons[0]


@pytest.mark.parametrize(("depth", "grey"), [(np.uint8, False), (np.uint16, False), (np.uint8, True)])
def test_pure_white_is_a_hole_without_a_mask(inpainter: Callable[..., Inpainter], depth: type, grey: bool) -> None:
    photo = scene(depth, grey)
    photo[FACE] = np.iinfo(depth).max
    photo[100, 50] = np.iinfo(depth).max - (0 if grey else np.array([0, 0, 1], depth))  # one level less is no hole
    done = only(inpainter(None, (0.2, 0.2, 0.2)).restore([photo]))
    changed = touched(photo, done.image)
    assert changed[FACE].all() and changed.sum() == 30 * 30 + (1 if grey else 0)


def test_alpha_travels(inpainter: Callable[..., Inpainter]) -> None:
    alpha = np.full((SCENE, SCENE), 77, np.uint8)
    done = only(inpainter(holes_at(FACE)).restore([Photo(scene(), alpha, Origin())]))
    assert done.photo.alpha is not None
    np.testing.assert_array_equal(done.photo.alpha, alpha)


# As a person calls it -------------------------------------------------------------------------------------------------------------------


def test_with_the_network_itself_by_array_and_by_file(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Identity, "load", lambda device: Drift(0.0))
    holes = holes_at(FACE)
    Image.fromarray(np.where(holes, 255, 0).astype(np.uint8)).save(tmp_path / "mask.png")
    choices: dict[str, Any] = {"model": file, "detector": Pointer(PLACES[:1]), "device": "cpu"}
    for mask in (holes, holes.astype(np.uint8), tmp_path / "mask.png"):
        done = inpaint(scene(), mask, **choices)
        np.testing.assert_array_equal(done.image[~holes], scene()[~holes])
        assert touched(scene(), done.image)[holes].mean() > 0.9 and done.faces[0].identity is None
    with pytest.raises(InputError, match="cannot use the mask that is given: it is 10 x 10, the photo is 240 x 240"):
        inpaint(scene(), np.ones((10, 10)), **choices)


def test_the_wrong_model_and_choices(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="does not fill holes in faces: it is a CodeFormer for colorization"):
        Inpainter(model=weight_file(tmp_path, task="colorization"), device="cpu")
    with pytest.raises(UsageError, match="upscale is a choice of restoring only"):
        Inpainter(model=file, upscale=2.0)
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="codeformer-inpainting is not on this machine") as caught:
        inpaint(scene())
    assert "non-commercial use only" in caught.value.what_to_do


def test_other_choices_keep_the_holes_finder_and_the_tasks_limits(made: Inpainter) -> None:
    other = made.changed(min_face=30)
    assert isinstance(other, Inpainter) and other.find is made.find and other.network is made.network
    with pytest.raises(UsageError, match="upscale is a choice of restoring only"):
        made.changed(upscale=2.0)
    assert made.settings.upscale == 1
