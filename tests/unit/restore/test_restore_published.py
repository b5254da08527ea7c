"""--as-published, from photo to photo, against its steps chained by hand; the steps have the published numbers as tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from restorer_samples import PLACES, SIDE, Pointer, only, scene, touched

from facewright.errors import UsageError
from facewright.faces import published as steps
from facewright.media import Origin, Photo
from facewright.restore import Restorer, Settings, published, served


@pytest.fixture(autouse=True)
def nothing_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "available", lambda name: False)


def by_hand(made: Restorer, photo: NDArray[np.uint8], upscale: float) -> NDArray[np.uint8]:
    picture = steps.read(photo)
    crops, affines = zip(*(steps.cut(picture, face.landmarks, made.size) for face in Pointer().detect(photo)), strict=True)
    restored = [published.to_levels(made.network(published.to_network(crop))[0]) for crop in crops]
    return steps.paste(steps.background(picture, upscale), restored, affines, upscale=upscale)


@pytest.mark.parametrize("upscale", [1.0, 2.0, 1.5])
def test_the_photo_is_what_the_published_steps_give(restorer: Callable[..., Restorer], upscale: float) -> None:
    photo = scene()
    made = restorer(as_published=True, upscale=upscale)
    done = only(made.restore([photo]))
    np.testing.assert_array_equal(done.image, by_hand(made, photo, upscale))
    assert touched(cv2.resize(photo, done.image.shape[1::-1], interpolation=cv2.INTER_LANCZOS4), done.image).any()


def test_it_differs_from_ours_in_the_faces_and_nowhere_else(restorer: Callable[..., Restorer]) -> None:
    photo = scene()
    theirs = only(restorer(as_published=True).restore([photo])).image
    ours = only(restorer().restore([photo])).image
    outside = np.ones((SIDE, SIDE), bool)
    for left, top, side in PLACES:
        # its even erosion kernels shift the mask, and its blur runs over the square's edge
        outside[top - 3 : top + side + 3, left - 3 : left + side + 3] = False
    assert (theirs != ours).any() and not touched(theirs, ours)[outside].any()


@pytest.mark.parametrize(
    ("photo", "note"),
    [(scene(np.uint16), "16 bits become 8"), (scene(grey=True), "grey becomes colour")],
)
def test_what_the_published_program_loses_is_lost(restorer: Callable[..., Restorer], photo: NDArray[Any], note: str) -> None:
    done = only(restorer(as_published=True).restore([photo]))
    assert done.image.dtype == np.uint8 and done.image.shape == (SIDE, SIDE, 3), note


def test_alpha_is_lost(restorer: Callable[..., Restorer]) -> None:
    photo = Photo(scene(), np.full((SIDE, SIDE), 99, np.uint8), Origin())
    assert only(restorer(as_published=True).restore([photo])).photo.alpha is None


def test_faces_are_chosen_as_asked(restorer: Callable[..., Restorer]) -> None:
    done = only(restorer(as_published=True, faces="center").restore([scene()]))
    assert len(done.faces) == 1
    done = only(restorer(as_published=True, faces="1").restore([scene()]))
    assert [face.action for face in done.faces] == ["left alone", "restored", "left alone"]


def test_an_aligned_crop_becomes_the_networks_own_picture(restorer: Callable[..., Restorer]) -> None:
    made = restorer(as_published=True, aligned=True)
    photo = scene()
    (face,) = (done := only(made.restore([photo]))).faces
    shown = cv2.resize(photo, (made.size, made.size))
    np.testing.assert_array_equal(done.image, published.to_levels(made.network(published.to_network(shown))[0]))
    assert face.identity is not None


def test_the_report_says_what_stood_in_for_the_published_networks(restorer: Callable[..., Restorer]) -> None:
    report = only(restorer(as_published=True).restore([scene()])).report
    assert report["served"]["mask"] == "square" and any("parsenet" in note for note in report["notes"])


@pytest.mark.parametrize("choice", [{"strength": 0.5}, {"max_identity_drift": 0.4}, {"mask": "hull"}, {"background": "none"}])
def test_choices_that_no_published_program_has_are_refused(choice: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--as-published and --"):
        Settings(as_published=True, **choice)


def test_a_photo_without_faces_comes_back(restorer: Callable[..., Restorer]) -> None:
    done = only(restorer([], as_published=True).restore([scene()]))
    np.testing.assert_array_equal(done.image, scene())
    assert "no face was found" in done.report["notes"]
