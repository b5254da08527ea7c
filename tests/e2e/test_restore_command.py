"""Photographs of every kind through the real command: the same photos come out, with other faces."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from driving import ENVIRONMENT, EXAMPLES, Ran, Run, command
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from PIL import Image, ImageOps, features
from skimage import data

from facewright.faces.align import similarity
from facewright.faces.warp import invert, transform

Pixels = NDArray[Any]


@dataclass
class Album:
    folder: Path
    out: Path
    ran: Ran

    def before(self, name: str) -> Pixels:
        return pixels(self.folder / name)

    def after(self, name: str) -> Pixels:
        return pixels(self.output(name))

    def output(self, name: str) -> Path:
        return Path(self.told(name)["output"])

    def told(self, name: str) -> dict[str, Any]:
        return self.ran.told[Path(name).name]


def pixels(path: Path) -> Pixels:
    """Upright, as stored: H x W (x 3 or 4) RGB, uint8 or uint16."""
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.suffix in (".png", ".tif") else None
    if stored is not None and stored.dtype == np.uint16:
        return stored if stored.ndim == 2 else np.ascontiguousarray(stored[..., 2::-1])
    with Image.open(path) as picture:
        return np.asarray(ImageOps.exif_transpose(picture))


def under_faces(shape: tuple[int, ...], told: dict[str, Any]) -> NDArray[np.bool_]:
    """H x W: where the crops of the restored faces lie. Nothing else may change."""
    mask = np.zeros(shape[:2], np.uint8)
    for face in told["faces"]:
        if face["action"] != "left alone":
            corners = transform(invert(similarity(np.array(face["landmarks"]))), np.array([[0.0, 0], [511, 0], [511, 511], [0, 511]]))
            cv2.fillConvexPoly(mask, np.rint(corners).astype(np.int32), 1)
    return mask.astype(bool)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory, portrait: NDArray[np.uint8], run: Run, tiny_model: Path) -> Album:
    folder = tmp_path_factory.mktemp("album")
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    picture = Image.fromarray(portrait)
    deep = portrait.astype(np.uint16) * 257 + np.random.default_rng(0).integers(0, 200, portrait.shape, np.uint16)
    cv2.imwrite(str(folder / "rgb16.png"), deep[..., ::-1])
    Image.fromarray(deep[..., 1]).save(folder / "grey16.tif")
    oval = np.zeros(portrait.shape[:2], np.uint8)
    cv2.ellipse(oval, (155, 160), (150, 155), 0, 0, 360, 255, -1)
    picture.putalpha(Image.fromarray(cv2.GaussianBlur(oval, (0, 0), 4)))
    picture.save(folder / "alpha.png")
    picture = Image.fromarray(portrait)
    picture.save(folder / "lossless.webp", lossless=True)
    picture.save(folder / "lzw.tif", compression="tiff_lzw", dpi=(240, 240))
    picture.save(folder / "plain.bmp")
    picture.quantize(200).save(folder / "animated.gif", save_all=True, append_images=[Image.new("P", picture.size)])
    picture.convert("CMYK").save(folder / "cmyk.jpg", quality=90)
    if features.check("avif"):
        picture.save(folder / "modern.avif", quality=80)
    (folder / "below").mkdir()
    Image.fromarray(np.rot90(portrait)).save(folder / "below" / "lying.png")
    Image.fromarray(data.coffee()[::2, ::2]).save(folder / "below" / "coffee.png")
    out = tmp_path_factory.mktemp("restored")
    extras = ["--report", out / "page" / "report.html", "--journal", out / "journal.jsonl", "--compare", "--save-faces"]
    return Album(folder, out, run("restore", folder, "-r", "-o", out, "--model", tiny_model, "--json", *extras))


LOSSLESS = [
    "album-page.png",
    "rgb16.png",
    "grey16.tif",
    "alpha.png",
    "lossless.webp",
    "lzw.tif",
    "plain.bmp",
    "animated.gif",
    "below/lying.png",
]
ALL = [*LOSSLESS, "astronaut-faded.jpg", "astronaut-sepia.jpg", "thumbnail.webp", "cmyk.jpg", "below/coffee.png"]


def test_the_whole_album_goes_through_without_a_word_of_complaint(album: Album) -> None:
    assert album.ran.code == 0, album.ran.errors
    assert album.ran.errors == ""
    assert set(album.ran.told) >= {Path(name).name for name in ALL}
    assert not list(album.out.rglob("*.part"))


@pytest.mark.parametrize("name", ALL)
def test_size_depth_and_colour_stay(album: Album, name: str) -> None:
    before, after = album.before(name), album.after(name)
    assert (after.shape[:2], after.dtype) == (before.shape[:2], before.dtype)
    assert (album.told(name)["height"], album.told(name)["width"]) == after.shape[:2]
    if name not in ("animated.gif", "cmyk.jpg"):
        assert after.ndim == before.ndim


@pytest.mark.parametrize("name", LOSSLESS)
def test_every_pixel_beside_the_faces_is_the_very_same(album: Album, name: str) -> None:
    after = album.after(name)
    with Image.open(album.folder / name) as picture:
        before = np.asarray(picture.convert("RGB")) if name == "animated.gif" else album.before(name)
    touched = under_faces(before.shape, album.told(name))
    assert_array_equal(after[~touched], before[~touched])
    assert (after[touched] != before[touched]).mean() > 0.2, "nothing was restored"


@pytest.mark.parametrize("name", ["astronaut-faded.jpg", "astronaut-sepia.jpg", "thumbnail.webp"])
def test_lossy_photos_change_little_beside_the_faces(album: Album, name: str) -> None:
    before, after = album.before(name).astype(float), album.after(name).astype(float)
    beside = ~cv2.dilate(under_faces(before.shape, album.told(name)).astype(np.uint8), np.ones((33, 33))).astype(bool)
    assert np.abs(after - before)[beside].mean() < 1.5
    assert np.abs(after - before)[~beside].mean() > 2 * np.abs(after - before)[beside].mean()


def test_faces_are_found_where_a_person_sees_them(album: Album) -> None:
    counts = {name: len(album.told(name)["faces"]) for name in ALL}
    expected = dict.fromkeys(ALL, 1) | {"album-page.png": 3, "below/coffee.png": 0}
    assert counts == expected
    # in the portrait the nose is at (222, 131) of the astronaut, 70 columns further left in the cut
    nose = np.array(album.told("rgb16.png")["faces"][0]["landmarks"][2])
    assert np.linalg.norm(nose - [152, 131]) < 6
    # turned a quarter to the left, (x, y) goes to (y, width - 1 - x)
    lying = np.array(album.told("lying.png")["faces"][0]["landmarks"][2])
    assert np.linalg.norm(lying - [131, 309 - 152]) < 6


def test_a_photo_without_faces_comes_out_as_it_was(album: Album) -> None:
    assert album.told("coffee.png")["notes"] == ["no face was found"]
    assert_array_equal(album.after("below/coffee.png"), album.before("below/coffee.png"))


def test_folders_below_are_kept(album: Album) -> None:
    assert (album.out / "below" / "lying.png").is_file()
    assert album.output("plain.bmp").suffix == album.output("animated.gif").suffix == ".png"


def test_exif_profile_and_resolution_travel_and_the_photo_stands_upright(album: Album) -> None:
    with Image.open(album.folder / "astronaut-faded.jpg") as before, Image.open(album.output("astronaut-faded.jpg")) as after:
        assert (before.size, before.getexif()[0x0112]) == ((820, 652), 6)
        assert (after.size, after.getexif().get(0x0112, 1)) == ((652, 820), 1)
        for tag in (0x010E, 0x010F, 0x0110, 0x0132, 0x013B, 0x8298):
            assert after.getexif()[tag] == before.getexif()[tag]
        assert after.getexif().get_ifd(0x8769)[0x9003] == "1992:07:13 10:30:00"
        assert after.info["icc_profile"] == before.info["icc_profile"]
        assert after.info["dpi"] == before.info["dpi"] == (300, 300)
        assert after.quantization == before.quantization  # type: ignore[attr-defined]


def test_xmp_progression_and_png_text_travel(album: Album) -> None:
    with Image.open(album.folder / "astronaut-sepia.jpg") as before, Image.open(album.output("astronaut-sepia.jpg")) as after:
        assert after.info["xmp"] == before.info["xmp"]
        assert after.info.get("progressive") and after.info["dpi"] == (200, 200)
    with Image.open(album.output("album-page.png")) as page:
        page.load()
        assert page.mode == "L"
        assert page.text == {"Title": "A page of an album", "Copyright": "Public domain (NASA)"}  # type: ignore[attr-defined]
        assert page.info["dpi"] == pytest.approx((150, 150), abs=0.1)
    with Image.open(album.output("lzw.tif")) as scan:
        assert scan.info["compression"] == "tiff_lzw" and scan.info["dpi"] == (240, 240)


def test_alpha_stays_to_the_bit(album: Album) -> None:
    assert_array_equal(album.after("alpha.png")[..., 3], album.before("alpha.png")[..., 3])


def test_cmyk_is_told_about(album: Album) -> None:
    assert album.after("cmyk.jpg").shape[2] == 3
    assert any("CMYK" in note for note in album.told("cmyk.jpg")["notes"])


def test_a_toned_print_keeps_its_tone(album: Album) -> None:
    before, after = album.before("astronaut-sepia.jpg"), album.after("astronaut-sepia.jpg")
    touched = under_faces(before.shape, album.told("astronaut-sepia.jpg"))
    assert (before[touched] != after[touched]).any()
    for level in range(60, 220, 20):
        was, now = (tint(picture[touched], level) for picture in (before, after))
        if was is not None and now is not None:
            assert np.abs(was - now).max() < 5, level


def tint(colours: Pixels, level: int) -> NDArray[np.float64] | None:
    """Mean red and blue less green among pixels of this brightness."""
    some = colours[np.abs(colours @ [0.299, 0.587, 0.114] - level) < 10].astype(float)
    return (some[:, [0, 2]] - some[:, [1]]).mean(axis=0) if len(some) > 100 else None


def test_numbers_come_with_each_face(album: Album) -> None:
    for told in album.ran.told.values():
        for face in told["faces"]:
            assert face["action"] in ("restored", "blended", "left alone")
            assert face["action"] == "left alone" or 0 <= face["identity[dlib]"] < 2
            assert face["reasons"] or face["action"] == "restored"
            assert 0.9 < face["score"] <= 1


def test_the_sheet_shows_both(album: Album) -> None:
    sheet = pixels(album.out / "rgb16-compare.jpg").astype(float)
    assert sheet.shape[0] == 320 and 620 < sheet.shape[1] < 640
    assert np.abs(sheet[:, :310] - album.before("rgb16.png") / 257).mean() < 4
    assert np.abs(sheet[:, -310:] - album.after("rgb16.png") / 257).mean() < 4


def test_the_crops_show_the_face_before_and_after(album: Album) -> None:
    before, after = (pixels(album.out / "album-page-faces" / f"02-{when}.png") for when in ("before", "after"))
    assert before.shape == after.shape and before.shape[0] == before.shape[1] >= 128
    assert (before != after).any()
    assert len(list((album.out / "album-page-faces").iterdir())) == 6


def test_the_report_tells_of_every_photo(album: Album) -> None:
    page = (album.out / "page" / "report.html").read_text(encoding="utf-8")
    assert page.count("<article") == len(album.ran.told)
    assert all(name in page for name in map(str, album.ran.told)) and "http" not in page.replace("http-equiv", "").replace(
        "http://www.w3.org", ""
    )


def test_a_second_run_with_the_journal_does_nothing_again(album: Album, call: Run, tiny_model: Path) -> None:
    kept = {path: path.stat().st_mtime_ns for path in album.out.rglob("*") if path.is_file() and path.suffix != ".jsonl"}
    extras = ["--journal", album.out / "journal.jsonl", "--compare", "--save-faces"]
    again = call("restore", album.folder, "-r", "-o", album.out, "--model", tiny_model, "--json", *extras)
    assert again.code == 0 and len(again.told) == len(album.ran.told)
    assert all(told["skipped"] for told in again.told.values())
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_other_settings_are_other_results(portrait: NDArray[np.uint8], tmp_path: Path, call: Run, tiny_model: Path) -> None:
    Image.fromarray(portrait).save(tmp_path / "a.png")
    words = ["restore", tmp_path / "a.png", "--model", tiny_model, "--json", "--journal", tmp_path / "j"]
    assert "skipped" not in call(*words).told["a.png"]
    first = (tmp_path / "a-restored.png").read_bytes()
    assert call(*words).told["a.png"]["skipped"]
    assert "skipped" not in call(*words, "--strength", "0.5").told["a.png"]
    assert (tmp_path / "a-restored.png").read_bytes() != first


def test_a_stream_goes_in_and_a_photo_comes_out(run: Run, tiny_model: Path) -> None:
    source = (EXAMPLES / "astronaut-faded.jpg").read_bytes()
    ran = run("restore", "-", "-o", "-", "--model", tiny_model, input=source)
    assert (ran.code, ran.errors) == (0, "")
    with Image.open(io.BytesIO(ran.output)) as picture:
        assert (picture.format, picture.size, picture.getexif()[0x013B]) == ("JPEG", (652, 820), "NASA")


def test_one_photo_is_written_beside_itself_and_never_over_itself(
    portrait: NDArray[np.uint8], tmp_path: Path, call: Run, tiny_model: Path
) -> None:
    photo = tmp_path / "old.png"
    Image.fromarray(portrait).save(photo)
    original = photo.read_bytes()
    ran = call("restore", photo, "--model", tiny_model)
    assert ran.code == 0 and f"{photo} -> {tmp_path / 'old-restored.png'}: 1 " in ran.output.decode()
    for output in (photo, tmp_path, f"{tmp_path}/", tmp_path / "old"):
        refused = call("restore", photo, "-o", output, "--model", tiny_model)
        assert refused.code == 2, f"-o {output} must not overwrite the original"
        assert "never overwritten" in refused.complaints[0] + refused.errors
    # the folder itself as the target
    assert call("restore", tmp_path, "-o", tmp_path, "--model", tiny_model).code == 2
    assert photo.read_bytes() == original


def test_two_photos_never_share_one_target(portrait: NDArray[np.uint8], tmp_path: Path, call: Run, tiny_model: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        Image.fromarray(portrait[:, :: 1 if folder == "x" else -1]).save(tmp_path / folder / "a.png")
    Image.fromarray(portrait).save(tmp_path / "x" / "a.bmp")  # becomes a.png as well
    out = tmp_path / "out"
    assert call("restore", tmp_path / "x" / "a.png", tmp_path / "y" / "a.png", "-o", out, "--model", tiny_model).code == 2
    assert not out.exists()
    ran = call("restore", tmp_path / "x", "-o", out, "--model", tiny_model, "--json")
    targets = [told["output"] for told in ran.told.values()]
    assert ran.code == 2 or len(set(targets)) == 2, "one result overwrote the other"


def test_in_place_replaces_whole_files_and_spares_what_failed(
    portrait: NDArray[np.uint8], tmp_path: Path, call: Run, tiny_model: Path
) -> None:
    good, torn = tmp_path / "good.png", tmp_path / "torn.jpg"
    Image.fromarray(portrait).save(good)
    torn.write_bytes((EXAMPLES / "astronaut-sepia.jpg").read_bytes()[:20_000])
    broken = torn.read_bytes()
    ran = call("restore", tmp_path, "--in-place", "--model", tiny_model)
    assert ran.code == 6
    assert (pixels(good) != portrait).any() and pixels(good).shape == portrait.shape
    assert torn.read_bytes() == broken
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.png", "torn.jpg"]


def test_faces_are_chosen_by_number(tmp_path: Path, call: Run, tiny_model: Path) -> None:
    page = EXAMPLES / "album-page.png"
    ran = call("restore", page, "-o", tmp_path / "page.png", "--faces", "0,2", "--model", tiny_model, "--json")
    faces = ran.told["album-page.png"]["faces"]
    assert [face["action"] == "left alone" for face in faces] == [False, True, False]
    left, top, right, bottom = (int(v) for v in faces[1]["box"])
    assert_array_equal(pixels(tmp_path / "page.png")[top:bottom, left:right], pixels(page)[top:bottom, left:right])


def test_enlarging_enlarges_and_no_strength_changes_nothing(
    portrait: NDArray[np.uint8], tmp_path: Path, call: Run, tiny_model: Path
) -> None:
    photo = tmp_path / "old.png"
    Image.fromarray(portrait).save(photo)
    assert call("restore", photo, "-o", tmp_path / "big.png", "-s", "2", "--model", tiny_model).code == 0
    big = pixels(tmp_path / "big.png")
    assert big.shape == (640, 620, 3)
    corner = cv2.resize(big, (310, 320), interpolation=cv2.INTER_AREA)[:, -40:]
    assert np.abs(corner.astype(float) - portrait[:, -40:]).mean() < 3
    assert call("restore", photo, "-o", tmp_path / "same.png", "--strength", "0", "--model", tiny_model).code == 0
    assert_array_equal(pixels(tmp_path / "same.png"), portrait)


def test_metadata_can_be_left_behind(tmp_path: Path, call: Run, tiny_model: Path) -> None:
    photo, out = EXAMPLES / "astronaut-faded.jpg", tmp_path / "bare.jpg"
    assert call("restore", photo, "-o", out, "--metadata", "strip", "--quality", "60", "--model", tiny_model).code == 0
    with Image.open(out) as after, Image.open(photo) as before:
        assert not dict(after.getexif()) and after.size == (652, 820)
        # without its profile the colours would be others
        assert after.info["icc_profile"] == before.info["icc_profile"]
        assert sum(after.quantization[0]) > sum(before.quantization[0])  # type: ignore[attr-defined]


def test_a_face_that_drifts_too_far_is_held_back(portrait: NDArray[np.uint8], tmp_path: Path, call: Run, tiny_model: Path) -> None:
    photo = tmp_path / "old.png"
    Image.fromarray(portrait).save(photo)
    free, held, alone = (
        call("restore", photo, "-o", tmp_path / f"{limit}.png", "--max-identity-drift", limit, "--model", tiny_model, "--json").told[
            "old.png"
        ]["faces"][0]
        for limit in ("2", "0.3", "0.001")
    )
    assert free["identity[dlib]"] > 0.3 and free["action"] == "restored"
    assert held["action"] == "blended" and held["identity[dlib]"] <= 0.3 and "0.3" in " ".join(held["reasons"])
    assert alone["action"] == "left alone" and "0.001" in " ".join(alone["reasons"])
    assert_array_equal(pixels(tmp_path / "0.001.png"), portrait)
    changed = [np.abs(pixels(tmp_path / f"{limit}.png").astype(int) - portrait).mean() for limit in ("2", "0.3")]
    assert changed[0] > changed[1] > 0


def test_an_aligned_crop_is_restored_whole(portrait: NDArray[np.uint8], tmp_path: Path, call: Run, tiny_model: Path) -> None:
    photo = tmp_path / "crop.png"
    Image.fromarray(cv2.resize(portrait, (200, 200))).save(photo)
    ran = call("restore", photo, "-o", tmp_path / "out.png", "--aligned", "--model", tiny_model, "--json")
    assert ran.code == 0 and len(ran.told["crop.png"]["faces"]) == 1
    assert pixels(tmp_path / "out.png").shape == (200, 200, 3)


def test_the_same_seed_gives_the_same_file_alone_and_in_a_batch(album: Album, tmp_path: Path, call: Run, tiny_model: Path) -> None:
    assert call("restore", album.folder / "album-page.png", "-o", tmp_path / "alone.png", "--model", tiny_model, "--batch", "1").code == 0
    assert np.abs(pixels(tmp_path / "alone.png").astype(int) - album.after("album-page.png")).max() <= 1


COUNT = 12


@dataclass
class Running:
    process: subprocess.Popen[str]
    folder: Path
    out: Path
    journal: Path
    words: list[str | Path]

    def done(self) -> list[str]:
        """Sources that the journal calls done, one entry for each time."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        return [Path(entry["source"]).name for entry in readable(lines) if entry["state"] == "done"]

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 120
        while len(self.done()) < count:
            assert self.process.poll() is None and time.monotonic() < deadline, self.process.communicate()
            time.sleep(0.005)

    def whole_outputs(self) -> list[str]:
        """Names in the output folder; each must decode completely."""
        names = sorted(path.name for path in self.out.glob("*.png"))
        for name in names:
            with Image.open(self.out / name) as picture:
                picture.load()
        return names


