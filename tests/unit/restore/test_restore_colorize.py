"""Colour for faces: the photo keeps its brightness, and everything that is no face."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from restorer_samples import PLACES, Drift, Pointer, only, scene, touched
from restorer_samples import SIDE as SCENE
from retouch_samples import SIDE, Painter, luma, weight_file

from facewright.errors import ModelError, UsageError
from facewright.faces.identity import Identity
from facewright.media import Origin, Photo, encode, read
from facewright.nets.codeformer import CodeFormer
from facewright.restore.colorizer import ONLY_FACES, Colorizer, colorize
from facewright.restore.network import FaceNetwork
from facewright.weights import load_model

SKIN = (0.8, 0.55, 0.4)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return weight_file(tmp_path_factory.mktemp("w"), task="colorization")


@pytest.fixture
def colorizer(file: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Colorizer]:
    monkeypatch.setattr(Identity, "load", lambda device: Drift(0.0))

    def make(paint: Any = SKIN, places: list[tuple[int, int, int]] = PLACES, **choices: Any) -> Colorizer:
        made = Colorizer(**{"model": file, "detector": Pointer(places), "device": "cpu", "precision": "fp32"} | choices)
        if paint is not None:
            made.network = Painter(paint)  # type: ignore[assignment]
        return made

    return make


# What stays as it is --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "grey"), [(np.uint8, False), (np.uint16, False), (np.uint8, True), (np.uint16, True)])
@pytest.mark.parametrize("aligned", [False, True])
def test_brightness_is_the_photo_s_and_colour_the_network_s(
    colorizer: Callable[..., Colorizer], depth: type, grey: bool, aligned: bool
) -> None:
    photo = scene(depth, grey)
    done = only(colorizer(aligned=aligned).restore([photo]))
    before = photo if not grey else np.repeat(photo[..., None], 3, axis=2)
    assert done.image.shape == (SCENE, SCENE, 3) and done.image.dtype == depth
    assert np.abs(luma(done.image) - luma(photo)).max() <= 0.51  # of a level: rounding
    changed = touched(before, done.image)
    outside = np.ones((SCENE, SCENE), bool)
    for left, top, side in PLACES:
        outside[top : top + side, left : left + side] = False
        middle = done.image[top + side // 2, left + side // 2] / np.iinfo(depth).max
        assert middle[0] > middle[1] > middle[2]  # skin
    assert changed.all() if aligned else not changed[outside].any()
    assert {face["action"] for face in done.report["faces"]} == {"coloured"}
    assert (ONLY_FACES in done.report["notes"]) is not aligned
    np.testing.assert_array_equal(done.original.pixels, before)


def test_no_colour_is_the_wrong_brightness(colorizer: Callable[..., Colorizer]) -> None:
    """Black stays black and white white, although the network would have them blue."""
    photo = np.repeat(np.repeat(np.linspace(0, 255, SCENE).astype(np.uint8)[:, None], SCENE, 1)[..., None], 3, 2)
    done = only(colorizer((0.0, 0.0, 1.0), aligned=True).restore([photo])).image
    assert (done[0] == 0).all() and (done[-1] == 255).all()
    assert (done[SCENE // 3, :, 2] > done[SCENE // 3, :, 0]).all()
    assert np.abs(luma(done) - luma(photo)).max() <= 0.51


def test_no_strength_changes_nothing(colorizer: Callable[..., Colorizer]) -> None:
    for choices in ({}, {"aligned": True}, {"keep_light": False}):
        done = only(colorizer(strength=0.0, **choices).restore([scene()]))
        np.testing.assert_array_equal(done.image, scene())
    half = only(colorizer(strength=0.5).restore([scene()]))
    assert half.faces[0].strength == 0.5 and "strength 0.50 as asked" in half.faces[0].reasons


def test_the_whole_face_on_request(colorizer: Callable[..., Colorizer]) -> None:
    dark = (0.2, 0.1, 0.05)
    kept, whole = (only(colorizer(dark, keep_light=light).restore([scene()])).image for light in (True, False))
    left, top, side = PLACES[0]
    middle = (slice(top + side // 2, top + side // 2 + 8), slice(left + side // 2, left + side // 2 + 8))
    assert np.abs(luma(kept) - luma(scene())).max() <= 0.51
    assert luma(whole)[middle].mean() < luma(scene())[middle].mean() - 20


@pytest.mark.parametrize("side", [48, 64, 200])
def test_an_aligned_face_of_any_size(colorizer: Callable[..., Colorizer], side: int) -> None:
    photo = cv2.resize(scene(grey=True), (side, side + 10), interpolation=cv2.INTER_AREA)
    done = only(colorizer(aligned=True).restore([photo])).image
    assert done.shape == (side + 10, side, 3)
    assert np.abs(luma(done) - photo).max() <= 0.51 and (done[..., 0] > done[..., 2]).all()


def test_without_a_face_grey_stays_grey(colorizer: Callable[..., Colorizer]) -> None:
    photo = Photo(scene(grey=True), None, Origin(mode="L"))
    done = only(colorizer(places=[]).restore([photo]))
    np.testing.assert_array_equal(done.image, photo.pixels)
    assert done.report["notes"] == ["no face was found"] and done.original.is_grey


# What the network is told, and what is told about it ------------------------------------------------------------------------------------


def test_the_network_sees_the_crop_as_it_is(colorizer: Callable[..., Colorizer]) -> None:
    made = colorizer()
    done = only(made.restore([scene()]))
    for shown, face in zip(made.network.shown, done.faces, strict=True):  # type: ignore[attr-defined]
        np.testing.assert_allclose(shown, face.crop, atol=1e-6)


def test_the_published_use_of_each_task(tmp_path: Path) -> None:
    x = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    for task, w, adain in (("colorization", 0.0, True), ("inpainting", 1.0, False)):
        model = load_model(weight_file(tmp_path, task=task))
        assert isinstance(model.net, CodeFormer)
        with torch.inference_mode():
            wanted = model.net(x, w, adain=adain).clamp(-1, 1)
        network = FaceNetwork(load_model(weight_file(tmp_path, task=task)), torch.device("cpu"), "fp32", 0, task)  # type: ignore[arg-type]
        assert not network.has_fidelity
        torch.testing.assert_close(network(x, 0.3), wanted, atol=1e-4, rtol=0)


def test_with_the_network_itself(colorizer: Callable[..., Colorizer]) -> None:
    done = only(colorizer(None).restore([scene(grey=True)]))
    assert (done.image != done.original.pixels).any()
    assert np.abs(luma(done.image) - scene(grey=True)).max() <= 0.51
    assert [face["fidelity"] for face in done.report["faces"]] == [None] * 3


def test_colour_that_was_there_is_told(colorizer: Callable[..., Colorizer]) -> None:
    told = "was in colour before: its colours are replaced"
    assert all(told in face.reasons for face in only(colorizer().restore([scene()])).faces)
    grey = np.repeat(scene(grey=True)[..., None], 3, axis=2)
    sepia = np.rint(np.clip(grey * np.array([1.0, 0.86, 0.68]) + [20, 12, 4], 0, 255)).astype(np.uint8)
    for photo in (scene(grey=True), grey, sepia):
        assert not any(told in face.reasons for face in only(colorizer().restore([photo])).faces)


# Files ----------------------------------------------------------------------------------------------------------------------------------


def _grey_profile() -> bytes:
    """A profile for grey with a gamma of 1: a header, and white point and curve."""
    curve = b"curv" + bytes(4) + (1).to_bytes(4, "big") + (256).to_bytes(2, "big") + bytes(2)
    white = b"XYZ " + bytes(4) + b"".join(int(v * 65536).to_bytes(4, "big") for v in (0.9642, 1.0, 0.8249))
    text = b"desc" + bytes(4) + (5).to_bytes(4, "big") + b"grey\0" + bytes(4 + 4 + 2 + 1 + 67)
    tags, at = [], 128 + 4 + 12 * 3
    body = b""
    for name, data in ((b"desc", text), (b"wtpt", white), (b"kTRC", curve)):
        data += bytes(-len(data) % 4)
        tags.append(name + (at + len(body)).to_bytes(4, "big") + len(data).to_bytes(4, "big"))
        body += data
    content = (3).to_bytes(4, "big") + b"".join(tags) + body
    header = bytearray(128)
    header[0:4] = (128 + len(content)).to_bytes(4, "big")
    header[8:12] = bytes([2, 0x40, 0, 0])
    header[12:24] = b"mntrGRAYXYZ "
    header[36:40] = b"acsp"
    header[68:80] = b"".join(int(v * 65536).to_bytes(4, "big") for v in (0.9642, 1.0, 0.8249))
    return bytes(header) + content


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_profile_for_grey_is_used_and_left_behind(colorizer: Callable[..., Colorizer], depth: type) -> None:
    profile = _grey_profile()
    ImageCms.ImageCmsProfile(io.BytesIO(profile))  # it is one
    photo = Photo(scene(depth, grey=True), None, Origin(mode="L", icc=profile, dpi=(300, 300)))
    done = only(colorizer().restore([photo]))
    assert any("converted to sRGB by its colour profile" in note for note in done.report["notes"])
    again = read(encode(done.photo, format="png"))
    assert again.origin.icc is None and again.origin.dpi is not None and not again.is_grey
    # linear light 0.5 is 188 of 255 in sRGB
    linear = photo.pixels / np.iinfo(depth).max
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * np.iinfo(depth).max
    assert np.abs(luma(done.image) - expected).max() < 0.006 * np.iinfo(depth).max


def test_a_damaged_profile_for_grey_is_told(colorizer: Callable[..., Colorizer]) -> None:
    broken = bytes(16) + b"GRAY" + bytes(200)
    photo = Photo(scene(grey=True), None, Origin(mode="L", icc=broken))
    done = only(colorizer().restore([photo]))
    assert np.abs(luma(done.image) - photo.pixels).max() <= 0.51
    assert read(encode(done.photo, format="png")).origin.icc is None
    assert any("colour profile is for GRAY" in note for note in done.report["notes"])


def test_alpha_and_metadata_travel(colorizer: Callable[..., Colorizer]) -> None:
    alpha = np.full((SCENE, SCENE), 77, np.uint8)
    done = only(colorizer().restore([Photo(scene(grey=True), alpha, Origin(mode="LA", dpi=(300, 300), xmp=b"<x:xmpmeta/>"))]))
    assert done.photo.alpha is not None
    np.testing.assert_array_equal(done.photo.alpha, alpha)
    assert done.photo.origin.dpi == (300, 300) and done.photo.origin.xmp == b"<x:xmpmeta/>"


def test_a_grey_jpeg_is_written_in_colour(colorizer: Callable[..., Colorizer], tmp_path: Path) -> None:
    Image.fromarray(scene(grey=True)).save(tmp_path / "old.jpg", quality=90)
    done = only(colorizer().restore([tmp_path / "old.jpg"]))
    (tmp_path / "new.jpg").write_bytes(encode(done.photo, format="jpeg"))
    with Image.open(tmp_path / "new.jpg") as picture:
        assert picture.mode == "RGB" and np.abs(np.asarray(picture).astype(int) - done.image).mean() < 4


# What is refused ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "choice",
    [{"fidelity": 0.5}, {"upscale": 2.0}, {"background": "realesrgan-x2plus"}, {"as_published": True}, {"max_identity_drift": 0.5}],
)
def test_choices_of_restoring_are_refused(file: str, choice: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(choice))} is a choice of restoring only"):
        Colorizer(model=file, **choice)


def test_models_that_learned_something_else(tmp_path: Path, model: str) -> None:
    other, untold = weight_file(tmp_path, task="inpainting"), weight_file(tmp_path)
    with pytest.raises(ModelError, match="does not colour faces: it is a CodeFormer for inpainting") as caught:
        Colorizer(model=other, device="cpu")
    assert caught.value.what_to_do == "take codeformer-colorization"
    with pytest.raises(ModelError, match="does not colour faces: it is a CodeFormer for restoration") as caught:
        Colorizer(model=untold, device="cpu")
    with pytest.raises(ModelError, match="does not colour faces: it is GFPGAN") as caught:
        Colorizer(model=model, device="cpu")
    assert caught.value.what_to_do == "take codeformer-colorization"


def test_a_file_whose_task_is_said_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Identity, "load", lambda device: Drift(0.0))
    path = tmp_path / "plain.safetensors"
    torch.manual_seed(3)
    path.write_bytes(Path(weight_file(tmp_path)).read_bytes())
    done = colorize(scene(), model=f"{path}:task=colorization", detector=Pointer(PLACES[:1]), device="cpu")
    assert done.faces[0].action == "coloured"


def test_the_published_model_is_taken_where_none_is_named_and_told_how_to_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="the model codeformer-colorization is not on this machine") as caught:
        colorize(scene())
    assert caught.value.what_to_do.startswith("facewright models get codeformer-colorization (S-Lab License 1.0, non-commercial use only")
