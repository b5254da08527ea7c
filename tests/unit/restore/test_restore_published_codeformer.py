"""--as-published with CodeFormer, from photo to photo, against its program's steps chained by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from restorer_samples import SIDE, Drift, Pointer, only, scene
from safetensors.torch import save_file
from torch import Tensor

from facewright.errors import UsageError
from facewright.faces import published as steps
from facewright.faces import retinaface
from facewright.faces.align import TEMPLATE_SIZE
from facewright.faces.colour import adain, as_grey, is_grey
from facewright.faces.identity import Identity
from facewright.faces.parse import FaceParser
from facewright.nets.codeformer import CodeFormer
from facewright.nets.realesrgan import SRVGGNetCompact
from facewright.nets.retinaface import RetinaFace
from facewright.nets.yolov5face import YoloV5Face
from facewright.restore import Restorer, Settings, published, served
from facewright.weights.catalog import lookup
from facewright.weights.header import header_of, written
from small_networks import CODEFORMER

SIZES = CODEFORMER | {"connect_list": [16], "img_size": 32, "attn_resolutions": [8]}
PLACE = (70, 60, 96)
Photo = NDArray[Any]


class Follower(Pointer):
    """Finds the same place in whatever size it is shown of a photo of `side` pixels."""

    def __init__(self, side: int = SIDE) -> None:
        super().__init__([PLACE])
        self.side = side
        self.shown: list[tuple[int, ...]] = []

    def detect(self, photo: Photo) -> list[Any]:
        self.shown.append(photo.shape)
        faces, factor = super().detect(photo), photo.shape[0] / self.side
        for face in faces:
            face.box, face.landmarks = face.box * factor, face.landmarks * factor
        return faces

    def rows(self, photo: Photo) -> NDArray[np.float32]:
        return np.array([[*face.box, face.score, *face.landmarks.reshape(-1)] for face in self.detect(photo)], np.float32)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(3)
    net = CodeFormer(**SIZES)
    with torch.no_grad():
        net.generator.blocks[-1].weight.mul_(0.3)
    path = tmp_path_factory.mktemp("codeformer") / "codeformer.safetensors"
    path.write_bytes(written(net.state_dict(), header_of("codeformer", SIZES, licence="test")))
    return str(path)


@pytest.fixture
def follow(file: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Restorer]:
    monkeypatch.setattr(Identity, "load", lambda device: Drift(0.0))
    monkeypatch.setattr(served, "available", lambda name: False)

    def make(detector: Any = None, **choices: Any) -> Restorer:
        return Restorer(detector=detector or Follower(), model=file, device="cpu", precision="fp32", as_published=True, **choices)

    return make


@pytest.fixture
def upscaler(tmp_path: Path) -> str:
    """A network that doubles a photo by nearest neighbours, nearly."""
    torch.manual_seed(0)
    net = SRVGGNetCompact(num_feat=8, num_conv=1, upscale=2)
    save_file({name: 0.1 * value for name, value in net.state_dict().items()}, tmp_path / "doubles.safetensors")
    return str(tmp_path / "doubles.safetensors")


def by_hand(made: Restorer, photo: Photo, upscale: int, *, w: float = 0.5, faces_too: bool = False, parser: Any = None) -> Photo:
    picture = steps.read(photo, "codeformer")
    rows = steps.find(picture, Follower(len(photo)).rows, program="codeformer", resize=640, eye_distance=5)
    crops, affines = zip(*(steps.cut(picture, steps.points(row), made.size) for row in rows), strict=True)
    restored: list[Photo] = [published.to_levels(made.network(published.to_network(crop), w)[0]) for crop in crops]
    if is_grey(steps.read(photo)):
        restored = [np.clip(adain(as_grey(face), crop), 0, 255) for face, crop in zip(restored, crops, strict=True)]
    enlarge = None
    if made.served.upscaler is not None:

        def enlarge(pixels: Photo, times: float) -> Photo:
            assert made.served.upscaler is not None
            return made.served.upscaler.enlarge(np.asarray(pixels), times, published=published.CODEFORMER.upsampler)

    if faces_too:
        assert enlarge is not None
        restored = [enlarge(face, upscale) for face in restored]
    labels = None
    if parser is not None:
        shown = [cv2.resize(face, (TEMPLATE_SIZE, TEMPLATE_SIZE), interpolation=cv2.INTER_LINEAR) for face in restored]
        labels = list(parser.labels(torch.cat([published.to_network(face) for face in shown])))
    canvas = steps.background(picture, upscale, "codeformer", upsampled=enlarge(picture, upscale) if enlarge else None)
    times = upscale if faces_too else 1
    return steps.paste(canvas, restored, affines, upscale=upscale, program="codeformer", labels=labels, face_upscale=times)


def nearly_equal(ours: Photo, wanted: Photo) -> None:
    """Crops are kept as float32 between the steps, and a truncation may fall to the other side."""
    assert ours.shape == wanted.shape and ours.dtype == wanted.dtype
    difference = np.abs(ours.astype(int) - wanted)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


@pytest.mark.parametrize(("upscale", "times"), [(1.0, 1), (2.0, 2), (1.5, 1)])
def test_a_small_photo_is_enlarged_to_512_and_then_by_a_whole_number(follow: Callable[..., Restorer], upscale: float, times: int) -> None:
    made, photo = follow(upscale=upscale), scene()
    done = only(made.restore([photo]))
    assert done.image.shape == (512 * times, 512 * times, 3)
    np.testing.assert_array_equal(done.image, by_hand(made, photo, times))
    assert any("this one to 512 x 512" in note for note in done.report["notes"])
    assert any("--upscale 1.5 is 1" in note for note in done.report["notes"]) == (upscale == 1.5)
    plain = cv2.resize(photo, (512 * times, 512 * times), interpolation=cv2.INTER_LINEAR)
    assert (np.abs(done.image.astype(int) - plain) > 2).any()


def test_a_photo_of_512_keeps_its_size_and_is_shown_to_the_detector_at_640(follow: Callable[..., Restorer]) -> None:
    photo = cv2.resize(scene(), (540, 540))
    finder = Follower(540)
    made = follow(finder)
    done = only(made.restore([photo]))
    np.testing.assert_array_equal(done.image, by_hand(made, photo, 1))
    assert finder.shown == [(640, 640, 3)] and done.image.shape == photo.shape
    assert not any("enlarges a small photo" in note for note in done.report["notes"])


def test_the_report_tells_faces_in_the_photos_own_pixels(follow: Callable[..., Restorer]) -> None:
    done = only(follow().restore([scene()]))
    for told, face in zip(done.faces, Pointer([PLACE]).detect(scene()), strict=True):
        np.testing.assert_allclose(told.face.landmarks, face.landmarks, atol=1)  # half a pixel of the scales between
        np.testing.assert_allclose(told.face.box, face.box, atol=1)
        assert told.face.score == pytest.approx(face.score) and told.fidelity == 0.5
        assert told.pixels == pytest.approx(PLACE[2], abs=0.1)
    assert done.report["served"]["program"] == "CodeFormer"


def test_w_is_asked_for_as_there(follow: Callable[..., Restorer]) -> None:
    made, usual, photo = follow(fidelity=1.0), follow(), scene()
    np.testing.assert_array_equal(only(made.restore([photo])).image, by_hand(made, photo, 1, w=1.0))
    np.testing.assert_array_equal(only(usual.restore([photo])).image, by_hand(usual, photo, 1))
    assert (by_hand(made, photo, 1, w=1.0) != by_hand(made, photo, 1)).any()


@pytest.mark.parametrize("pixels", [scene(grey=True), np.repeat(scene(grey=True)[..., None], 3, axis=2)])
def test_a_grey_photo_gives_grey_faces_of_the_crops_contrast(follow: Callable[..., Restorer], pixels: Photo) -> None:
    made = follow()
    done = only(made.restore([pixels]))
    nearly_equal(done.image, by_hand(made, pixels, 1))
    for face in done.faces:
        assert face.restored is not None and face.crop is not None
        np.testing.assert_allclose(face.restored[..., 0], face.restored[..., 2], atol=1e-6)
        np.testing.assert_allclose(face.restored.mean(), face.crop.mean(), atol=0.01)


def test_faces_that_overshoot_after_the_grey_do_not_make_the_picture_16_bits(follow: Callable[..., Restorer]) -> None:
    """A few dark dots on white: the restored face's spread, brought to the crop's, goes beyond 255."""
    photo = np.full((SIDE, SIDE), 250, np.uint8)
    photo[::9, ::9] = 0
    made = follow()
    done = only(made.restore([photo]))
    crops = [
        steps.cut(steps.read(photo, "codeformer"), face.landmarks, made.size)[0] for face in Follower().detect(np.zeros((512, 512, 3)))
    ]
    raw = [adain(as_grey(published.to_levels(made.network(published.to_network(crop))[0])), crop) for crop in crops]
    assert max(each.max() for each in raw) > 256
    assert all(face.restored is not None and face.restored.min() >= 0 and face.restored.max() <= 1 for face in done.faces)
    assert done.image.mean() > 200


def test_a_photo_in_colour_stays_in_colour(follow: Callable[..., Restorer]) -> None:
    done = only(follow().restore([scene()]))
    assert not any(face.turns_grey for face in done.faces)


class LeftHalf:
    """A parser that sees skin in the left half of a crop and background elsewhere."""

    def labels(self, crops: Tensor) -> NDArray[np.uint8]:
        maps = np.zeros((len(crops), TEMPLATE_SIZE, TEMPLATE_SIZE), np.uint8)
        maps[:, :, : TEMPLATE_SIZE // 2] = 1
        return maps


def test_the_mask_is_the_smaller_of_square_and_parsed(follow: Callable[..., Restorer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "available", lambda name: name in ("parsenet", "bisenet"))
    monkeypatch.setattr(FaceParser, "load", lambda device: LeftHalf())
    made, photo = follow(), scene()
    done = only(made.restore([photo]))
    np.testing.assert_array_equal(done.image, by_hand(made, photo, 1, parser=LeftHalf()))
    assert (done.image != by_hand(made, photo, 1)).any() and done.report["served"]["mask"] == "parse"


@pytest.mark.parametrize("faces_too", [False, True])
def test_an_upscaler_fills_the_background_and_on_request_enlarges_the_faces(
    follow: Callable[..., Restorer], upscaler: str, faces_too: bool
) -> None:
    made, photo = follow(background=upscaler, upscale=2, face_upsample=faces_too), scene()
    np.testing.assert_array_equal(only(made.restore([photo])).image, by_hand(made, photo, 2, faces_too=faces_too))


def test_an_aligned_grey_crop_becomes_the_networks_picture_in_grey(follow: Callable[..., Restorer]) -> None:
    made, photo = follow(aligned=True), scene(grey=True)
    done = only(made.restore([photo]))
    shown = cv2.resize(steps.read(photo), (made.size, made.size))
    wanted = np.clip(adain(as_grey(published.to_levels(made.network(published.to_network(shown))[0])), shown), 0, 255)
    np.testing.assert_allclose(done.image, np.rint(wanted), atol=1)
    assert is_grey(done.image)


def test_retinaface_is_asked_for_less_than_by_gfpgan(follow: Callable[..., Restorer], model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[tuple[int, ...], float]] = []

    def find(net: Any, shown: Photo, score: float) -> tuple[NDArray[np.float32], float]:
        asked.append((shown.shape[:2], score))
        return np.zeros((0, 15), np.float32), 1.0

    monkeypatch.setattr(retinaface, "find_published", find)
    finder = retinaface.RetinafaceDetector(RetinaFace("mobilenet0.25"))
    only(follow(finder).restore([scene()]))
    only(Restorer(detector=finder, model=model, as_published=True).restore([scene()]))
    assert asked == [((640, 640), 0.8), ((SIDE, SIDE), 0.97)]


# What a program can choose, and what it cannot -------------------------------------------------------------------------------------------


def test_yolo_serves_codeformers_program_only(file: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    missing = Restorer(model=file, as_published=True, detector="yolov5n-face")
    assert missing.served.by["detector"] == "mtcnn"
    assert any("facewright models get yolov5n-face" in note for note in missing.served.notes)
    path = lookup("yolov5n-face").path
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(YoloV5Face("n").state_dict(), path)
    assert Restorer(model=file, as_published=True, detector="yolov5n-face").served.by["detector"] == "yolov5n-face"
    with pytest.raises(UsageError, match=r"--as-published and --detector yolov5n-face contradict each other: GFPGAN's program"):
        Restorer(model=model, as_published=True, detector="yolov5n-face")


def test_what_only_one_program_has_is_refused_by_the_other(model: str, upscaler: str) -> None:
    with pytest.raises(UsageError, match="--as-published and --fidelity"):
        Restorer(model=model, as_published=True, fidelity=0.5)
    with pytest.raises(UsageError, match="--as-published and --face-upsample"):
        Restorer(model=model, as_published=True, face_upsample=True, background=upscaler)


@pytest.mark.parametrize("choices", [{}, {"as_published": True}, {"background": "realesrgan-x2plus"}])
def test_faces_are_not_enlarged_without_the_program_and_a_model(choices: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--face-upsample stands alone"):
        Settings(face_upsample=True, **choices)