def readable(lines: list[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue


@pytest.fixture
def running(tmp_path: Path, portrait: NDArray[np.uint8], tiny_model: Path) -> Iterator[Running]:
    """A batch of COUNT photos in the middle of its work."""
    folder, out, journal = tmp_path / "in", tmp_path / "out", tmp_path / "journal.jsonl"
    folder.mkdir()
    for index in range(COUNT):
        Image.fromarray(np.roll(portrait, index, axis=1)).save(folder / f"{index:02d}.png")
    words: list[str | Path] = ["restore", folder, "-o", out, "--model", tiny_model, "--journal", journal, "--json", "--jobs", "1"]
    process = subprocess.Popen(
        command(*words),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs tests in the background hands on a SIGINT that is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    batch = Running(process, folder, out, journal, words)
    batch.wait_for(2)
    yield batch
    process.kill()
    process.communicate()


def test_a_killed_batch_goes_on_with_nothing_done_twice_and_nothing_missed(running: Running, run: Run) -> None:
    running.process.send_signal(signal.SIGKILL)
    running.process.communicate()
    first = running.done()
    assert 2 <= len(first) < COUNT, "the kill came too late to prove anything"
    assert set(running.whole_outputs()) >= set(first)
    kept = {name: (running.out / name).stat().st_mtime_ns for name in first}

    again = run(*running.words)
    assert again.code == 0, again.errors
    assert running.whole_outputs() == [f"{index:02d}.png" for index in range(COUNT)]
    assert len(again.told) == COUNT
    assert {name for name, told in again.told.items() if told.get("skipped")} >= set(first)
    assert sorted(running.done()) == [f"{index:02d}.png" for index in range(COUNT)], "done once each"
    assert {name: (running.out / name).stat().st_mtime_ns for name in first} == kept


def test_ctrl_c_ends_the_batch_with_whole_files_only(running: Running) -> None:
    running.process.send_signal(signal.SIGINT)
    _, errors = running.process.communicate(timeout=60)
    assert running.process.returncode == 130
    assert errors.splitlines() == ["facewright: interrupted"]
    names = running.whole_outputs()
    assert 2 <= len(names) < COUNT and names == sorted(running.done())
    assert sorted(path.name for path in running.out.iterdir()) == names, "something half written was left"
