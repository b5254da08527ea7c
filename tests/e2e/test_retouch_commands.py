"""facewright colorize and facewright inpaint on real photographs, with a network that never learned: the pictures are no beauties, but
what must stay stays."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from driving import Run
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from PIL import Image

from small_networks import codeformer_file

LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CodeFormer whose file does not say what it learned."""
    return codeformer_file(tmp_path_factory.mktemp("weights") / "own.safetensors")


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture)


def scratch(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Over the astronaut's cheek, and one in the corner where no face is."""
    mask = np.zeros(shape[:2], np.uint8)
    cv2.line(mask, (130, 70), (190, 150), 255, 6)
    mask[-12:-4, 4:30] = 255
    return mask


def test_an_album_is_coloured(run: Run, weights: Path, portrait: NDArray[np.uint8], tmp_path: Path) -> None:
    album, out = tmp_path / "album", tmp_path / "out"
    album.mkdir()
    grey = Image.fromarray(portrait).convert("L")
    exif = Image.Exif()
    exif[0x010E] = "at the lake"
    grey.save(album / "grey.png", exif=exif, dpi=(300, 300))
    deep = np.asarray(grey).astype(np.uint16) * 257
    Image.fromarray(deep).save(album / "deep.png")
    layered = Image.merge("LA", (grey, Image.fromarray(np.full(portrait.shape[:2], 200, np.uint8))))
    layered.save(album / "layered.png")
    Image.fromarray(portrait).convert("CMYK").save(album / "inks.jpg", quality=95)
    ran = run("colorize", album, "-o", out, "-m", f"{weights}:task=colorization", "--json", "--report", out / "report.html")
    assert ran.code == 0 and ran.complaints == [], ran.errors
    for name in ("grey.png", "deep.png", "layered.png", "inks.jpg"):
        told = ran.told[name]
        assert [face["action"] for face in told["faces"]] == ["coloured"], name
        assert "only faces are coloured; the rest of the photo is as it was" in told["notes"]
    assert any("CMYK" in note for note in ran.told["inks.jpg"]["notes"])
    coloured = read(out / "grey.png")
    assert coloured.shape == portrait.shape
    assert np.abs(coloured @ LUMA - np.asarray(grey)).max() <= 0.51
    left, top, right, bottom = (int(v) for v in ran.told["grey.png"]["faces"][0]["box"])
    assert np.ptp(coloured[top:bottom, left:right].astype(int), axis=2).max() > 10
    assert not np.ptp(coloured[-30:].astype(int), axis=2).any()  # the rest is as grey as it was
    with Image.open(out / "grey.png") as picture:
        assert picture.getexif()[0x010E] == "at the lake" and round(picture.info["dpi"][0]) == 300
    wide = cv2.imread(str(out / "deep.png"), cv2.IMREAD_UNCHANGED)
    assert wide.dtype == np.uint16 and wide.shape == portrait.shape
    assert np.abs(wide[..., ::-1] @ LUMA - deep).max() <= 0.51
    assert (read(out / "layered.png")[..., 3] == 200).all()
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Coloured photos" in page and "<b>4</b> coloured" in page


def test_scratches_are_filled(run: Run, weights: Path, portrait: NDArray[np.uint8], tmp_path: Path) -> None:
    album, masks, out = tmp_path / "album", tmp_path / "album" / "masks", tmp_path / "out"
    masks.mkdir(parents=True)
    mask = scratch(portrait.shape)
    Image.fromarray(portrait).save(album / "a.png")
    Image.fromarray(portrait).save(album / "b.png")
    Image.fromarray(mask).save(masks / "a.png")
    Image.fromarray(mask[:-1]).save(masks / "b.png")
    ran = run(
        *("inpaint", album, "-r", "--mask", masks, "-o", out, "-m", f"{weights}:task=inpainting", "--json"),
        *("--journal", tmp_path / "j.jsonl"),
    )
    assert ran.code == 6 and set(ran.told) == {"a.png", "b.png"}, ran.errors
    assert ran.complaints[-1].startswith("1 of 2 photos could not be inpainted")
    assert "it is 310 x 319, the photo is 310 x 320" in ran.told["b.png"]["error"]["why"]
    filled, told = read(out / "a.png"), ran.told["a.png"]
    assert_array_equal(filled[mask == 0], portrait[mask == 0])
    assert [face["action"] for face in told["faces"]] == ["filled"]
    assert "lies outside of the faces" in told["notes"][0]
    cheek = mask.copy()
    cheek[-20:] = 0
    assert (filled != portrait).any(axis=2)[cheek > 0].mean() > 0.9
    assert_array_equal(filled[-20:], portrait[-20:])
    # once more: what is done is done, what failed is tried again
    again = run(
        *("inpaint", album, "-r", "--mask", masks, "-o", out, "-m", f"{weights}:task=inpainting", "--json"),
        *("--journal", tmp_path / "j.jsonl"),
    )
    assert again.code == 6 and again.told["a.png"].get("skipped") and "error" in again.told["b.png"]


def test_white_strokes_and_aligned_faces(call: Run, weights: Path, portrait: NDArray[np.uint8], tmp_path: Path) -> None:
    struck, mask = portrait.copy(), scratch(portrait.shape) > 0
    struck[mask] = 255
    Image.fromarray(struck).save(tmp_path / "struck.png")
    ran = call("inpaint", tmp_path / "struck.png", "-m", f"{weights}:task=inpainting")
    assert ran.code == 0 and f"{tmp_path / 'struck.png'} -> {tmp_path / 'struck-inpainted.png'}: 1 filled" in ran.output.decode()
    white = (struck == 255).all(axis=2)
    filled = read(tmp_path / "struck-inpainted.png")
    assert_array_equal(filled[~white], struck[~white])
    crop = cv2.resize(struck[20:220, 60:260], (100, 100), interpolation=cv2.INTER_NEAREST)
    Image.fromarray(crop).save(tmp_path / "crop.png")
    ran = call("inpaint", tmp_path / "crop.png", "--aligned", "-m", f"{weights}:task=inpainting", "--json")
    white = (crop == 255).all(axis=2)
    filled = read(tmp_path / "crop-inpainted.png")
    assert ran.code == 0 and ran.told["crop.png"]["notes"] == [] and (filled != crop).any(axis=2)[white].mean() > 0.9
    assert_array_equal(filled[~white], crop[~white])
    # results of earlier runs are no photos
    ran = call("colorize", tmp_path, "-o", tmp_path / "out", "--aligned", "-m", f"{weights}:task=colorization", "--json")
    assert set(ran.told) == {"struck.png", "crop.png"}


def test_what_is_wrong_with_a_mask_or_model_is_told_in_one_line(
    call: Run, weights: Path, portrait: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path / "cache"))
    photo, able = tmp_path / "a.png", f"{weights}:task=inpainting"
    Image.fromarray(portrait).save(photo)
    size = portrait.shape[1::-1]
    Image.new("L", size, 255).save(tmp_path / "all.png")
    Image.new("L", size, 0).save(tmp_path / "none.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    for mask, code, words in (
        ("all.png", 3, "cannot fill the holes of"),
        ("broken.png", 3, "cannot read the mask"),
        ("missing.png", 3, "there is no such file or folder"),
        ("cache", 3, "there is no such file or folder"),
    ):
        ran = call("inpaint", photo, "--mask", tmp_path / mask, "-m", able)
        assert ran.code == code and len(ran.complaints) == 1 and words in ran.complaints[0], (mask, ran.errors)
        assert not (tmp_path / "a-inpainted.png").exists()
    ran = call("inpaint", photo, "--mask", tmp_path / "none.png", "-m", able)
    assert ran.code == 0 and "nothing was filled, the photo is unchanged" in ran.output.decode()
    assert "its mask is empty" in ran.output.decode()
    assert_array_equal(read(tmp_path / "a-inpainted.png"), portrait)

    for verb, name in (("colorize", "codeformer-colorization"), ("inpaint", "codeformer-inpainting")):
        ran = call(verb, photo)
        assert ran.code == 4 and f"the model {name} is not on this machine" in ran.complaints[0]
        assert f"facewright models get {name} (S-Lab License 1.0, non-commercial use only)" in ran.errors
        ran = call(verb, photo, "-m", weights)
        assert ran.code == 4 and "it is a CodeFormer for restoration" in ran.complaints[0]
        ran = call(verb, photo, "-m", "gfpgan-mini")
        assert ran.code == 4 and f"take {name}" in ran.errors


def test_json_of_one_photo_is_one_line(call: Run, weights: Path, portrait: NDArray[np.uint8], tmp_path: Path) -> None:
    Image.fromarray(portrait[..., 1]).save(tmp_path / "a.jpg", quality=90)
    ran = call("colorize", tmp_path / "a.jpg", "-m", f"{weights}:task=colorization", "--whole-face", "--json", "--compare", "--save-faces")
    (line,) = ran.output.decode().splitlines()
    assert json.loads(line)["output"] == str(tmp_path / "a-colorized.jpg")
    assert read(tmp_path / "a-colorized.jpg").shape == portrait.shape
    assert (tmp_path / "a-colorized-compare.jpg").is_file() and (tmp_path / "a-colorized-faces" / "00-after.png").is_file()
